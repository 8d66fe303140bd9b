"""Airhouse as a warehouse: one return a call, read by what changed since. All of it as assumed in `wire`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Self
from urllib.parse import quote

import msgspec
from pydantic import SecretStr

from backhaul.connectors import parse
from backhaul.connectors.airhouse import normalise as receipts
from backhaul.connectors.airhouse.settings import AirhouseSettings, require_contract
from backhaul.connectors.airhouse.wire import (
    CANCEL_PATH,
    CANCELLED,
    CLOSE_PATH,
    CLOSED,
    DUPLICATE,
    IDEMPOTENCY_HEADER,
    NOT_THERE,
    PAGE_SIZE,
    PAGES_LONGEST,
    PAGES_OF_A_KEY,
    RETURN_PATH,
    RETURNS_PATH,
    SCOPE,
    WRONG_STATE,
    ItemOut,
    ListWire,
    ReturnOut,
    ReturnPatch,
    ReturnWire,
    status_of,
)
from backhaul.connectors.base import News, Outcome, ReceiptBatch, Rejected, Verdict
from backhaul.connectors.decoding import shaped
from backhaul.connectors.http import CALL_DEADLINE, Http, Observe, budget_for, within
from backhaul.domain.rma import RmaDraft
from backhaul.errors import (
    PermanentVendorError,
    RefusedError,
    StructuralError,
    TransientVendorError,
    UnauthorizedError,
)

_VERDICTS = {DUPLICATE: Verdict.EXISTS, NOT_THERE: Verdict.MISSING, WRONG_STATE: Verdict.NOT_OPEN}


class Airhouse:
    """One merchant's Airhouse account, a `Warehouse`.

    A write whose answer does not show its effect has no `Outcome`: take it as uncertain, and look it up.
    """

    name = "airhouse"
    batch_size = keys_per_find = 1
    must_close = True

    def __init__(self, http: Http) -> None:
        self.http = http

    @classmethod
    def connect(cls, settings: AirhouseSettings, *, merchant: str, api_key: SecretStr, observe: Observe | None = None) -> Self:
        """A client for the account in `settings`. Raises ConfigError unless `assumed_contract` is true."""
        require_contract(settings, f"merchants.{merchant}.airhouse")
        http = Http(
            settings.base_url,
            {"Authorization": f"Bearer {api_key.get_secret_value().strip()}"},
            vendor="airhouse",
            merchant=merchant,
            budget=budget_for("airhouse", merchant, settings.requests_per_minute),
            credential=settings.api_key,
            scope=SCOPE,
            observe=observe,
        )
        return cls(http)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def create(self, drafts: Sequence[RmaDraft]) -> list[Outcome]:
        """Announce one return. The same again is accepted again; EXISTS when another body has its external_id."""
        draft = _only(drafts)
        return self._write(draft.return_id, "POST", RETURNS_PATH, _wire_form(draft), operation="create_return", key=draft.return_id)

    def update(self, drafts: Sequence[RmaDraft]) -> list[Outcome]:
        """Replace the items and the tracking number of one return. NOT_OPEN once it is delivered."""
        draft = _only(drafts)
        with within(CALL_DEADLINE):
            found = self._find(draft.return_id)
            if found is None:
                return [_missing(draft.return_id)]
            change = ReturnPatch(_items(draft), draft.tracking_number)
            return self._write(draft.return_id, "PATCH", _path(RETURN_PATH, found), change, operation="update_return")

    def cancel(self, return_ids: Sequence[str]) -> list[Outcome]:
        """Withdraw one return. NOT_OPEN once it is delivered; accepted when it is cancelled already."""
        return self._move(_only(return_ids), CANCEL_PATH, CANCELLED, "cancel_return")

    def close(self, return_ids: Sequence[str]) -> list[Outcome]:
        """Close one processed return; accepted when it is closed already, NOT_OPEN before it is processed."""
        return self._move(_only(return_ids), CLOSE_PATH, CLOSED, "close_return")

    def find(self, return_ids: Sequence[str]) -> ReceiptBatch:
        """The returns with these external_ids, as they are now, one call each."""
        wires: list[ReturnWire] = []
        rejected: list[Rejected] = []
        for return_id in dict.fromkeys(return_ids):
            found, bad = self._of(return_id)
            wires += found[-1:]  # the list is in order of change
            rejected += bad
        return receipts.batch(wires, rejected)

    def news(self, since: datetime, until: datetime, calls: int | None = None, cursor: str | None = None) -> News:
        """Every return that changed at `since` or later, whoever made it, one row each. What changed after `until` is news as well.

        The list is in order of change, so that a part of it is all up to the newest change in it. A cursor is Airhouse's own.
        """
        if since.tzinfo is None:
            raise ValueError("a range of time is aware")
        params = {"updated_since": since.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")}
        pages = list(islice(self._pages(params, "list_returns", PAGES_LONGEST, cursor), calls))
        records = [record for page, _ in pages for record in page]
        wires, rejected = receipts.decoded(records)
        newest = {parse.ident(wire.id) or str(place): wire for place, wire in enumerate(wires)}  # one that changed meanwhile comes twice
        return News(receipts.batch(list(newest.values()), rejected), len(pages), pages[-1][1])

    def _move(self, return_id: str, path: str, status: str, operation: str) -> list[Outcome]:
        with within(CALL_DEADLINE):
            found = self._find(return_id)
            if found is None:
                return [_missing(return_id)]
            if status_of(parse.text(found.status)) == status:
                return [Outcome(return_id, Verdict.ACCEPTED, message=f"it is {status} already")]
            return self._write(return_id, "POST", _path(path, found), None, operation=operation, status=status)

    def _write(
        self, return_id: str, method: str, path: str, body: Any, *, operation: str, key: str | None = None, status: str | None = None
    ) -> list[Outcome]:
        """One write, and what its answer shows: our return, with `status` where that is asked for."""
        headers = None if key is None else {IDEMPOTENCY_HEADER: key}
        try:
            answer = self.http.write(method, path, body, headers=headers, operation=operation)
        except RefusedError as refusal:
            return [Outcome(return_id, _VERDICTS.get(refusal.code or "", Verdict.REFUSED), refusal.code, str(refusal))]
        mine = [wire for wire in receipts.decoded([answer])[0] if parse.ident(wire.external_id) == return_id]
        return [Outcome(return_id, Verdict.ACCEPTED) for wire in mine if status in (None, status_of(parse.text(wire.status)))]

    def _find(self, return_id: str) -> ReturnWire | None:
        """The record that a write is about. Whatever keeps it from being read is passing: nothing has been sent, and nothing refused."""
        try:
            found, rejected = self._of(return_id)
        except UnauthorizedError:
            raise
        except (PermanentVendorError, StructuralError) as error:
            raise TransientVendorError(f"{error}; nothing was sent") from None
        if rejected:
            why = f"Airhouse's return {return_id} cannot be read: {rejected[0].reason}; nothing was sent"
            raise TransientVendorError(f"{self.http.merchant}: {why}")
        return found[-1] if found else None

    def _of(self, return_id: str) -> tuple[list[ReturnWire], list[Rejected]]:
        """The records with an external_id. A server that does not know the filter sends everything, so each is looked at."""
        pages = self._pages({"external_id": return_id}, "find_return", PAGES_OF_A_KEY)
        records = [record for page, _ in pages for record in page]
        wires, rejected = receipts.decoded(records)
        mine = [wire for wire in wires if parse.ident(wire.external_id) == return_id]
        return mine, [bad for bad in rejected if bad.record_key == return_id]

    def _pages(
        self, params: dict[str, str], operation: str, longest: int, cursor: str | None = None
    ) -> Iterator[tuple[list[msgspec.Raw], str | None]]:
        """The pages of a list, a call each, with the cursor of the next, None after the last.

        Raises StructuralError for a page that is none, for a cursor that comes again, and for more pages than `longest`.
        """
        seen: set[str] = set()
        page: dict[str, str | int] = {**params, "limit": PAGE_SIZE}
        for _ in range(longest):
            if cursor is not None:
                seen.add(cursor)
                page["cursor"] = cursor
            body = self.http.read(RETURNS_PATH, page, operation=operation)
            listed = shaped(body, ListWire, f"{self.http.merchant}: Airhouse's list of returns")
            cursor = listed.next_cursor or None
            yield listed.data, cursor
            if cursor is None:
                return
            if cursor in seen:
                raise StructuralError(f"{self.http.merchant}: Airhouse's list of returns gives the same cursor twice")
        asked = ", ".join(f"{name} {value}" for name, value in params.items())
        raise StructuralError(f"{self.http.merchant}: Airhouse's list of returns ({asked}) has not ended after {longest} pages")


def _only(records: Sequence[Any]) -> Any:
    if len(records) != 1:
        raise ValueError(f"Airhouse takes one return a call, not {len(records)}")
    return records[0]


def _path(template: str, wire: ReturnWire) -> str:
    return template.format(id=quote(parse.ident(wire.id) or "", safe=""))


def _missing(return_id: str) -> Outcome:
    return Outcome(return_id, Verdict.MISSING, NOT_THERE, f"Airhouse has no return with the external_id {return_id}")


def _wire_form(draft: RmaDraft) -> ReturnOut:
    return ReturnOut(draft.return_id, _items(draft), order_number=draft.order_name, tracking_number=draft.tracking_number)


def _items(draft: RmaDraft) -> list[ItemOut]:
    return [ItemOut(line.sku, line.units, line.reason or line.reason_code) for line in draft.lines]
