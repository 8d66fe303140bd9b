"""What a webhook's body says, as far as keeping it needs: its topic, whose it is, when it happened, and its body without personal data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from backhaul.connectors import parse
from backhaul.connectors.parse import Scalar
from backhaul.connectors.text import kept
from backhaul.errors import StructuralError

MOST_RECORDS = 1_000  # in one body; the documented ones hold one, and what is refused comes by poll
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_IDENT = re.compile(r"[A-Za-z0-9_:.-]{1,100}")


class TooManyRecordsError(StructuralError):
    """A body of more records than are read at once."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One event in a body. `body` is JSON; `message_id` tells messages apart where the vendor repeats a body for another event."""

    topic: str
    record_key: str | None
    body: str
    occurred_at: datetime | None = None
    message_id: str = ""


def left_of(raw: bytes, *fields: frozenset[str]) -> dict[str, Any]:
    """What is wanted of a body whose structure did not decode. Raises ValueError for one that is no JSON object."""
    left = kept(raw, *fields)
    if "unreadable_bytes" in left:
        raise ValueError("not a JSON object")
    return left


def scalar(value: Any) -> Scalar:
    """A value that stands alone; None for a list or an object."""
    return value if isinstance(value, str | int | float) else None


def word(value: Scalar) -> str | None:
    """A topic or a status, if it has the form of one."""
    written = parse.text(value)
    return written if written is not None and _WORD.fullmatch(written) else None


def ident(value: Scalar) -> str | None:
    """An id, if it has the form of one."""
    written = parse.ident(value)
    return written if written is not None and _IDENT.fullmatch(written) else None
