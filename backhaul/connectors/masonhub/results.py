"""What MasonHub's batch answers mean, record by record (docs/vendors/masonhub.md, 4.3). HTTP 200 says nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

import msgspec

from backhaul.connectors import parse
from backhaul.connectors.base import Outcome, Verdict
from backhaul.connectors.masonhub.wire import BatchWire, ResultWire
from backhaul.connectors.text import WORDS_LIMIT
from backhaul.connectors.text import words as fit
from backhaul.errors import TransientVendorError

_CODE = re.compile(r"\s{0,9}(\d{3})\s{0,9}:")
_MODEL = re.compile(r"\s{0,9}303\s{0,9}:\s{0,9}'([^']{0,100})'")
_UNIQUE = re.compile(r"'(\w{1,64})' must be unique")
_LONGEST = 20 * WORDS_LIMIT  # characters of a message that are looked at
_MOST = 100  # messages of one record
_KEY = "customer_identifier"
_RMA_WORDS = frozenset({"rma", "rmas", "return", "returns"})


class Write(Enum):
    """What was asked; the same code means different things."""

    CREATE = "create"
    UPDATE = "update"
    CANCEL = "cancel"


Message = tuple[str | None, str]  # field, words


def outcomes(body: bytes, return_ids: Sequence[str], write: Write, what: str) -> list[Outcome]:
    """One outcome a record that the answer speaks of, in the order asked.

    A record that the answer does not mention, or says neither success nor failure of, has no outcome here: the caller must take it
    as uncertain and look it up. Raises TransientVendorError, uncertain, for a body without results.
    """
    said: dict[str, Outcome] = {}
    for result in _results(body, what):
        key = parse.ident(result.customer_identifier)
        outcome = None if key is None or key in said else _outcome(key, result, write)
        if outcome is not None:
            said[outcome.return_id] = outcome
    return [said[return_id] for return_id in return_ids if return_id in said]


def _results(body: bytes, what: str) -> list[ResultWire]:
    """The results, from the object that is sent, the one-element array that is specified, or a bare array of results."""
    for shape in (BatchWire, list[BatchWire], list[ResultWire]):
        try:
            decoded: Any = msgspec.json.decode(body, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if isinstance(decoded, list) and decoded and isinstance(decoded[0], ResultWire):
            return decoded
        batch = decoded if isinstance(decoded, BatchWire) else next((one for one in decoded if one.results is not None), None)
        if batch is not None and batch.results is not None:
            return batch.results
    raise TransientVendorError(f"{what}: MasonHub answered without results", is_certain=False)


def _outcome(return_id: str, result: ResultWire, write: Write) -> Outcome | None:
    status = (parse.text(result.status) or "").strip().casefold()
    if status == "success":
        return Outcome(return_id, Verdict.ACCEPTED)
    messages = list(_messages(result.messages))
    if status != "failure" and not messages:
        return None
    verdict, code = _verdict(messages, return_id, write)
    return Outcome(return_id, verdict, code, fit("; ".join(words for _, words in messages)) or None)


def _verdict(messages: Sequence[Message], return_id: str, write: Write) -> tuple[Verdict, str | None]:
    """The first message that is about the RMA itself decides; what is wrong with its lines is a refusal.

    | code | about          | create  | update, cancel |
    |------|----------------|---------|----------------|
    | 301  | the RMA's key  | EXISTS  | REFUSED        |
    | 303  | the RMA        | REFUSED | MISSING        |
    | 409  | its status     | REFUSED | NOT_OPEN       |
    | else |                | REFUSED | REFUSED        |
    """
    first: str | None = None
    for field, words in messages:
        match = _CODE.match(words)
        code = match.group(1) if match else None
        first = first or code
        if write is Write.CREATE and code == "301" and _is_about_key(field, words):
            return Verdict.EXISTS, code
        if write is not Write.CREATE and code == "303" and _is_about_rma(field, words, return_id):
            return Verdict.MISSING, code
        if write is not Write.CREATE and code == "409":
            return Verdict.NOT_OPEN, code
    return Verdict.REFUSED, first


def _is_about_key(field: str | None, words: str) -> bool:
    unique = _UNIQUE.search(words)
    return field in (None, _KEY) and (unique is None or unique.group(1) == _KEY)


def _is_about_rma(field: str | None, words: str, return_id: str) -> bool:
    model = _MODEL.match(words)
    if model is not None and model.group(1).casefold() in _RMA_WORDS:
        return True
    return model is not None and model.group(1) == return_id and field in (None, _KEY)


def _messages(value: Any) -> Iterator[Message]:
    """Messages from `[{field_name, errors: [..]}]`, from `[{<field>: [..]}]`, and from `["303: …"]`."""
    for item in value[:_MOST] if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield None, item[:_LONGEST]
        elif isinstance(item, dict) and "errors" in item:
            name = item.get("field_name")
            yield from ((name if isinstance(name, str) else None, words) for words in _words(item["errors"]))
        elif isinstance(item, dict):
            for field, errors in item.items():
                yield from ((str(field), words) for words in _words(errors))


def _words(value: Any) -> list[str]:
    return [item[:_LONGEST] for item in (value if isinstance(value, list) else [value])[:_MOST] if isinstance(item, str)]
