"""What a vendor says when it says no: every error envelope in use, read into one code and one message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from backhaul.connectors.text import words

_CODE_LIMIT = 60
_WORDS = ("message", "content", "detail", "title")


@dataclass(frozen=True, slots=True)
class Complaint:
    """A vendor's refusal: its own code where it gives one, and its words; both have passed `text.words`."""

    code: str | None
    message: str | None


def complaint(body: bytes) -> Complaint | None:
    """The complaint in a body, or None when the body is not one of the known envelopes.

    Known: Loop's nine (docs/vendors/loop.md, 5) and MasonHub's `{"message": …}` (docs/vendors/masonhub.md, 7),
    `false` among them. A body that holds a record is never a complaint, whatever else it holds.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if value is False:
        return Complaint(None, None)
    return _of(value) if isinstance(value, dict) and "id" not in value else None


def _of(value: dict[str, Any]) -> Complaint | None:
    inner = value.get("error", value.get("errors"))
    if isinstance(inner, list):
        inner = inner[0] if inner else None
    if isinstance(inner, str):
        return Complaint(_code(value), words(inner))
    if isinstance(inner, dict) and _message(inner) is None and _code(inner) is None:  # ProblemDetails: a map of fields, or "", to texts
        said = [text for texts in inner.values() if isinstance(texts, list) for text in texts if isinstance(text, str)]
        if said and "message" not in value:
            return Complaint(_code(value), words("; ".join(said)))
    source = inner if isinstance(inner, dict) and (_message(inner) or _code(inner)) else value
    message, code = _message(source), _code(source)
    if message is None and code is None:
        return None
    if source is value and isinstance(inner, dict) and inner:
        fields = ", ".join(sorted(str(name) for name in inner))  # a validation error names its fields beside the message
        message = f"{message or code} ({fields})"
    return Complaint(code, words(message) if message else None)


def _message(source: dict[str, Any]) -> str | None:
    return next((source[word] for word in _WORDS if isinstance(source.get(word), str) and source[word]), None)


def _code(source: dict[str, Any]) -> str | None:
    for word in ("http_code", "code"):  # the gateway puts the status in `code` and the symbol in `http_code`
        if isinstance(source.get(word), str | int) and not isinstance(source[word], bool):
            return words(str(source[word]), _CODE_LIMIT)
    return None
