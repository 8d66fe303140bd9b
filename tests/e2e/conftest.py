"""Fixtures: houses, one to a test or one to a module, and vendors' patience in milliseconds instead of seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import sqlalchemy as sa

from backhaul.connectors import http
from backhaul.domain import backoff
from tests.e2e.house import House

Build = Callable[..., House]


@pytest.fixture(scope="module", autouse=True)
def _short_pauses() -> Iterator[None]:
    """The pauses between attempts, by the same rules, a hundred times shorter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff, "SHORTEST", timedelta(milliseconds=20))
        patch.setattr(http, "BACKOFF_FIRST", 0.005)
        patch.setattr(http, "PAUSE_UNASKED", 0.02)
        yield


def _builder(folder: Path, opened: list[House]) -> Build:
    def build(merchants: dict[str, Any] | None = None, store_url: str | None = None, **box: Any) -> House:
        place = folder / f"house-{len(opened)}"
        place.mkdir()
        box.setdefault("surface", ("documented", "recorded")[crc32(place.parent.name.encode()) % 2])  # half of the tests on each
        house = House(place, store_url or f"sqlite:///{place / 'store.db'}", merchants or {"acme": {}}, **box)
        opened.append(house)
        return house

    return build


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Builds houses for one test."""
    opened: list[House] = []
    yield _builder(tmp_path, opened)
    for house in opened:
        house.close()


@pytest.fixture
def house(build: Build) -> House:
    """A house with one merchant, acme, on SQLite."""
    return build()


@pytest.fixture(scope="module")
def build_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Builds houses that the tests of a module share."""
    opened: list[House] = []
    yield _builder(tmp_path_factory.mktemp("shared"), opened)
    for house in opened:
        house.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_store_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The URL of a module's own PostgreSQL database; None for a house's own SQLite file."""
    if request.param == "sqlite":
        yield None
        return
    server = sa.make_url(request.getfixturevalue("postgres"))
    name = f"module_{request.module.__name__.rsplit('.', 1)[-1]}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        yield server.set(database=name).render_as_string(hide_password=False)
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
