"""Exact values from what vendors write: amounts, times, ids, counts. One odd value never fails a whole record.

Every parser answers None for an absent value and `UNPARSED` for one that is there and makes no sense, so that the
caller can name the field and the suites can quarantine the record. What costs to parse is cached: a page repeats its values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial
from typing import Final

from backhaul.connectors.text import GONE, PLAIN_LIMIT, plain

_cached = lru_cache(maxsize=1 << 16, typed=True)  # typed, because 1, 1.0 and True are one key otherwise

Scalar = str | int | float | bool | None

KEY_LIMIT = 100  # characters; keys are indexed, and an index takes 2,700 bytes
SKU_LIMIT = 255  # characters, as Shopify has it

_AMOUNT = re.compile(r"[+-]?\d{1,15}(\.\d{1,8})?", re.ASCII)
_COUNT = re.compile(r"\d{1,9}(\.0{1,9})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,6})?)?( ?(Z|[+-]\d{2}:?\d{2}))?)?", re.ASCII | re.IGNORECASE)
_PLAIN_DATES = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3}(\d{3})?)?Z?;)*", re.ASCII)


class Unparsed(Enum):
    """A value that is present and cannot be read."""

    UNPARSED = "unparsed"


UNPARSED: Final = Unparsed.UNPARSED


@_cached
def money(value: Scalar) -> Decimal | Unparsed | None:
    """An amount in major units, exact. A blank string is not an amount: no vendor documents one, so it is not guessed to be zero."""
    if value is None:
        return None
    if isinstance(value, bool):
        return UNPARSED
    text = value.strip() if isinstance(value, str) else repr(value)
    return Decimal(text) if _AMOUNT.fullmatch(text) else UNPARSED


@_cached
def time(value: Scalar) -> datetime | Unparsed | None:
    """An aware UTC time, from any of the formats in use; without a zone it is taken as UTC (docs/vendors/loop.md, 3)."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _DATE.fullmatch(value.strip()):
        return UNPARSED
    try:
        moment = datetime.fromisoformat(value.strip().upper().replace(" Z", "Z").replace(",", "."))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return UNPARSED


def ident(value: Scalar) -> str | None:
    """An id as text: vendors write the same id as a string here and as an integer there. One that nothing can be keyed by is None."""
    found = key(value)
    return found if isinstance(found, str) else None


def key(value: Scalar, limit: int = KEY_LIMIT) -> str | Unparsed | None:
    """The same, where one that is too long, or held what is no character, is told from one that is absent.

    It is never cleaned: the record would take the place of the one that really has that id.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or isinstance(value, bool):
        return None
    written = value if isinstance(value, str) else repr(value)
    if not written.strip():
        return None
    is_key = len(written) <= limit and (written.isprintable() or all(char >= " " and char != "\x7f" for char in written))
    return written if is_key and GONE not in written else UNPARSED


def sku(value: Scalar) -> str | Unparsed | None:
    """A SKU: as long as a shop allows it to be, and as the shop and the warehouse both write it."""
    return key(value, SKU_LIMIT)


def text(value: Scalar) -> str | None:
    """Text, printable and at most 500 characters; None when absent or blank. Numbers are written out: examples mix them with strings."""
    if isinstance(value, str):
        if len(value) > PLAIN_LIMIT or not value.isprintable():
            value = plain(value)
        return value if value.strip() else None
    return None if value is None or isinstance(value, bool) else repr(value)


@_cached
def text_or_na(value: Scalar) -> str | None:
    """Text, where the vendor also spells absent as N/A."""
    written = text(value)
    return None if written is None or written.strip().upper() == "N/A" else written


@_cached
def count(value: Scalar) -> int | Unparsed | None:
    """A whole number of units, not negative. `"2"` and `2.0` count as 2."""
    if value is None:
        return None
    if isinstance(value, bool):
        return UNPARSED
    written = value.strip() if isinstance(value, str) else repr(value)
    return int(written.partition(".")[0]) if _COUNT.fullmatch(written) else UNPARSED


@_cached
def is_true(value: Scalar) -> bool:
    """A flag, however it is spelled; absent is False."""
    return value is True or value in (1, "1") or (isinstance(value, str) and value.strip().lower() == "true")


def _texts(values: Sequence[Scalar], limit: int) -> Sequence[str | None] | None:
    told = _told(values)
    together = "".join(told or ())
    is_plain = together.isprintable() and GONE not in together and not (" " in together and any(map(str.isspace, told or ())))
    return values if told is not None and is_plain and max(map(len, told), default=0) <= limit else None  # type: ignore[return-value]


def _times(values: Sequence[Scalar]) -> Sequence[datetime | None] | None:
    told = _told(values)
    if told is None or not _PLAIN_DATES.fullmatch("".join([f"{value};" for value in told])):
        return None
    try:
        return [None if value is None else datetime.fromisoformat(f"{value.rstrip('Z')}Z") for value in values]  # type: ignore[union-attr]
    except ValueError:  # the thirtieth of February
        return None


def _told(values: Sequence[Scalar]) -> list[str] | None:
    """The texts of a column; None when it holds anything else but None."""
    told = list(filter(None, values))
    is_text = len(told) + values.count(None) == len(values) and set(map(type, told)) <= {str}
    return told if is_text else None  # type: ignore[return-value]


AT_ONCE: Mapping[Callable[..., object], Callable[[Sequence[Scalar]], Sequence[object] | None]] = {
    text: partial(_texts, limit=PLAIN_LIMIT),
    ident: partial(_texts, limit=KEY_LIMIT),
    key: partial(_texts, limit=KEY_LIMIT),
    sku: partial(_texts, limit=SKU_LIMIT),
    time: _times,
}
"""A parser for a whole column of texts and None, where each value is as plain as most are; None where they have to be parsed one by one."""
