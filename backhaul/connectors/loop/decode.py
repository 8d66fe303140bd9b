"""Loop's bytes as typed records. A page is decoded in one go where that works, else record by record, so that a bad one harms no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from backhaul.connectors import decoding, parse
from backhaul.connectors.base import Rejected
from backhaul.connectors.decoding import UNREADABLE
from backhaul.connectors.frames import parsed, picked
from backhaul.connectors.loop.paginate import Row
from backhaul.connectors.loop.wire import CONTAINERS, FREE, WANTED, PageWire, PeekWire, RawPageWire, ReturnWire
from backhaul.connectors.text import fingerprint, kept
from backhaul.errors import StructuralError

UNDECODABLE = "WIRE-001"

Record = ReturnWire | Rejected

_PAGE, _RAW_PAGE = msgspec.json.Decoder(PageWire), msgspec.json.Decoder(RawPageWire)
_LIST, _RAW_LIST = msgspec.json.Decoder(list[ReturnWire]), msgspec.json.Decoder(list[msgspec.Raw])
_ONE, _PEEK = msgspec.json.Decoder(ReturnWire), msgspec.json.Decoder(PeekWire)
_ENCODER = msgspec.json.Encoder()


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
    except UNREADABLE:
        pass  # at least one record is bad, or the whole answer
    try:
        if is_bare:
            return decode(_RAW_LIST.decode(body)), False
        raw_page = _RAW_PAGE.decode(body)
        return decode(raw_page.returns), bool(raw_page.nextPageUrl)
    except UNREADABLE as error:
        raise StructuralError(f"{what} has a shape that is not known: {decoding.why(error)}") from None


def decode(raws: Sequence[msgspec.Raw | bytes]) -> list[Record]:
    """JSON objects as the list, the details or a `return` webhook have them; one that cannot be decoded is `Rejected` (rule WIRE-001)."""
    records: list[Record] = []
    for raw in raws:
        try:
            records.append(_ONE.decode(raw))
        except UNREADABLE as error:
            records.append(_rejected(bytes(raw), error))
    return records


def encode(record: ReturnWire) -> str:
    """A record as JSON again: the wanted fields only, so without personal data; of one that is far too long, no text is long."""
    return decoding.body_of(record, WANTED, CONTAINERS, FREE)


def row_of(record: Record) -> Row:
    """What paging needs of a record, however bad the rest of it is. One without an id is told by its content."""
    if isinstance(record, Rejected):
        return Row(record.record_key, _moment(_PEEK.decode(record.body).updated_at))
    return Row(parse.ident(record.id) or fingerprint(_ENCODER.encode(record)), _moment(record.updated_at))


def rows_of(records: Sequence[Record]) -> list[Row]:
    """`row_of` of each record of a page."""
    if not set(map(type, records)) <= {ReturnWire}:
        return list(map(row_of, records))
    ids, moments = parsed(picked(records, "id"), parse.ident), parsed(picked(records, "updated_at"), parse.time)
    return [
        Row(ident, moment) if ident is not None and moment is not parse.UNPARSED else row_of(record)
        for ident, moment, record in zip(ids, moments, records, strict=True)
    ]


def _moment(value: object) -> datetime | None:
    moment = parse.time(value) if isinstance(value, str) else None
    return moment if isinstance(moment, datetime) else None


def _rejected(raw: bytes, error: Exception) -> Rejected:
    body = kept(raw, WANTED, CONTAINERS, FREE)
    key = body.get("id")
    own = parse.ident(key) if isinstance(key, str | int) else None
    return decoding.rejected(UNDECODABLE, raw, body, own, error, body.get("order_name"))
