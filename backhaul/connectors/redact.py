"""Personal data out of records that could not be decoded: only keys on an allow-list are kept."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

_EMAIL = re.compile(r"\S+@\S+")
_TEXT_LIMIT = 200


def fingerprint(raw: bytes) -> str:
    """`sha256:…` of the bytes, the key of a record that has no readable id."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def redacted(raw: bytes, wanted: frozenset[str]) -> dict[str, Any]:
    """The record with only `wanted` keys, at any depth; what is not a JSON object leaves only its size.

    Text is kept under a wanted key alone, never as an element of a list; e-mail addresses are removed from it.
    """
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = None
    return _kept(record, wanted) if isinstance(record, dict) else {"unreadable_bytes": len(raw)}


def _kept(record: dict[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    return {key: _value(value, wanted) for key, value in record.items() if key in wanted}


def _value(value: Any, wanted: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return _kept(value, wanted)
    if isinstance(value, list):
        return [_kept(item, wanted) for item in value if isinstance(item, dict)]
    return _EMAIL.sub("[e-mail]", value)[:_TEXT_LIMIT] if isinstance(value, str) else value
