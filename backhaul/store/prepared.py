"""Statements built once: to build one and to find it in SQLAlchemy's cache costs more than to run it, and a sync runs a hundred."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

_KEYS_A_QUERY = 5_000

Parameter = sa.BindParameter[Any]


class Prepared:
    """A statement of named parameters. Called with a connection and their values, it runs."""

    def __init__(self, build: Callable[..., sa.Executable]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @cached_property
    def statement(self) -> sa.Executable:
        """The statement, its parameters bound by name."""
        return self._build(*map(sa.bindparam, inspect.signature(self._build).parameters))

    def __call__(self, connection: sa.Connection, **values: Any) -> sa.CursorResult[Any]:
        return connection.execute(self.statement, values)

    def for_keys(self, connection: sa.Connection, keys: Sequence[Any], **values: Any) -> Iterator[sa.Row[Any]]:
        """The rows for as many `keys` as there are, some thousand at a time."""
        for some in chunks(keys):
            yield from self(connection, keys=some, **values)


def prepared(build: Callable[..., sa.Executable]) -> Prepared:
    """Have a function make its statement once: it is given a bound parameter for each of its arguments.

    What a parameter is compared with gives it its type; `one_of` makes it a list.
    """
    return Prepared(build)


def chunks(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """As many keys at a time as a statement takes."""
    for start in range(0, len(keys), _KEYS_A_QUERY):
        yield keys[start : start + _KEYS_A_QUERY]


class _Keys(TypeDecorator[Sequence[Any]]):
    """A list: an array in PostgreSQL, JSON in SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(sa.ARRAY(self.item) if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        return list(value or ()) if dialect.name == "postgresql" else json.dumps(list(value or ()))


class _OneOf(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()

    def self_group(self, against: Any = None) -> Any:
        """Itself: SQLAlchemy would make it `(…) = 1` for SQLite, which then uses no index for it."""
        return self


@compiles(_OneOf, "postgresql")
def _in_array(element: _OneOf, compiler: SQLCompiler, **more: Any) -> str:
    column, keys = element.clauses
    return f"({compiler.process(column, **more)} = ANY ({compiler.process(keys, **more)}))"


@compiles(_OneOf, "sqlite")
def _in_json(element: _OneOf, compiler: SQLCompiler, **more: Any) -> str:
    column, keys = element.clauses
    return f"({compiler.process(column, **more)} IN (SELECT value FROM json_each({compiler.process(keys, **more)})))"  # noqa: S608 - both are SQLAlchemy's


def one_of(column: sa.ColumnElement[Any], keys: Sequence[Any] | Parameter) -> sa.ColumnElement[bool]:
    """`column IN keys` with one bound parameter, however many keys there are, so that the statement stays the same."""
    kind = _Keys(column.type)
    if isinstance(keys, sa.BindParameter):
        return _OneOf(column, sa.bindparam(keys.key, type_=kind))
    return _OneOf(column, sa.bindparam(None, keys, type_=kind))
