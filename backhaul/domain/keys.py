"""Keys: one per effect at a vendor, so that no effect happens twice; and a hash of content, so that no change is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from types import NoneType
from typing import Any

from backhaul.domain.columns import once_each
from backhaul.domain.words import DeliveryKind

_NULL = "null"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def effect_key(kind: DeliveryKind, return_id: str, draft_hash: str | None = None, generation: int = 1) -> str:
    """The key of one effect at a vendor, unique within a merchant; the same effect always has the same key.

    A return is closed, noted, flagged and processed at most once each; it is updated once per content, so only `rma.update` takes a
    `draft_hash`, and must. `generation` counts its RMAs from 1: a return that opens again, or moves to another warehouse, is announced
    anew, and that RMA may be withdrawn in its turn. Raises ValueError otherwise.
    """
    if (kind == DeliveryKind.RMA_UPDATE) != (draft_hash is not None):
        raise ValueError(f"{kind} {'needs the hash of its draft' if draft_hash is None else 'takes no draft hash'}")
    if generation != 1 and kind not in (DeliveryKind.RMA_CREATE, DeliveryKind.RMA_CANCEL):
        raise ValueError(f"{kind} has no generations")
    parts = [kind, return_id, *([draft_hash] if draft_hash is not None else []), *([str(generation)] if generation > 1 else [])]
    return ":".join(parts)


def content_hash(values: Sequence[object]) -> str:
    """32 hex digits that are the same for the same content, in every process and on every machine.

    Takes None, bool, int, str, Decimal and aware datetimes. Equal amounts are the same (78.00 and 78.0), and so are equal instants
    in different zones; null, an empty text and zero are not. Raises TypeError for any other type, ValueError for a naive datetime.
    """
    return hash_of(",".join(map(_form, values)))


def forms(rows: Sequence[Sequence[object]], places: Sequence[int]) -> dict[int, list[str]]:
    """The forms of the values in these columns, by the column's place; `canonical` joins those that count.

    Done by columns, since a backfill hashes 60 values of each of a million returns, and most values of a column repeat.
    """
    columns = list(zip(*rows, strict=True)) or [()] * (max(places, default=0) + 1)
    return {place: _forms(columns[place]) for place in places}


def canonical(columns: Mapping[int, Sequence[str]], places: Sequence[int]) -> Iterator[str]:
    """Each row's forms in one text: the same for the same content, so that `hash_of(text)` is the `content_hash` of the row's values."""
    return map(",".join, zip(*(columns[place] for place in places), strict=True))


def hash_of(text: str) -> str:
    """32 hex digits of a text."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _forms(values: Sequence[Any]) -> list[str]:
    try:
        return list(map(encode_basestring_ascii, values))
    except TypeError:  # not all are texts
        return once_each(_form, values)


def _form(value: object) -> str:
    return _FORMS.get(type(value), _other)(value)


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("a naive datetime cannot be hashed; times are aware, in UTC")
    since = value - _EPOCH
    return f"t{since.days}.{since.seconds}.{since.microseconds}"


def _money(value: Decimal) -> str:
    # Through text, since Decimal.normalize rounds to the context's digits, which would hide a change.
    if not value:
        return "d0"  # minus zero is zero
    digits = str(value)
    if "E" in digits:
        digits = f"{value:f}"
    return f"d{digits.rstrip('0').rstrip('.')}" if "." in digits else f"d{digits}"


_FORMS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring_ascii,
    NoneType: lambda _: _NULL,
    Decimal: _money,
    datetime: _instant,
    bool: str,  # True or False, never 1 or 0
    int: str,
}


def _other(value: object) -> str:
    """A value of a type that only derives from one of those above, such as an enum's."""
    for known, form in _FORMS.items():
        if isinstance(value, known):
            return form(value)
    raise TypeError(f"cannot hash a {type(value).__name__}; values are None, bool, int, str, Decimal and datetime")
