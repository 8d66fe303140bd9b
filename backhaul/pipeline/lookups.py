"""Looking an uncertain effect up at the vendor, before anything is sent again.

| kind | the effect is there when | else |
|---|---|---|
| rma.create | the warehouse has an RMA with our key | send |
| rma.update | (a full replacement: sending it again changes nothing) | send |
| rma.cancel, rma.close | the RMA is deleted, or closed | send |
| loop.note | the return has a note with the same text | send |
| loop.flag | the return is in review | send, unless it has ended |
| loop.process | the return is closed | wait until `process_settle_seconds` after the attempt, then send if it is still open |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backhaul.domain.words import DeliveryKind, DeliveryState, LoopState
from backhaul.pipeline.receiving import take_in
from backhaul.pipeline.session import Session
from backhaul.store.outbox import Delivery

_GONE = {DeliveryKind.RMA_CANCEL: ("deleted", "cancelled"), DeliveryKind.RMA_CLOSE: ("closed",)}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look-up proves: the effect is there (confirmed), can never come (failed, superseded), or must be waited for (pending)."""

    state: DeliveryState
    outcome: str
    message: str
    next_attempt_at: datetime | None = None


def look_up(session: Session, uncertain: Sequence[Delivery], now: datetime) -> dict[int, Answer]:
    """Answers by delivery id, for deliveries of one kind; one that is absent is to be sent. Raises VendorError if the vendor cannot say."""
    kind = uncertain[0].kind
    if kind is DeliveryKind.RMA_UPDATE:
        return {}
    if kind in (DeliveryKind.RMA_CREATE, DeliveryKind.RMA_CANCEL, DeliveryKind.RMA_CLOSE):
        return _look_up_rmas(session, uncertain)
    answers = {delivery.delivery_id: _look_up_return(session, delivery, now) for delivery in uncertain}
    return {delivery_id: answer for delivery_id, answer in answers.items() if answer is not None}


def _look_up_rmas(session: Session, uncertain: Sequence[Delivery]) -> dict[int, Answer]:
    warehouse = uncertain[0].warehouse
    batch = session.client(warehouse).find([delivery.return_id for delivery in uncertain])
    statuses = dict(zip(batch.receipts["return_id"], batch.receipts["rma_status"], strict=True))
    take_in(session, warehouse, batch)
    answers: dict[int, Answer] = {}
    for delivery in uncertain:
        status = statuses.get(delivery.return_id)
        if delivery.kind is DeliveryKind.RMA_CREATE and status is not None and status != "deleted":
            answers[delivery.delivery_id] = Answer(DeliveryState.CONFIRMED, "adopted", "the warehouse has it already")
        elif delivery.kind in _GONE and status in _GONE[delivery.kind]:
            answers[delivery.delivery_id] = Answer(DeliveryState.CONFIRMED, "adopted", f"the warehouse shows it {status}")
    return answers


def _look_up_return(session: Session, delivery: Delivery, now: datetime) -> Answer | None:
    if delivery.kind is DeliveryKind.LOOP_NOTE:
        is_there = delivery.payload in session.loop.notes(delivery.return_id)
        return Answer(DeliveryState.CONFIRMED, "adopted", "the note is there already") if is_there else None
    found = session.loop.details(delivery.return_id).returns
    state = found["loop_state"].iloc[0] if len(found) else None
    if delivery.kind is DeliveryKind.LOOP_FLAG:
        return _flag_answer(state)
    return _process_answer(session, delivery, state, now)


def _flag_answer(state: str | None) -> Answer | None:
    if state == LoopState.REVIEW:
        return Answer(DeliveryState.CONFIRMED, "adopted", "Loop shows review")
    if state in (LoopState.CLOSED, LoopState.CANCELLED, LoopState.EXPIRED):
        return Answer(DeliveryState.SUPERSEDED, "superseded", f"Loop shows {state}")
    return None


def _process_answer(session: Session, delivery: Delivery, state: str | None, now: datetime) -> Answer | None:
    if state == LoopState.CLOSED:
        return Answer(DeliveryState.CONFIRMED, "adopted", "Loop shows closed")
    if state in (LoopState.CANCELLED, LoopState.EXPIRED):
        return Answer(DeliveryState.SUPERSEDED, "superseded", f"Loop shows {state}; somebody acted first")
    if state == LoopState.REVIEW:
        return Answer(DeliveryState.FAILED, "failed", "it is not known to be processed, and Loop shows review")
    if delivery.last_attempt_at is None:
        return None  # an operator's retry of what had its answer: no attempt is open that Loop could still be working on
    settled_at = delivery.last_attempt_at + timedelta(seconds=session.settings.loop.process_settle_seconds)
    if now < settled_at:
        return Answer(
            DeliveryState.PENDING, "waiting", "Loop may still be processing it; it is looked up again when it has had time", settled_at
        )
    return None
