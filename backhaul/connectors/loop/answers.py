"""What Loop's answers to writes and small reads mean. Loop often refuses with HTTP 200, so only the body tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from backhaul.connectors import parse
from backhaul.connectors.decoding import shaped, why
from backhaul.connectors.envelopes import complaint
from backhaul.connectors.loop.endpoints import DETAILS_NOT_FOUND
from backhaul.connectors.loop.wire import AsnWire, NotesWire, NoteWire, WebhookWire
from backhaul.errors import RefusedError, StructuralError, TransientVendorError

_DONE = (b"true", b'"true"')  # documented as a string, tested by clients as a boolean


@dataclass(frozen=True, slots=True)
class AsnRow:
    """One returned unit, as the advance shipping notice report has it. `report_id` may be the return's id; Loop does not say."""

    report_id: str | None
    line_item_id: str | None
    order_name: str | None
    state: str | None
    sku: str | None
    created_at: datetime | None
    updated_at: datetime | None
    tracking_number: str | None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook subscription: one topic (the payload), one trigger (when), one URL."""

    id: str
    topic: str | None
    trigger: str | None
    url: str | None
    status: str | None


def require_done(body: bytes, what: str) -> None:
    """Return when a write was accepted: the body is `true`, and nothing else will do.

    Raises RefusedError for `false` and for every error envelope (docs/vendors/loop.md, 5), with Loop's code where there is
    one; TransientVendorError, uncertain, for JSON that is neither.
    """
    if body.strip() in _DONE:
        return
    found = complaint(body)
    if found is None:
        raise TransientVendorError(f"{what}: Loop answered with JSON that is neither true nor a refusal", is_certain=False)
    raise RefusedError(f"{what}: {found.message or found.code or 'Loop answered false'}", code=found.code)


def details_records(body: bytes, what: str) -> Sequence[msgspec.Raw | bytes]:
    """The returns in a details answer: an object is one, an array is as many as it holds; none when Loop has no such return.

    Loop says the latter with HTTP 200. Raises StructuralError for anything else.
    """
    start = body.lstrip()[:1]
    if start == b"[":
        return shaped(body, list[msgspec.Raw], what)  # type: ignore[no-any-return]
    if start != b"{":
        raise StructuralError(f"{what}: Loop answered with something that is no return")
    found = complaint(body)
    if found is None:
        return [body]
    if found.message and DETAILS_NOT_FOUND in found.message.casefold():
        return []
    raise StructuralError(f"{what}: Loop answered with a complaint instead of a return: {found.message or found.code}")


def asn_rows(body: bytes, what: str) -> list[AsnRow]:
    """The rows of the report, without the personal data it is full of. Times and ids that do not parse are None.

    A row that cannot be decoded is left out: it says nothing that could be held against the list.
    """
    raws = shaped(body, list[msgspec.Raw], what)
    rows = [row for row in map(_asn_row, raws) if row is not None]
    return [
        AsnRow(
            report_id=parse.ident(row.id),
            line_item_id=parse.ident(row.return_line_item_id),
            order_name=parse.text(row.order_name),
            state=parse.text(row.state),
            sku=parse.text(row.sku),
            created_at=_time(row.created_at),
            updated_at=_time(row.updated_at),
            tracking_number=parse.text_or_na(row.tracking_number),
        )
        for row in rows
    ]


def note_texts(body: bytes, what: str) -> list[str]:
    """The texts of a return's notes: a bare array, or an object that holds it, or `false` for none."""
    if body.strip() in (b"false", b"null"):
        return []
    try:
        notes: Sequence[NoteWire]
        if body.lstrip().startswith(b"["):
            notes = msgspec.json.decode(body, type=list[NoteWire])
        else:
            notes = msgspec.json.decode(body, type=NotesWire).notes
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        found = complaint(body)
        raise StructuralError(f"{what}: {(found.message or found.code) if found else why(error)}") from None
    return [note.content for note in notes if isinstance(note.content, str) and note.content.strip()]  # as written: ours is looked for


def webhook(wire: WebhookWire) -> Webhook:
    """A subscription from its wire form."""
    return Webhook(
        id=parse.ident(wire.id) or "",
        topic=parse.text(wire.topic),
        trigger=parse.text(wire.trigger),
        url=parse.text(wire.url),
        status=parse.text(wire.status),
    )


def _asn_row(raw: msgspec.Raw) -> AsnWire | None:
    try:
        return msgspec.json.decode(raw, type=AsnWire)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _time(value: parse.Scalar) -> datetime | None:
    moment = parse.time(value)
    return moment if isinstance(moment, datetime) else None
