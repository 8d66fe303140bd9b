"""Column types that mean the same in SQLite and PostgreSQL, and the driver-level form of a value for bulk writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, UserDefinedType

from backhaul.domain.columns import once_each


def time_text(value: datetime) -> str:
    """A fixed-width UTC text, so that SQLite compares times as it compares strings."""
    return value.astimezone(UTC).isoformat(sep=" ", timespec="microseconds")


class Time(TypeDecorator[datetime]):
    """An aware UTC datetime: timestamptz in PostgreSQL, fixed-width ISO text in SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(sa.String(32) if dialect.name == "sqlite" else sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return time_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


class _SqliteNumeric(UserDefinedType[Decimal]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "NUMERIC"


class Money(TypeDecorator[Decimal]):
    """An exact amount: NUMERIC in both. SQLite keeps 15 digits of it exactly and sums it, which text would not allow."""

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(_SqliteNumeric() if dialect.name == "sqlite" else sa.Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(str(value))


class Json(TypeDecorator[Any]):
    """Any JSON: jsonb in PostgreSQL, text in SQLite."""

    impl = sa.JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.JSON())
        from sqlalchemy.dialects.postgresql import JSONB  # a tenth of a second, which a store in a file need not pay

        return dialect.type_descriptor(JSONB())


Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers only INTEGER primary keys by itself


def times_text(values: Sequence[datetime | None]) -> list[str | None]:
    """`time_text` of every value, at once where all are whole seconds in UTC, as vendors write them."""
    written = msgspec.json.encode(values)
    if b"." in written or written.count(b'Z"') != len(values) - values.count(None):
        return once_each(_or_none(time_text), values)
    texts: list[str | None] = msgspec.json.decode(written.replace(b"T", b" ").replace(b'Z"', b'.000000+00:00"'))
    return texts


def driver_form(column_type: sa.types.TypeEngine[Any]) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """How a column of this type goes to a driver in bulk, as both databases take it; None where it goes as it is."""
    if isinstance(column_type, Time):
        return times_text
    if isinstance(column_type, Money):
        return partial(once_each, _or_none(str))
    return partial(once_each, _or_none(int)) if isinstance(column_type, sa.Boolean) else None


def _or_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)
