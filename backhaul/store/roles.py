"""Roles of PostgreSQL: one that reads the public views and nothing else, and one that works with rows and changes no schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from backhaul.errors import ConfigError
from backhaul.store.engine import Store
from backhaul.store.tables import live
from backhaul.store.views import VIEWS

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_ROWS = "SELECT, INSERT, UPDATE, DELETE"


def grant_analyst(store: Store, role: str) -> None:
    """Let a role read the public views, and nothing else of the store; it is made where it is not there. Raises ConfigError."""
    with _role(store, role) as (connection, name):
        _take_all(connection, name)
        _do(connection, f"GRANT USAGE ON SCHEMA {_schema(connection)} TO {name}", f"GRANT SELECT ON {', '.join(VIEWS)} TO {name}")


def grant_program(store: Store, role: str) -> None:
    """Let a role do all that the program does with rows, also in tables of later versions, and change no schema. Raises ConfigError."""
    with _role(store, role) as (connection, name):
        _take_all(connection, name)
        own = _schema(connection)
        for schema in (own, live.schema):
            _do(connection, f"GRANT USAGE ON SCHEMA {schema} TO {name}", f"GRANT {_ROWS} ON ALL TABLES IN SCHEMA {schema} TO {name}")
        later = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {own} GRANT"
        _do(connection, f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {own} TO {name}")
        _do(connection, f"{later} {_ROWS} ON TABLES TO {name}", f"{later} USAGE, SELECT ON SEQUENCES TO {name}")
        _do(connection, f"GRANT TEMPORARY ON DATABASE {_quoted(connection, str(connection.engine.url.database))} TO {name}")


@contextmanager
def _role(store: Store, role: str) -> Iterator[tuple[sa.Connection, str]]:
    """A transaction in which the role is there, and its name as SQL has it."""
    if store.is_sqlite:
        raise ConfigError(
            "roles are PostgreSQL's; a SQLite store is a file, readable by its owner only: give analysts a copy ('backhaul db backup')"
        )
    if not _NAME.fullmatch(role):
        raise ConfigError(f"{role!r} is not taken as a role's name; use small letters, digits and _")
    try:
        with store.write() as connection:
            name = _quoted(connection, role)
            query = sa.text("SELECT rolsuper OR rolname = current_user FROM pg_roles WHERE rolname = :role")
            is_mighty = connection.execute(query, {"role": role}).scalar()
            if is_mighty:
                raise ConfigError(f"{role} owns the store, or is a superuser, and cannot be held to less; name another role")
            if is_mighty is None:
                _do(connection, f"CREATE ROLE {name} LOGIN")
            yield connection, name
    except sa.exc.DBAPIError as error:
        words = str(error.orig).splitlines()[0][:200]
        raise ConfigError(f"{role} could not be granted: {words}; run this as the store's owner, with CREATEROLE") from None


def _take_all(connection: sa.Connection, name: str) -> None:
    own = _schema(connection)
    for schema in (own, live.schema):
        _do(connection, f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {name}", f"REVOKE ALL ON SCHEMA {schema} FROM {name}")
    _do(connection, f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {own} FROM {name}", f"REVOKE CREATE ON SCHEMA {own} FROM PUBLIC")
    later = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {own} REVOKE ALL ON"
    _do(connection, f"{later} TABLES FROM {name}", f"{later} SEQUENCES FROM {name}")


def _schema(connection: sa.Connection) -> str:
    return _quoted(connection, str(connection.execute(sa.text("SELECT current_schema()")).scalar_one()))


def _quoted(connection: sa.Connection, name: str) -> str:
    return str(connection.dialect.identifier_preparer.quote_identifier(name))


def _do(connection: sa.Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
