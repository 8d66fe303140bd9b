"""ShipBob as a warehouse: one return a call to write, read by key and by status, since no list tells what changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import SecretStr

from backhaul.connectors import parse
from backhaul.connectors.base import News, Outcome, ReceiptBatch, Rejected, Verdict
from backhaul.connectors.http import Http, Observe, budget_for
from backhaul.connectors.shipbob import normalise as receipts
from backhaul.connectors.shipbob.endpoints import (
    CANCELLED,
    CHANNEL_HEADER,
    DEFAULT,
    EDITABLE,
    OPEN_STATUSES,
    REQUESTED_ACTION,
    RESTOCK,
    RETURNS,
    SCOPE,
    stage_of,
    status_of,
    word,
)
from backhaul.connectors.shipbob.items import Item, Items, Unfit, items_for
from backhaul.connectors.shipbob.paging import pages
from backhaul.connectors.shipbob.settings import ShipBobSettings, require_contract
from backhaul.connectors.shipbob.wire import LineOut, LineWire, PlaceOut, RequestedWire, ReturnOut, ReturnWire
from backhaul.domain.rma import RmaDraft
from backhaul.domain.words import RmaStage
from backhaul.errors import PermanentVendorError, RefusedError, StructuralError

_OWN = receipts.MADE_BY_WAREHOUSE.format(rma_id="")
_COMPLETED, _OPEN, _DONE = "completed", "open", "done"
_SECOND = timedelta(seconds=1)  # what is cut off the time that is asked for


class ShipBob:
    """One merchant's ShipBob account, a `Warehouse`.

    A write whose answer does not show its effect has no `Outcome`: take it as uncertain, and look it up. ShipBob's refusals have no
    documented code and their words are never parsed: what a refusal means is read from the record.
    """

    name = "shipbob"
    batch_size = 1
    must_close = False
    keys_per_find = RETURNS.keys_per_call

    def __init__(self, http: Http, settings: ShipBobSettings, items: Items) -> None:
        self.http, self.items = http, items
        self._settings = settings

    @classmethod
    def connect(cls, settings: ShipBobSettings, *, merchant: str, token: SecretStr, mode: str, observe: Observe | None = None) -> Self:
        """A client for the account in `settings`. Raises ConfigError for a live merchant unless `assumed_contract` is true."""
        require_contract(settings, mode, f"merchants.{merchant}.shipbob")
        http = Http(
            f"{settings.base_url}/{settings.version}",
            {"Authorization": f"Bearer {token.get_secret_value().strip()}"},
            vendor="shipbob",
            merchant=merchant,
            budget=budget_for("shipbob", merchant, settings.requests_per_minute),
            credential=settings.token,
            scope=SCOPE,
            observe=observe,
        )
        return cls(http, settings, items_for(merchant, settings.base_url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_connections()

    def close_connections(self) -> None:
        """Give the connections back."""
        self.http.close()

    def create(self, drafts: Sequence[RmaDraft]) -> list[Outcome]:
        """Announce one return. EXISTS when its reference is taken by a return that is there; REFUSED for a SKU that ShipBob cannot take."""
        draft = _only(drafts)
        body = self._wire_form(draft)
        if isinstance(body, Outcome):
            return [body]
        headers = {CHANNEL_HEADER: str(self._settings.channel_id)}
        try:
            answer = self.http.write("POST", RETURNS.path, body, headers=headers, operation="create_return")
        except RefusedError as refusal:
            return [self._of_refused_create(draft.return_id, body, refusal)]
        return _shown(answer, draft.return_id)

    def update(self, drafts: Sequence[RmaDraft]) -> list[Outcome]:
        """Replace one return, whole. NOT_OPEN once its parcel has arrived."""
        draft = _only(drafts)
        found = self._one(draft.return_id)
        barred = _barred(draft.return_id, found)
        if barred is not None or found is None:
            return [barred or _missing(draft.return_id)]
        body = self._wire_form(draft)
        if isinstance(body, Outcome):
            return [body]
        try:
            answer = self.http.write("PUT", RETURNS.one.format(id=parse.ident(found.id)), body, operation="update_return")
        except RefusedError as refusal:
            return [self._of_late_refusal(draft.return_id, refusal)]
        return _shown(answer, draft.return_id)

    def cancel(self, return_ids: Sequence[str]) -> list[Outcome]:
        """Withdraw one return. NOT_OPEN once its parcel has arrived; accepted when it is cancelled already."""
        return_id = _only(return_ids)
        found = self._one(return_id)
        if found is not None and _is_gone(found):
            return [Outcome(return_id, Verdict.ACCEPTED, message="it is cancelled already")]
        barred = _barred(return_id, found)
        if barred is not None or found is None:
            return [barred or _missing(return_id)]
        try:
            self.http.write("POST", RETURNS.cancel.format(id=parse.ident(found.id)), operation="cancel_return")
        except RefusedError as refusal:
            return [self._of_late_refusal(return_id, refusal, is_cancel=True)]
        after = self._one(return_id)  # the answer is empty, so the record has to show it
        return [Outcome(return_id, Verdict.ACCEPTED)] if after is not None and _is_gone(after) else []

    def close(self, return_ids: Sequence[str]) -> list[Outcome]:
        """ShipBob completes its returns itself (`must_close` is False), so this is never right to call."""
        raise PermanentVendorError(f"{self.http.merchant}: ShipBob has no call that closes a return ({len(return_ids)} asked for)")

    def find(self, return_ids: Sequence[str]) -> ReceiptBatch:
        """The returns with these keys, as they are now, 50 a call: by our reference, or by ShipBob's own id for those it made itself."""
        wanted = list(dict.fromkeys(return_ids))
        own = [key for key in wanted if key.startswith(_OWN)]
        ours = [key for key in wanted if not key.startswith(_OWN)]
        wires: list[ReturnWire] = []
        rejected: list[Rejected] = []
        for name, keys in (("ReferenceIds", ours), ("Ids", own)):
            for first in range(0, len(keys), RETURNS.keys_per_call):
                found, bad = self._asked(name, keys[first : first + RETURNS.keys_per_call])
                wires += found
                rejected += bad
        return receipts.batch(self._whole(receipts.newest(wires)), rejected)

    def news(self, since: datetime, until: datetime, calls: int | None = None, cursor: str | None = None) -> News:
        """All that was completed in this time, then all that is open; ours and others', each once, as far as `calls` calls go.

        Nothing tells what changed or was cancelled, so a return that is not in it may have news all the same: ask for it by its key.
        A cursor is the search that it is in, the time that was asked for first, and ShipBob's own place.
        """
        search, first, last, place = cursor.split() if cursor else (_COMPLETED, _wire_time(since - RETURNS.late), _wire_time(until), "")
        wires: list[ReturnWire] = []
        rejected: dict[str, Rejected] = {}
        used, more = 0, place or None
        if search == _COMPLETED:
            query = f"CompletedStartDate={first}&CompletedEndDate={last}"
            found, bad, used, more = self._swept(query, "list_completed", calls, more)
            start, end = (datetime.fromisoformat(moment) for moment in (first, last))
            wires += [
                wire for wire in found if isinstance(at := parse.time(wire.completed_date), datetime) and start <= at <= end + _SECOND
            ]
            rejected |= {one.record_key: one for one in bad}
            search = _COMPLETED if more else _OPEN
        if search == _OPEN and (calls is None or used < calls):
            left = None if calls is None else calls - used
            found, bad, spent, more = self._swept(f"Status={','.join(OPEN_STATUSES)}", "list_open", left, more)
            wires += [wire for wire in found if status_of(parse.text(wire.status)) in OPEN_STATUSES]
            rejected |= {one.record_key: one for one in bad}
            used, search = used + spent, _OPEN if more else _DONE
        batch = receipts.batch(self._whole(receipts.newest(wires)), list(rejected.values()))
        return News(batch, used, None if search == _DONE else f"{search} {first} {last} {more or ''}")

    def _wire_form(self, draft: RmaDraft) -> ReturnOut | Outcome:
        found = self.items.by_sku(self.http, [line.sku for line in draft.lines])
        unfit = [item for item in found.values() if isinstance(item, Unfit)]
        if unfit:
            return Outcome(draft.return_id, Verdict.REFUSED, unfit[0].code, "; ".join(item.why for item in unfit))
        units: dict[int, int] = {}
        for line in draft.lines:
            item = found[line.sku]
            if isinstance(item, Item):
                units[item.inventory_id] = units.get(item.inventory_id, 0) + line.units
        lines = [LineOut(own, count, REQUESTED_ACTION) for own, count in units.items()]
        return ReturnOut(draft.return_id, PlaceOut(self._settings.fulfillment_center_id), lines, draft.tracking_number or None)

    def _of_refused_create(self, return_id: str, body: ReturnOut, refusal: RefusedError) -> Outcome:
        found = self._one(return_id)
        if found is None:
            return Outcome(return_id, Verdict.REFUSED, refusal.code, str(refusal))
        if _is_gone(found):
            why = f"{refusal}; a cancelled return {parse.ident(found.id)} has this reference"
            return Outcome(return_id, Verdict.REFUSED, refusal.code, why)
        announced = {parse.count(line.id): parse.count(line.quantity) for line in found.inventory or ()}
        is_same = announced == {line.id: line.quantity for line in body.inventory}
        return Outcome(return_id, Verdict.EXISTS, refusal.code, None if is_same else "it is there with other items or quantities than ours")

    def _of_late_refusal(self, return_id: str, refusal: RefusedError, *, is_cancel: bool = False) -> Outcome:
        """A refusal of a change, judged by what the record is now: it may have arrived, or gone, after it was read."""
        found = self._one(return_id)
        if is_cancel and found is not None and _is_gone(found):
            return Outcome(return_id, Verdict.ACCEPTED, message="it is cancelled already")
        return _barred(return_id, found) or Outcome(return_id, Verdict.REFUSED, refusal.code, str(refusal))

    def _one(self, return_id: str) -> ReturnWire | None:
        found, rejected = self._asked("ReferenceIds", [return_id])
        if rejected:
            raise PermanentVendorError(f"{self.http.merchant}: ShipBob's return {return_id} cannot be read: {rejected[0].reason}")
        return next(iter(receipts.newest(found)), None)

    def _asked(self, name: str, keys: Sequence[str]) -> tuple[list[ReturnWire], list[Rejected]]:
        """The records with these keys. Each row is looked at, since a filter that is not understood is left out without a word."""
        wanted, met = set(keys), set[str]()
        query = f"{name}={','.join(key.removeprefix(_OWN) for key in keys)}"
        found, rejected = list[ReturnWire](), list[Rejected]()
        for number, (records, _) in enumerate(pages(self.http, RETURNS.path, query, "find_returns", size="Limit"), start=1):
            if number > RETURNS.find_pages:
                raise StructuralError(f"{self.http.merchant}: ShipBob sends returns that were not asked for, so {name} finds nothing out")
            wires, bad = receipts.decoded(records)
            for wire in wires:
                key = receipts.key_of(wire) if name == "ReferenceIds" else receipts.MADE_BY_WAREHOUSE.format(rma_id=parse.ident(wire.id))
                if key is not None and key in wanted:
                    met.add(key)
                    found.append(wire)
            rejected += [one for one in bad if one.record_key in wanted]
            if met | {one.record_key for one in rejected} == wanted:
                break
        return found, rejected

    def _swept(
        self, query: str, operation: str, most: int | None, cursor: str | None
    ) -> tuple[list[ReturnWire], list[Rejected], int, str | None]:
        """Pages of a search, all of them or at most so many, how many were read, and where it goes on.

        Raises StructuralError when pages repeat.
        """
        found: dict[str, ReturnWire | Rejected] = {}  # page numbers drift while returns are made
        used, more = 0, cursor
        for records, following in pages(self.http, RETURNS.path, f"{query}&SortOrder=Asc", operation, size="Limit", cursor=cursor):
            known, used, more = len(found), used + 1, following
            wires, bad = receipts.decoded(records)
            found.update((parse.ident(wire.id) or f"no id, {used}/{place}", wire) for place, wire in enumerate(wires))
            found.update((f"rejected {one.record_key}", one) for one in bad)
            if records and len(found) == known:
                raise StructuralError(f"{self.http.merchant}: ShipBob sends the same page of returns under every number")
            if used == most:
                break
        rejected = [one for one in found.values() if isinstance(one, Rejected)]
        return [one for one in found.values() if isinstance(one, ReturnWire)], rejected, used, more

    def _whole(self, wires: list[ReturnWire]) -> list[ReturnWire]:
        """The records, with what the item's own preference asks for in the place of a bare `Default`."""
        lines = [line for wire in wires for line in wire.inventory or () if _is_open_ended(line)]
        items = self.items.by_sku(self.http, [sku for line in lines if (sku := parse.text(line.sku)) is not None])
        for line in lines:
            item = items.get(parse.text(line.sku) or "")
            if isinstance(item, Item):
                line.action_requested = RequestedWire(item.preferred)
        return wires


def _only(records: Sequence[Any]) -> Any:
    if len(records) != 1:
        raise ValueError(f"ShipBob takes one return a call, not {len(records)}")
    return records[0]


def _shown(answer: bytes, return_id: str) -> list[Outcome]:
    """The short record, which has to be ours."""
    mine = [wire for wire in receipts.decoded([answer])[0] if parse.ident(wire.reference_id) == return_id]
    return [Outcome(return_id, Verdict.ACCEPTED) for _ in mine]


def _missing(return_id: str) -> Outcome:
    return Outcome(return_id, Verdict.MISSING, None, f"ShipBob has no return with the reference {return_id}")


def _barred(return_id: str, found: ReturnWire | None) -> Outcome | None:
    """Why a return cannot be changed; None when it can, or when its status says nothing that is known."""
    if found is None:
        return _missing(return_id)
    status = status_of(parse.text(found.status))
    if status == CANCELLED:
        return Outcome(return_id, Verdict.MISSING, None, f"ShipBob's return {parse.ident(found.id)} is cancelled")
    if status is None or status in EDITABLE:
        return None
    return Outcome(return_id, Verdict.NOT_OPEN, None, f"ShipBob's return {parse.ident(found.id)} is {status}")


def _is_gone(wire: ReturnWire) -> bool:
    return stage_of(parse.text(wire.status)) is RmaStage.GONE


def _is_open_ended(line: LineWire) -> bool:
    """The line says `Default`, and something was done with its units that depends on what that stands for."""
    return word(receipts.requested(line)) in (DEFAULT, "") and any(taken != RESTOCK for taken in receipts.taken_words(line))


def _wire_time(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a range of time is aware")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
