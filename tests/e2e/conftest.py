"""Fixtures: houses, one to a test or one to a module, and vendors' patience in milliseconds instead of seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from backhaul.connectors import http
from backhaul.domain import backoff
from backhaul.pipeline import delivering
from tests.e2e.house import House
from tests.stores import sqlite_store

Build = Callable[..., House]


@pytest.fixture(scope="module", autouse=True)
def _short_pauses(one_engine: None) -> Iterator[None]:
    """The pauses between attempts, by the same rules, a hundred times shorter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff, "SHORTEST", timedelta(milliseconds=20))
        patch.setattr(http, "BACKOFF_FIRST", 0.005)
        patch.setattr(http, "PAUSE_UNASKED", 0.02)
        yield


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain leaves what fails to the next one at once, so that an outage of an hour takes no minute to play."""
    monkeypatch.setattr(delivering, "_PATIENCE", timedelta())


def _builder(folder: Path, opened: list[House]) -> Build:
    def build(merchants: dict[str, Any] | None = None, store_url: str | None = None, **box: Any) -> House:
        place = folder / f"house-{len(opened)}"
        place.mkdir()
        box.setdefault("surface", ("documented", "recorded")[crc32(place.parent.name.encode()) % 2])  # half of the tests on each
        house = House(place, store_url or sqlite_store(place / "store.db"), merchants or {"acme": {}}, **box)
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
