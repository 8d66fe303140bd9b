"""Loop's Detailed Returns List and ASN report (docs/vendors/loop.md 4, 6.1 and 6.3; quirks 2, 4, 5 and 6).

The cursor holds one second, as Laravel's does for a non-unique column: rows that share the page's last second are skipped.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from backhaul.sandbox.core.app import Call, Reply, as_json
from backhaul.sandbox.core.ground import Ground
from backhaul.sandbox.loop.recorded import listed
from backhaul.sandbox.loop.state import DEFAULT_STATES, LoopAccount
from backhaul.sandbox.loop.time_index import STATES
from backhaul.sandbox.loop.wire import asn_rows

MAX_SPAN = timedelta(days=120)
MAX_PAGE, DEFAULT_PAGE = 750, 100
DAY = 86_400
FAR = 2**31 - 2  # a second after every other
# All four forms that clients send; an offset is not among them (docs/vendors/loop.md 3: a client dropped it on purpose).
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d):(\d\d)(?:\.\d{1,6})?Z?)?")
_encoder = msgspec.json.Encoder()


class InvalidError(Exception):
    """A 422: the field at fault and what is wrong with it."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name

    def reply(self) -> Reply:
        """Envelope 5 of docs/vendors/loop.md, 5."""
        return as_json({"message": "The given data was invalid.", "errors": {self.name: [str(self)]}}, 422)


@dataclass(frozen=True, slots=True)
class Query:
    """One list request, checked. Seconds since 1970, both ends inclusive."""

    start: int
    end: int
    column: str
    states: tuple[str, ...]
    is_paginated: bool
    page_size: int
    cursor: int | None
    is_forward: bool = True


def parse_second(name: str, text: str) -> int:
    """A date in any of the four forms, to the second. Raises InvalidError."""
    found = _DATE.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except ValueError:
        raise InvalidError(name, f"The {name} is not a valid date.") from None


def encode_cursor(column: str, second: int, *, is_next: bool) -> str:
    """Unpadded base64 of the page's edge."""
    edge = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return base64.b64encode(msgspec.json.encode({column: edge, "_pointsToNextItems": is_next})).decode().rstrip("=")


def _decode_cursor(text: str, column: str) -> tuple[int, bool]:
    try:
        held = msgspec.json.decode(base64.b64decode(text + "=" * (-len(text) % 4)))
        return parse_second("cursor", held[column]), bool(held["_pointsToNextItems"])
    except (binascii.Error, msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError):
        raise InvalidError("cursor", "The cursor is invalid.") from None


def _flag(params: dict[str, str], name: str) -> bool:
    text = params.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise InvalidError(name, f"The {name} field must be true or false.")
    return text in ("true", "1")


def parse_query(params: dict[str, str], now: int) -> Query:
    """Check the parameters and apply the defaults. Raises InvalidError."""
    column = params.get("filter", "created_at")
    if column not in ("created_at", "updated_at"):
        raise InvalidError("filter", "The selected filter is invalid.")
    state = params.get("state")
    if state is not None and state not in STATES:
        raise InvalidError("state", "The selected state is invalid.")
    size = params.get("pageSize", str(DEFAULT_PAGE))
    if not size.isdigit() or not 1 <= int(size) <= MAX_PAGE:
        raise InvalidError("pageSize", f"The page size must be between 1 and {MAX_PAGE}.")
    cursor, is_forward = _decode_cursor(params["cursor"], column) if "cursor" in params else (None, True)
    start, end = _span(params, now, has_cursor=cursor is not None)
    states = DEFAULT_STATES if state is None else (state,)
    return Query(start, end, column, states, _flag(params, "paginate") or cursor is not None, int(size), cursor, is_forward)


def _span(params: dict[str, str], now: int, *, has_cursor: bool) -> tuple[int, int]:
    start = parse_second("from", params["from"]) if "from" in params else None
    end = parse_second("to", params["to"]) if "to" in params else None
    if start is None and has_cursor:  # nextPageUrl followed as it stands has no `from`
        return 0, FAR if end is None else end
    if start is None:  # `to` alone is ignored
        return now - DAY, now
    if end is None:
        return start, start + DAY
    if end < start:
        raise InvalidError("to", "The to must be a date after or equal to from.")
    if end - start > MAX_SPAN.total_seconds():
        raise InvalidError("to", "The date range may not be greater than 120 days.")
    return start, end


def list_returns(ground: Ground, call: Call) -> Reply:
    """GET /warehouse/return/list: a bare array, or an object when paginated."""
    account = ground.account(call.merchant, LoopAccount)
    try:
        query = parse_query(call.query, ground.clock.seconds)
    except InvalidError as problem:
        return problem.reply()
    is_descending = account.options.order == "descending"
    if not query.is_paginated:
        return Reply(b"[" + b",".join(record_json(account, key) for key in _rows(account, query, None, is_descending)) + b"]")
    ids, has_next, has_previous = _page(account, query, is_descending)
    following = _page_url(call, account, query, ids[-1], is_next=True) if has_next and ids else None
    previous = _page_url(call, account, query, ids[0], is_next=False) if has_previous and ids else None
    rows = b",".join(record_json(account, key) for key in ids)
    links = msgspec.json.encode({"nextPageUrl": following, "previousPageUrl": previous})[1:]
    return Reply(b'{"returns":[' + rows + b"]," + links)


def _rows(account: LoopAccount, query: Query, limit: int | None, is_descending: bool) -> list[int]:
    index = account.by_updated if query.column == "updated_at" else account.by_created
    return index.between(query.states, query.start, query.end, limit, is_descending=is_descending)


def _page(account: LoopAccount, query: Query, is_descending: bool) -> tuple[list[int], bool, bool]:
    """The ids of one page, and whether there is more after and before it."""
    if query.cursor is not None:
        # Strictly past the edge second: the rows that tie with it on the last page are lost here.
        below = is_descending == query.is_forward
        query = replace(query, end=min(query.end, query.cursor - 1)) if below else replace(query, start=max(query.start, query.cursor + 1))
    if query.is_forward:
        ids = _rows(account, query, query.page_size + 1, is_descending)
        return ids[: query.page_size], len(ids) > query.page_size, query.cursor is not None
    ids = _rows(account, query, query.page_size + 1, not is_descending)
    return ids[: query.page_size][::-1], True, len(ids) > query.page_size


def _page_url(call: Call, account: LoopAccount, query: Query, edge: int, *, is_next: bool) -> str:
    """The documented form: `from`, `state` and `paginate` are missing from it."""
    second = account.moment(edge, query.column)
    params = {"to": call.query["to"]} if "to" in call.query else {}
    params |= {"filter": query.column, "pageSize": str(query.page_size), "cursor": encode_cursor(query.column, second, is_next=is_next)}
    version = call.path["version"]
    return f"{call.base_url}/{call.merchant}/loop/api/{version}/warehouse/return/list?{urlencode(params)}"


def record_json(account: LoopAccount, return_id: int) -> bytes:
    """One record of the list, serialised once and kept until it changes."""
    item = account.held(return_id)
    if item is None and account.bulk is not None:
        return account.bulk.record_json(return_id)
    item = item or account.need(return_id)
    if item.list_json is None:
        item.list_json = _encoder.encode(listed(item, account.options.surface))
    return item.list_json


def asn_report(ground: Ground, call: Call) -> Reply:
    """GET /warehouse/reporting/asn: a bare array of lines, unpaginated; an unreadable date becomes 1970, over 120 days are refused."""
    account, now = ground.account(call.merchant, LoopAccount), ground.clock.seconds
    midnight = now - now % DAY
    start = _asn_day(call.query.get("from"), midnight - 7 * DAY)
    end = _asn_day(call.query.get("to"), midnight) + DAY - 1
    if end + 1 - start > MAX_SPAN.total_seconds():
        return InvalidError("to", "The date range may not be greater than 120 days.").reply()
    ids = account.by_created.between(STATES, start, end, None, is_descending=False)
    return as_json([row for key in ids for row in asn_rows(account.peek(key))])


def _asn_day(text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        second = parse_second("date", text)
    except InvalidError:
        return 0
    return second - second % DAY
