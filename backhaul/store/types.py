"""Column types that mean the same in SQLite and PostgreSQL, and the driver-level form of a value for bulk writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, UserDefinedType


@lru_cache(maxsize=1 << 12)  # a transaction writes its own time into every row
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


def sqlite_value(column_type: sa.types.TypeEngine[Any]) -> Callable[[Any], Any] | None:
    """How a value of this type goes to the SQLite driver; None where it goes as it is."""
    if isinstance(column_type, Time):
        return time_text
    if isinstance(column_type, Money):
        return str
    return int if isinstance(column_type, sa.Boolean) else None
