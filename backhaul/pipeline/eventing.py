"""Events that arrived by webhook, from the backlog to rows (docs/architecture.md, Extraction).

| event | what is done |
|---|---|
| `return.created` of a return that we do not have | loaded as it is, so that its RMA is made at once; read back after that |
| the same, once another event has told of its end | a signal: what it says is older than that |
| one that cannot be read, or breaks a rule | a signal, and `outcome` says so; it is never quarantined, and blocks nothing |
| one of a return that Loop does not show | asked for again by later syncs, then an exception |
| any other of a return, its label or its processing | a signal: the return is read back |
| `return.processing.failed` | and its process, if Loop accepted it and shows the return open still, has failed |
| a warehouse's | is its receipt: taken in as it is; a mere signal, and one that did not decode, are asked for by their key |
| all others | kept, nothing is done |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from backhaul.connectors.loop.normalise import normalise as normalise_returns
from backhaul.connectors.registry import WAREHOUSES
from backhaul.connectors.text import words
from backhaul.connectors.vendor import Told
from backhaul.domain.deliveries import Seen, proven
from backhaul.domain.words import DeliveryState, ExceptionKind, LoopState
from backhaul.pipeline import intake, reading_back, receiving
from backhaul.pipeline.session import Session
from backhaul.store import events, outbox
from backhaul.store.deliveries import processes_of_open_returns, rmas_accepted_since
from backhaul.store.events import Event
from backhaul.store.exceptions import raise_exception
from backhaul.store.inbox import move_in
from backhaul.store.returns import mark_due
from backhaul.store.transaction import Transaction

AT_ONCE = 250  # events in one batch
AGAIN_AFTER = timedelta(seconds=30)
_SIGNALS = ("return", "return.processing", "label")
_OVER = (LoopState.CLOSED, LoopState.CANCELLED, LoopState.EXPIRED)
_UNREADABLE = "unreadable"
_CREATED = "return.created"
_FAILED = "return.processing.failed"


class _Said(msgspec.Struct):
    topic: Any = None
    trigger: Any = None
    state: Any = None
    message: Any = None
    line_items: Any = None
    is_partial: bool = False


class Batch:
    """Claimed events. A plain class, which Prefect passes on between steps without looking into it."""

    def __init__(self, claimed: Sequence[Event]) -> None:
        self.events = list(claimed)
        self.said = {event.event_id: msgspec.json.decode(event.body, type=_Said) for event in claimed}
        self.unreadable = {event.event_id for event in claimed if self._is_unreadable(event)}

    def _is_unreadable(self, event: Event) -> bool:
        said = self.said[event.event_id]
        return said.is_partial or (event.source == "loop" and said.topic in _SIGNALS and event.record_key is None)

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
    with session.write(alone=False) as tx:
        batch = Batch(events.claim(tx, AT_ONCE))
    session.run.add("events", len(batch.events))
    return batch


def load(session: Session, batch: Batch) -> None:
    """Load what events bring whole: returns that are new, and receipts."""
    created = {str(event.record_key): event for event in batch.created()}
    over = _told_over(session, sorted(created))
    new = [event for key, event in created.items() if key not in over]
    if new:
        _load_new(session, batch, new)
    for warehouse in session.warehouses:
        told = [event for event in batch.events if event.source == warehouse]
        read = WAREHOUSES[warehouse].receipts
        whole = [event for event in told if read is not None and not batch.said[event.event_id].is_partial]
        if whole and read is not None:
            receipts, without = read([Told(event.topic, event.body.encode()) for event in whole])
            session.run.add("events_without_a_receipt", without)  # the next poll tells what they would have
            receiving.take_in(session, warehouse, receipts, channel="webhook")
        unread = sorted({event.record_key for event in told if event not in whole and event.record_key is not None})
        if unread:
            receiving.take_in(session, warehouse, session.warehouses[warehouse].find(unread))


def read_back(session: Session, batch: Batch) -> None:
    """Read the returns that events signal from Loop, and note what came of those that it does not show."""
    signalled = _to_read(session, batch)
    unknown: set[str] = set()
    if signalled:
        waiting_since = min(event.received_at for event in batch.of_loop())
        found, unread = reading_back.read(session, signalled, waiting_since)
        session.run.add("read_back", len(found))
        unknown = set(signalled) - found - unread
        reading_back.note_unknown(session, signalled, found, unknown)
    _note_outcomes(session, batch, unknown)


def confirm_rmas(session: Session) -> None:
    """Read back what this run has had the warehouses accept; an RMA that is not shown yet is the next sync's."""
    with session.store.read() as connection:
        accepted = rmas_accepted_since(connection, session.merchant, session.run.started_at)
    for warehouse, client in session.warehouses.items():
        keys = [return_id for name, return_id in accepted if name == warehouse]
        if keys:
            receiving.take_in(session, warehouse, client.find(keys))


def settle(session: Session, batch: Batch) -> None:
    """Mark the events as taken in, and the processes that Loop says have failed. One whose call is still under way waits a little."""
    with session.write() as tx:
        waiting = _fail_processes(tx, batch)
        events.postpone(tx, waiting, tx.now + AGAIN_AFTER)
        events.settle(tx, [event.event_id for event in batch.events if event.event_id not in waiting])


def postpone(session: Session, batch: Batch) -> None:
    """Give the events back after a failure: they are tried again shortly, by whichever run comes first."""
    with session.write(alone=False) as tx:
        events.postpone(tx, [event.event_id for event in batch.events], tx.now + AGAIN_AFTER)


def _load_new(session: Session, batch: Batch, created: Sequence[Event]) -> None:
    """Load returns as their events tell them. One that breaks a rule is left to what is read back: the event stays where it is kept."""
    checked = intake.check(
        session, intake.keep_news(session, normalise_returns([event.body.encode() for event in created], "webhook"), "webhook")
    )
    bad = {held.record_key for held in checked.bad}
    batch.unreadable |= {event.event_id for event in created if event.record_key in bad}
    session.run.add("records_in", -len(checked.bad))  # they are counted as events, not as records
    checked.bad = []
    intake.load(session, checked)


def _told_over(session: Session, return_ids: Sequence[str]) -> set[str]:
    """Of these returns, those that an event has told are over: what their first event says is older."""
    with session.store.read() as connection:
        told = events.bodies_of(connection, session.merchant, "loop", return_ids)
    return {key for key, body in told if msgspec.json.decode(body, type=_Said).state in _OVER}


def _to_read(session: Session, batch: Batch) -> list[str]:
    """The returns to read back: those signalled, and those loaded as they were, unless Loop's own record of them is here by now."""
    created = {event.event_id for event in batch.created()}
    keys = {event.record_key for event in batch.of_loop() if event.event_id not in created}
    new = {event.record_key for event in batch.of_loop() if event.event_id in created} - keys
    known = reading_back.shown(session, sorted(filter(None, new)))
    return sorted(key for key in keys | (new - known) if key is not None)


def _note_outcomes(session: Session, batch: Batch, unknown: set[str]) -> None:
    """Keep with the events that they could not be read, or that Loop does not show their return."""
    of_unknown = [event.event_id for event in batch.of_loop() if event.record_key in unknown and event.event_id not in batch.unreadable]
    session.run.add("events_unreadable", len(batch.unreadable))
    session.run.add("events_of_unknown_returns", len(of_unknown))
    if batch.unreadable or of_unknown:
        with session.write() as tx:
            events.note_outcome(tx, sorted(batch.unreadable), _UNREADABLE)
            events.note_outcome(tx, of_unknown, reading_back.UNKNOWN)


def _fail_processes(tx: Transaction, batch: Batch) -> list[int]:
    """Mark as failed what Loop took, or may have taken, and says has failed. Returns events that must wait for a call under way.

    Only where Loop shows the return open still: what another state proves is the plan's to say.
    """
    told = {event.record_key: event for event in batch.of_loop() if batch.said[event.event_id].trigger == _FAILED}
    if not told:
        return []
    waiting: list[int] = []
    for sent in processes_of_open_returns(tx.connection, tx.merchant, sorted(filter(None, told))):
        event = told[sent.return_id]
        if sent.owed.state is DeliveryState.SENDING:
            waiting.append(event.event_id)
            continue
        if sent.sent_at is None or sent.sent_at > event.received_at + AGAIN_AFTER:
            continue  # it tells of an attempt before this one
        said = batch.said[event.event_id].message
        proof = proven(sent.owed, Seen(failure=(words(said) if isinstance(said, str) else None) or ""))
        if proof is not None and outbox.change(tx, sent.owed.delivery_id, proof.transition, proof.why):
            raise_exception(tx, ExceptionKind.DELIVERY_FAILED, f"{sent.owed.kind}:{sent.return_id}", proof.why, sent.return_id)
            mark_due(tx, [sent.return_id])
    return waiting
