"""Keys: one per effect at a vendor, so that no effect happens twice; and a hash of content, so that no change is missed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from json.encoder import encode_basestring_ascii

from backhaul.domain.words import DeliveryKind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def effect_key(kind: DeliveryKind, return_id: str, draft_hash: str | None = None) -> str:
    """The key of one effect at a vendor, unique within a merchant; the same effect always has the same key.

    A return is created, cancelled, closed, noted, flagged and processed at most once each; it is updated once per content, so only
    `rma.update` takes a `draft_hash`, and must. Raises ValueError otherwise.
    """
    if (kind == DeliveryKind.RMA_UPDATE) != (draft_hash is not None):
        raise ValueError(f"{kind} {'needs the hash of its draft' if draft_hash is None else 'takes no draft hash'}")
    return f"{kind}:{return_id}" if draft_hash is None else f"{kind}:{return_id}:{draft_hash}"


def content_hash(values: Sequence[object]) -> str:
    """32 hex digits that are the same for the same content, in every process and on every machine.

    Takes None, bool, int, str, Decimal and aware datetimes. Equal amounts are the same (78.00 and 78.0), and so are equal instants
    in different zones; null, an empty text and zero are not. Raises TypeError for any other type, ValueError for a naive datetime.
    """
    return blake2b(",".join([_text(value) for value in values]).encode(), digest_size=16).hexdigest()


def _text(value: object) -> str:
    # Called once per column and row of a backfill, so the commonest types come first.
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if value is None:
        return "null"
    if isinstance(value, Decimal):
        return _money(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be hashed; times are aware, in UTC")
        since = value - _EPOCH
        return f"t{since.days}.{since.seconds}.{since.microseconds}"
    if isinstance(value, int):
        return str(value)  # a flag gives True or False, never 1 or 0
    raise TypeError(f"cannot hash a {type(value).__name__}; values are None, bool, int, str, Decimal and datetime")


def _money(value: Decimal) -> str:
    # Through text, since Decimal.normalize rounds to the context's digits, which would hide a change.
    if not value:
        return "d0"  # minus zero is zero
    digits = f"{value:f}"
    return f"d{digits.rstrip('0').rstrip('.')}" if "." in digits else f"d{digits}"
