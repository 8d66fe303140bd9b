"""A public view, whole or filtered, row after row: streamed from one snapshot, so that a million rows take no more memory than one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from backhaul.store import dictionary
from backhaul.store.desk import BadFilterError, bound, typed
from backhaul.store.views import VIEWS

_AT_ONCE = 2_000  # rows fetched
_CONDITION = re.compile(r"\s{0,20}([a-z0-9_]{1,63})\s{0,20}(!=|>=|<=|=|>|<)(.{0,800})", re.DOTALL)
_WRITTEN = "write a condition as merchant=acme, created_at>=2026-11-01 or stage!=held; quote it, since < and > mean something to a shell"


def kinds_of(view: str) -> dict[str, str]:
    """The columns of a public view, each with its kind. Raises BadFilterError for what is none."""
    if view not in VIEWS:
        raise BadFilterError(f"there is no view {view[:63]!r}; there are {', '.join(VIEWS)}")
    return {name: dictionary.kind_of(name) for name in dictionary.view(view).columns}


def rows_of(connection: sa.Connection, view: str, conditions: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a view that meet every condition (`stage!=held`), typed alike on both databases, in no order.

    `column=` alone asks for those that have none. Raises BadFilterError, before a row is read.
    """
    kinds, dialect = kinds_of(view), connection.dialect.name
    wheres: list[str] = []
    values: dict[str, Any] = {}
    for number, text in enumerate(conditions):
        where, value = _condition(kinds, text, f"value{number}", dialect)
        wheres.append(where)
        values |= value
    where = f" WHERE {' AND '.join(wheres)}" if wheres else ""
    statement = f"SELECT {', '.join(kinds)} FROM {view}{where}"  # noqa: S608 - names of our own; what a person wrote is bound
    if dialect == "postgresql":
        connection.exec_driver_sql("SET LOCAL cursor_tuple_fraction = 1")  # it is read to its end: plan for that
    return _typed(connection.execution_options(yield_per=_AT_ONCE).execute(sa.text(statement), values), list(kinds.values()))


def _typed(result: sa.CursorResult[Any], kinds: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    reads: list[Callable[[Any], Any] | None] = [None if kind in ("text", "count") else partial(typed, kind) for kind in kinds]
    for some in result.partitions():
        columns = zip(*some, strict=True)
        yield from zip(*(c if read is None else map(read, c) for c, read in zip(columns, reads, strict=True)), strict=True)


def _condition(kinds: dict[str, str], text: str, name: str, dialect: str) -> tuple[str, dict[str, Any]]:
    """A condition as SQL, and the value that it binds."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise BadFilterError(f"{text[:80]!r} is no condition: {_WRITTEN}")
    column, operator, value = found.group(1), found.group(2), found.group(3).strip()
    if column not in kinds:
        raise BadFilterError(f"the view has no column {column!r}; it has {', '.join(kinds)}")
    if value == "" and operator in ("=", "!="):
        return f"{column} IS {'NOT ' if operator == '!=' else ''}NULL", {}
    if kinds[column] == "json":
        raise BadFilterError(f"{column} is a list, and cannot be compared; filter by another column")
    values = {name: bound(column, kinds[column], value, dialect)}
    return (f"({column} <> :{name} OR {column} IS NULL)" if operator == "!=" else f"{column} {operator} :{name}"), values
