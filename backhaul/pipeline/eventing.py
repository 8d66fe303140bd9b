"""Events that arrived by webhook, from the backlog to rows (DESIGN.md, section 6).

| event | what is done |
|---|---|
| `return.created` of a return that we do not have | loaded as it is, so that its RMA is made at once; read back after that |
| any other of a return, its label or its processing | a signal: the return is read back |
| `return.processing.failed` | and its process, if Loop accepted it and shows the return open still, has failed |
| a warehouse's | is its receipt: taken in as it is; one that did not decode is asked for by its key |
| all others | kept, nothing is done |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pandas as pd
import sqlalchemy as sa

from backhaul import checks
from backhaul.connectors.base import ReceiptBatch, ReturnBatch
from backhaul.connectors.envelopes import tidy
from backhaul.connectors.loop.normalise import normalise as normalise_returns
from backhaul.connectors.masonhub import normalise as masonhub
from backhaul.domain.deliveries import Owed, Seen, proven
from backhaul.domain.words import DeliveryKind, DeliveryState, ExceptionKind, LoopState
from backhaul.errors import PermanentVendorError, StructuralError, UnauthorizedError
from backhaul.pipeline import intake, receiving
from backhaul.pipeline.session import Session
from backhaul.store import bulk, events, outbox
from backhaul.store.events import Event
from backhaul.store.exceptions import open_exception, raise_exception, resolve_exception
from backhaul.store.inbox import move_in
from backhaul.store.receipts import mark_due
from backhaul.store.tables import deliveries, exceptions, returns
from backhaul.store.transaction import Transaction

AT_ONCE = 250  # events in one batch
FEW = 20  # returns that are read back one by one; for more, the list is fewer calls
RECENT = timedelta(minutes=10)  # how far Loop's clock and ours may differ, and how late it may commit
LONGEST = timedelta(days=119)  # the list refuses a range over 120 days
AGAIN_AFTER = timedelta(seconds=30)
_SIGNALS = ("return", "return.processing", "label")
_CREATED = "return.created"
_FAILED = "return.processing.failed"


class _Said(msgspec.Struct):
    topic: Any = None
    trigger: Any = None
    message: Any = None
    line_items: Any = None
    is_partial: bool = False


class Batch:
    """Claimed events. A plain class, which Prefect passes on between steps without looking into it."""

    def __init__(self, claimed: Sequence[Event]) -> None:
        self.events = list(claimed)
        self.said = {event.event_id: msgspec.json.decode(event.body, type=_Said) for event in claimed}

    def of_loop(self) -> list[Event]:
        """Those that tell of a return at Loop."""
        return [e for e in self.events if e.source == "loop" and e.record_key is not None and self.said[e.event_id].topic in _SIGNALS]

    def created(self) -> list[Event]:
        """Those that bring a new return whole."""
        found = []
        for event in self.of_loop():
            said = self.said[event.event_id]
            if said.topic == "return" and said.trigger == _CREATED and said.line_items is not None and not said.is_partial:
                found.append(event)
        return found


def claim(session: Session) -> Batch:
    """Take up the oldest waiting events; an empty batch when none is free."""
    move_in(session.store)
    with session.store.write() as connection:
        batch = Batch(events.claim(connection, session.merchant, session.clock(), AT_ONCE))
    session.run.add("events", len(batch.events))
    return batch


def load(session: Session, batch: Batch) -> None:
    """Load what events bring whole: returns that are new, and receipts."""
    created = {event.record_key: event.body.encode() for event in batch.created()}
    if created:
        _load_returns(session, normalise_returns(list(created.values()), "webhook"), "webhook")
    for warehouse in session.warehouses:
        told = [event for event in batch.events if event.source == warehouse]
        whole = [event for event in told if not batch.said[event.event_id].is_partial]
        if whole:
            receiving.take_in(session, warehouse, _receipts(session, warehouse, whole), channel="webhook")
        unread = sorted({event.record_key for event in told if event not in whole and event.record_key is not None})
        if unread:
            receiving.take_in(session, warehouse, session.warehouses[warehouse].find(unread))


def read_back(session: Session, batch: Batch) -> None:
    """Read the returns that events signal from Loop."""
    signalled = _to_read(session, batch)
    if signalled:
        waiting_since = min(event.received_at for event in batch.of_loop())
        found = _read_few(session, signalled) if len(signalled) <= FEW else _read_many(session, signalled, waiting_since)
        session.run.add("read_back", len(found))
        _note_unknown(session, signalled, found)


def confirm_rmas(session: Session) -> None:
    """Read back what this run has had the warehouses accept; an RMA that is not shown yet is the next sync's."""
    query = sa.select(deliveries.c.warehouse, deliveries.c.return_id).where(
        deliveries.c.merchant == session.merchant,
        deliveries.c.state == DeliveryState.ACCEPTED.value,
        deliveries.c.kind.in_([kind.value for kind in DeliveryKind if kind.startswith("rma.")]),
        deliveries.c.accepted_at >= session.run.started_at,
    )
    with session.store.read() as connection:
        accepted = sorted({tuple(row) for row in connection.execute(query)})
    for warehouse, client in session.warehouses.items():
        keys = [return_id for name, return_id in accepted if name == warehouse]
        if keys:
            receiving.take_in(session, warehouse, client.find(keys))


def warm_up() -> None:
    """Do once what takes seconds the first time: load the suites and the engine that runs them."""
    listed = normalise_returns([b'{"id":"0","line_items":[{"line_item_id":"0"}]}'], "list")
    checks.validate(listed.returns, "returns", lines=listed.lines)
    checks.validate(listed.lines, "return_lines")
    told = masonhub.normalise([b'{"id":"0","status":"received","line_items":[{"customer_sku_id":"0","quantity_received":1}]}'])
    checks.validate(told.receipts, "receipts")
    checks.validate(told.lines, "receipt_lines")


def settle(session: Session, batch: Batch) -> None:
    """Mark the events as taken in, and the processes that Loop says have failed. One whose call is still under way waits a little."""
    now = session.clock()
    with session.write() as tx:
        waiting = _fail_processes(tx, batch)
        events.postpone(tx.connection, waiting, now + AGAIN_AFTER)
        events.settle(tx.connection, [e.event_id for e in batch.events if e.event_id not in waiting], tx.run_id, now)


def postpone(session: Session, batch: Batch) -> None:
    """Give the events back after a failure: they are tried again shortly, by whichever run comes first."""
    with session.store.write() as connection:
        events.postpone(connection, [event.event_id for event in batch.events], session.clock() + AGAIN_AFTER)


def _load_returns(session: Session, batch: ReturnBatch, source: str) -> None:
    intake.load(session, intake.check(session, intake.keep_news(session, batch, source)))


def _receipts(session: Session, warehouse: str, told: Sequence[Event]) -> ReceiptBatch:
    """What events tell, each RMA once: the newest record of it, or what a carrier told where there is no record."""
    if warehouse == "masonhub":
        facts, rejected = masonhub.decoded([event.body.encode() for event in told if event.topic.startswith("rmaEvent")])
        records = masonhub.newest([fact for fact in facts if fact.has_lines])
        recorded = {fact.rma_key for fact in records}
        thin = [fact for fact in facts if not fact.has_lines and fact.rma_key not in recorded]
        return masonhub.batch([*records, *masonhub.newest(thin)], rejected)
    from backhaul.connectors.airhouse.normalise import normalise_event

    newest: dict[object, tuple[str, ReceiptBatch]] = {}
    for event in told:
        try:
            batch = normalise_event(event.body.encode())
        except StructuralError:
            session.run.add("events_without_a_receipt")  # the next poll tells what it would have
            continue
        is_read = len(batch.receipts) == 1 and batch.receipts["rma_key"].iloc[0] is not None
        key = batch.receipts["rma_key"].iloc[0] if is_read else event.event_id
        stamp = str(batch.receipts["as_of"].iloc[0]) if is_read else ""
        if key not in newest or stamp >= newest[key][0]:
            newest[key] = (stamp, batch)
    return receiving.joined([masonhub.normalise([]), *(batch for _, batch in newest.values())])


def _to_read(session: Session, batch: Batch) -> list[str]:
    """The returns to read back: those signalled, and those loaded as they were, unless Loop's own record of them is here by now."""
    created = {event.event_id for event in batch.created()}
    keys = {event.record_key for event in batch.of_loop() if event.event_id not in created}
    new = {event.record_key for event in batch.of_loop() if event.event_id in created} - keys
    query = sa.select(returns.c.return_id).where(returns.c.merchant == session.merchant, returns.c.updated_at.is_not(None))
    with session.store.read() as connection:
        known = {row.return_id for row in bulk.select_by_keys(connection, query, returns.c.return_id, sorted(filter(None, new)))}
    return sorted(key for key in keys | (new - known) if key is not None)


def _read_few(session: Session, return_ids: Sequence[str]) -> set[str]:
    """Read returns one by one. For those that are closed the list is asked too: it alone tells that they were paid."""
    batches = []
    for return_id in return_ids:
        try:
            batches.append(session.loop.details(return_id))
        except UnauthorizedError:
            raise
        except (PermanentVendorError, StructuralError):
            session.run.add("not_read_back")  # the next sync reads it from the list
    found = {key for batch in batches for key in batch.returns["return_id"]}
    closed = [
        moment
        for batch in batches
        for state, moment in zip(batch.returns["loop_state"], batch.returns["updated_at"], strict=True)
        if state == LoopState.CLOSED and moment is not None
    ]
    if closed:
        start = max(min(closed), max(closed) - RECENT)
        _load_returns(session, session.loop.returns(start, max(closed), (LoopState.CLOSED.value,)), "list")
    if batches:
        _load_returns(session, _joined(batches), "details")
    return found


def _read_many(session: Session, return_ids: Sequence[str], waiting_since: datetime) -> set[str]:
    """Read what changed since the oldest event; what the list does not show is read by itself."""
    now = session.clock()
    batch = session.loop.returns(max(waiting_since - RECENT, now - LONGEST), now)
    _load_returns(session, batch, "list")
    found = set(batch.returns["return_id"])
    missing = [return_id for return_id in return_ids if return_id not in found]
    return found | (_read_few(session, missing) if missing else set())


def _joined(batches: Sequence[ReturnBatch]) -> ReturnBatch:
    return ReturnBatch(
        pd.concat([batch.returns for batch in batches], ignore_index=True),
        pd.concat([batch.lines for batch in batches], ignore_index=True),
        [body for batch in batches for body in batch.bodies],
        [rejected for batch in batches for rejected in batch.rejected],
    )


def _note_unknown(session: Session, signalled: Sequence[str], found: set[str]) -> None:
    """A return that a webhook told of, and that Loop does not show, needs a person; it is over once Loop does."""
    mine = exceptions.c.merchant == session.merchant
    query = sa.select(exceptions.c.subject).where(
        mine, exceptions.c.kind == ExceptionKind.ASN_ONLY.value, exceptions.c.resolved_at.is_(None)
    )
    stored = sa.select(returns.c.return_id).where(returns.c.merchant == session.merchant, returns.c.updated_at.is_(None))
    unknown = [key for key in signalled if key not in found]
    with session.store.read() as connection:
        is_open = set(connection.execute(query).scalars())
        only_told = {row.return_id for row in bulk.select_by_keys(connection, stored, returns.c.return_id, unknown)}
    over = is_open & set(signalled) & found
    if not only_told and not over:
        return
    now, why = session.clock(), "a webhook told of it, and Loop shows it neither in its list nor by itself"
    with session.store.write(session.merchant) as connection:
        for key in sorted(only_told):
            raise_exception(
                connection, session.merchant, ExceptionKind.ASN_ONLY, key, why, return_id=key, run_id=session.run.run_id, now=now
            )
        for key in sorted(over):
            resolve_exception(connection, session.merchant, ExceptionKind.ASN_ONLY, key, now)


def _fail_processes(tx: Transaction, batch: Batch) -> list[int]:
    """Mark as failed what Loop took, or may have taken, and says has failed. Returns events that must wait for a call under way.

    Only where Loop shows the return open still: what another state proves is the plan's to say.
    """
    told = {event.record_key: event for event in batch.of_loop() if batch.said[event.event_id].trigger == _FAILED}
    if not told:
        return []
    query = (
        sa.select(deliveries)
        .join(returns, (returns.c.merchant == deliveries.c.merchant) & (returns.c.return_id == deliveries.c.return_id))
        .where(deliveries.c.merchant == tx.merchant, deliveries.c.kind == DeliveryKind.LOOP_PROCESS.value)
        .where(returns.c.loop_state == LoopState.OPEN.value)
    )
    waiting: list[int] = []
    for row in list(bulk.select_by_keys(tx.connection, query, deliveries.c.return_id, sorted(filter(None, told)))):
        event = told[row.return_id]
        if row.state == DeliveryState.SENDING.value:
            waiting.append(event.event_id)
            continue
        sent_at = row.accepted_at or row.last_attempt_at
        if sent_at is None or sent_at > event.received_at + AGAIN_AFTER:
            continue  # it tells of an attempt before this one
        said = batch.said[event.event_id].message
        owed = Owed(row.delivery_id, DeliveryKind.LOOP_PROCESS, DeliveryState(row.state), None, row.is_uncertain)
        proof = proven(owed, Seen(failure=tidy(said) if isinstance(said, str) else ""))
        if proof is not None and outbox.change(tx, row.delivery_id, proof.transition, proof.why):
            open_exception(tx, ExceptionKind.DELIVERY_FAILED, f"{row.kind}:{row.return_id}", proof.why, row.return_id)
            mark_due(tx.connection, tx.merchant, [row.return_id])
    return waiting
