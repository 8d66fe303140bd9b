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


def redacted(raw: bytes, wanted: frozenset[str], containers: frozenset[str]) -> dict[str, Any]:
    """The record with only `wanted` keys, at any depth; what is not a JSON object leaves only its size.

    Values are kept where they belong: text under a wanted key that is no container, never as an element of a list, and without
    e-mail addresses; objects and lists of objects with what is wanted of them.
    """
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = None
    return _kept(record, wanted, containers) if isinstance(record, dict) else {"unreadable_bytes": len(raw)}


def _kept(record: dict[str, Any], wanted: frozenset[str], containers: frozenset[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in record.items():
        if key not in wanted:
            continue
        if isinstance(value, dict):
            kept[key] = _kept(value, wanted, containers)
        elif isinstance(value, list):
            kept[key] = [_kept(item, wanted, containers) for item in value if isinstance(item, dict)]
        elif key not in containers:
            kept[key] = _EMAIL.sub("[e-mail]", value)[:_TEXT_LIMIT] if isinstance(value, str) else value
    return kept
