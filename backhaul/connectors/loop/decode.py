"""Loop's bytes as typed records. A page is decoded in one go where that works, else record by record, so that a bad one harms no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from backhaul.connectors import parse
from backhaul.connectors.base import Rejected
from backhaul.connectors.loop.paginate import Row
from backhaul.connectors.loop.wire import CONTAINERS, FREE, WANTED, PageWire, PeekWire, RawPageWire, ReturnWire
from backhaul.connectors.text import BODY_LIMIT, fingerprint, kept
from backhaul.errors import StructuralError

UNDECODABLE = "WIRE-001"

Record = ReturnWire | Rejected

_PAGE, _RAW_PAGE = msgspec.json.Decoder(PageWire), msgspec.json.Decoder(RawPageWire)
_LIST, _RAW_LIST = msgspec.json.Decoder(list[ReturnWire]), msgspec.json.Decoder(list[msgspec.Raw])
_ONE, _PEEK = msgspec.json.Decoder(ReturnWire), msgspec.json.Decoder(PeekWire)
_ENCODER = msgspec.json.Encoder()
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_page(body: bytes, what: str) -> tuple[Sequence[Record], bool]:
    """The records of a list call's answer, and whether Loop says that there are more. Both documented shapes are read, whatever was asked.

    Raises StructuralError, naming `what`, for an answer of neither shape.
    """
    is_bare = body.lstrip().startswith(b"[")
    try:
        if is_bare:
            return _LIST.decode(body), False
        page = _PAGE.decode(body)
        return page.returns, bool(page.nextPageUrl)
    except _UNREADABLE:
        pass  # at least one record is bad, or the whole answer
    try:
        if is_bare:
            return decode(_RAW_LIST.decode(body)), False
        raw_page = _RAW_PAGE.decode(body)
        return decode(raw_page.returns), bool(raw_page.nextPageUrl)
    except _UNREADABLE as error:
        raise StructuralError(f"{what} has a shape that Loop does not document: {_why(error)}") from None


def decode(raws: Sequence[msgspec.Raw | bytes]) -> list[Record]:
    """JSON objects as the list, the details or a `return` webhook have them; one that cannot be decoded is `Rejected` (rule WIRE-001)."""
    records: list[Record] = []
    for raw in raws:
        try:
            records.append(_ONE.decode(raw))
        except _UNREADABLE as error:
            records.append(_rejected(bytes(raw), error))
    return records


def encode(record: ReturnWire) -> str:
    """A record as JSON again: the wanted fields only, so without personal data; of one that is far too long, no text is long."""
    body = _ENCODER.encode(record)
    return (body if len(body) <= BODY_LIMIT else _ENCODER.encode(kept(body, WANTED, CONTAINERS, FREE))).decode()


def row_of(record: Record) -> Row:
    """What paging needs of a record, however bad the rest of it is. One without an id is told by its content."""
    if isinstance(record, Rejected):
        return Row(record.record_key, _moment(_PEEK.decode(record.body).updated_at))
    return Row(parse.ident(record.id) or fingerprint(_ENCODER.encode(record)), _moment(record.updated_at))


def _moment(value: object) -> datetime | None:
    moment = parse.time(value) if isinstance(value, str) else None
    return moment if isinstance(moment, datetime) else None


def _rejected(raw: bytes, error: Exception) -> Rejected:
    body = kept(raw, WANTED, CONTAINERS, FREE)
    key = body.get("id")
    name = body.get("order_name")
    return Rejected(
        record_key=(parse.ident(key) if isinstance(key, str | int) else None) or fingerprint(raw),
        order_name=name if isinstance(name, str) else None,
        rule=UNDECODABLE,
        reason=_why(error),
        body=_ENCODER.encode(body).decode(),
    )


def _why(error: Exception) -> str:
    # msgspec names the path and the types, never the value; other errors may show bytes of it
    return str(error) if isinstance(error, msgspec.MsgspecError) else f"not readable as JSON: {error.__class__.__name__}"
