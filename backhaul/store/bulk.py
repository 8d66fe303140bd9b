"""Bulk writes at the driver's own speed: statements of many rows on SQLite, COPY on PostgreSQL, staged where rows exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from backhaul.store.prepared import Prepared, chunks, one_of, prepared
from backhaul.store.types import driver_form

if TYPE_CHECKING:
    import psycopg  # a fifth of a second, which a store in a file need not pay

Row = Sequence[Any]
_FEW = 50  # below this many rows a plain executemany beats staging on PostgreSQL
_CELLS = 4_000  # values that a statement on SQLite takes; the most that it can is 32,766


def upsert(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], keep: Sequence[str] = (), is_new: bool = False
) -> None:
    """Insert `rows` (tuples in the order of `columns`), or overwrite the row of the same primary key, but for the columns in `keep`.

    `is_new` says that none should be there yet, which is the quicker way in; one that is there after all is overwritten all the same.
    """
    key = [column.name for column in table.primary_key]
    changed = [name for name in columns if name not in key and name not in keep]
    updates = ", ".join(f"{name} = excluded.{name}" for name in changed)
    conflict = f"ON CONFLICT ({', '.join(key)}) DO {'UPDATE SET ' + updates if updates else 'NOTHING'}"
    _write(connection, table, columns, rows, conflict, is_new)


def insert(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert `rows`; one that breaks a unique key is passed over, because the same fact is there already."""
    _write(connection, table, columns, rows, "ON CONFLICT DO NOTHING", is_new=True)


def delete(connection: sa.Connection, table: sa.Table, merchant: str, column: str, keys: Sequence[str]) -> None:
    """Delete the merchant's rows whose `column` is one of `keys`."""
    for some in chunks(keys):
        _delete(table, column)(connection, merchant=merchant, keys=some)


@cache
def _delete(table: sa.Table, column: str) -> Prepared:
    return prepared(lambda merchant, keys: sa.delete(table).where(table.c.merchant == merchant, one_of(table.c[column], keys)))


def select_by_keys(connection: sa.Connection, query: sa.Select[Any], column: sa.Column[Any], keys: Sequence[Any]) -> Iterator[sa.Row[Any]]:
    """Run `query` for the rows whose `column` is one of `keys`, some thousand keys at a time."""
    for some in chunks(keys):
        yield from connection.execute(query.where(one_of(column, some)))


def _write(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], conflict: str, is_new: bool) -> None:
    if not rows:
        return
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
        _insert_at_once(connection, f"INSERT INTO {table.name} ({names}) VALUES", conflict, _for_sqlite(table, columns, rows))
    elif len(rows) < _FEW:
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({', '.join(['%s'] * len(columns))}) {conflict}"  # noqa: S608
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])
    elif not (is_new and _copied(connection, table.name, names, rows)):
        stage = f"stage_{table.name}"
        connection.exec_driver_sql(f"CREATE TEMP TABLE {stage} AS SELECT {names} FROM {table.name} WITH NO DATA")  # noqa: S608
        _copy(connection, stage, names, rows)
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {stage} {conflict}")  # noqa: S608
        connection.exec_driver_sql(f"DROP TABLE {stage}")


def _insert_at_once(connection: sa.Connection, insert: str, conflict: str, rows: Sequence[Row]) -> None:
    """Insert many rows a statement: at each one the driver lets go of the interpreter, and another thread has its turn."""
    one = f"({', '.join('?' * len(rows[0]))})"
    at_once = _CELLS // len(rows[0])
    rest = len(rows) // at_once * at_once
    many = f"{insert} {', '.join([one] * at_once)} {conflict}"
    for start in range(0, rest, at_once):
        connection.exec_driver_sql(many, tuple(chain.from_iterable(rows[start : start + at_once])))
    if rest < len(rows):
        connection.exec_driver_sql(f"{insert} {one} {conflict}", list(rows[rest:]))


def _for_sqlite(table: sa.Table, columns: Sequence[str], rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    converted: list[Sequence[Any]] = []
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        convert = driver_form(table.c[name].type)
        converted.append(values if convert is None else convert(values))
    return list(zip(*converted, strict=True))


def _copied(connection: sa.Connection, table: str, names: str, rows: Sequence[Row]) -> bool:
    """Copy straight into the table; False, and nothing done, when one of the rows is there."""
    from psycopg.errors import UniqueViolation

    try:
        with connection.begin_nested():
            _copy(connection, table, names, rows)
    except UniqueViolation:
        return False
    return True


def _copy(connection: sa.Connection, table: str, names: str, rows: Sequence[Row]) -> None:
    from psycopg import OperationalError

    statement = f"COPY {table} ({names}) FROM STDIN"
    cursor: psycopg.Cursor[Any] = cast("psycopg.Cursor[Any]", connection.connection.cursor())
    try:
        with cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except OperationalError as error:  # SQLAlchemy knows nothing of COPY, and would have named it so
        raise sa.exc.OperationalError(statement, None, error) from error
