"""Current and empty stores by the dozen: each kind is migrated once a session, and copied from then on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from backhaul.store.engine import Store

_TEMPLATE = "backhaul_template"


@cache
def _sqlite_template() -> bytes:
    with tempfile.TemporaryDirectory(prefix="backhaul-template-") as folder:
        file = Path(folder) / "store.db"
        Store(f"sqlite:///{file}").ready().close()  # the last connection to leave folds the write-ahead log in
        return file.read_bytes()


def sqlite_store(file: Path) -> str:
    """The URL of a SQLite file that is now there, current and empty."""
    with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as new:
        new.write(_sqlite_template())
    return f"sqlite:///{file}"


@contextmanager
def postgres_database(server: str, name: str, *, is_bare: bool = False) -> Iterator[str]:
    """The URL of a PostgreSQL database of this name, current and empty (`is_bare`: without a table), for the length of a `with`."""
    template = "template1" if is_bare else _postgres_template(server)
    on_server(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _database(server, name)
    on_server(server, f"DROP DATABASE {name} WITH (FORCE)")


@cache
def _postgres_template(server: str) -> str:
    on_server(server, f"CREATE DATABASE {_TEMPLATE}")
    Store(_database(server, _TEMPLATE)).ready().close()
    return _TEMPLATE


def _database(server: str, name: str) -> str:
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def on_server(server: str, *statements: str) -> None:
    """Have a PostgreSQL server do something that no transaction can hold."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()
