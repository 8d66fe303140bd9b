"""A vendor's bytes as its wire types, and what is kept of them. What cannot be read is told by the names of fields, never by a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from backhaul.connectors.base import Rejected
from backhaul.connectors.text import BODY_LIMIT, fingerprint, kept
from backhaul.errors import StructuralError

T = TypeVar("T")
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_ENCODER = msgspec.json.Encoder()


def why(error: Exception) -> str:
    """What is wrong with a body: msgspec names the path and the types, never the value; other errors may show bytes of it."""
    return str(error) if isinstance(error, msgspec.MsgspecError) else f"not readable as JSON: {error.__class__.__name__}"


def shaped(body: bytes | msgspec.Raw, shape: Any, what: str) -> Any:
    """A body of the shape. Raises StructuralError that names `what` it was."""
    try:
        return msgspec.json.decode(body, type=shape)
    except UNREADABLE as error:
        raise StructuralError(f"{what} has a shape that is not known: {why(error)}") from None


def decoded(
    decode: Callable[[msgspec.Raw | bytes], T], records: Sequence[msgspec.Raw | bytes], reject: Callable[[bytes, Exception], Rejected]
) -> tuple[list[T], list[Rejected]]:
    """The records that can be read, and those that cannot: one harms no other."""
    good: list[T] = []
    bad: list[Rejected] = []
    for record in records:
        try:
            good.append(decode(record))
        except UNREADABLE as error:
            bad.append(reject(bytes(record), error))
    return good, bad


def rejected(rule: str, raw: bytes, left: dict[str, Any], key: str | None, error: Exception, order_name: Any = None) -> Rejected:
    """A record that could not be decoded; `left` is what may be kept of it."""
    name = order_name if isinstance(order_name, str) else None
    return Rejected(key or fingerprint(raw), name, rule, why(error), encoded(left))


def body_of(record: msgspec.Struct, *fields: frozenset[str]) -> str:
    """What is kept of a record that decoded: its wanted fields, so no personal data. No text of one that is far too long is long."""
    body = _ENCODER.encode(record)
    return (body if len(body) <= BODY_LIMIT else _ENCODER.encode(kept(body, *fields))).decode()


def encoded(left: dict[str, Any]) -> str:
    """What was left of a record, as JSON."""
    return _ENCODER.encode(left).decode()
