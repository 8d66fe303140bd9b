"""Looking an uncertain effect up at the vendor, before anything is sent again.

What the vendor shows is judged by `domain/deliveries.proven`, as all news is; and it is stored, so that what follows is decided on it.
Where it proves nothing, nothing was done: at once for all kinds but a process, which Loop only queues. That one is waited for until
`process_settle_seconds` after its attempt. An update is a full replacement: sent again it changes nothing, so it is not looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from backhaul.domain.deliveries import Owed, Proof, Seen, proven
from backhaul.domain.words import DeliveryKind, DeliveryState, LoopState, RmaStage
from backhaul.pipeline import intake
from backhaul.pipeline.receiving import take_in
from backhaul.pipeline.session import Session
from backhaul.store.outbox import Delivery

_STATES = frozenset(state.value for state in LoopState)
Answer = Proof | datetime | None  # what it proves; until when it is waited for; or None: nothing was done


def look_up(session: Session, uncertain: Sequence[Delivery], now: datetime) -> dict[int, Answer]:
    """What the vendor shows of deliveries of one kind and warehouse, by delivery id.

    Raises VendorError or StructuralError if the vendor cannot say.
    """
    kind = uncertain[0].kind
    if kind is DeliveryKind.RMA_UPDATE:
        return {delivery.delivery_id: None for delivery in uncertain}
    if kind in (DeliveryKind.RMA_CREATE, DeliveryKind.RMA_CANCEL, DeliveryKind.RMA_CLOSE):
        return _look_up_rmas(session, uncertain)
    return {delivery.delivery_id: _look_up_return(session, delivery, now) for delivery in uncertain}


def _look_up_rmas(session: Session, uncertain: Sequence[Delivery]) -> dict[int, Answer]:
    warehouse = uncertain[0].warehouse
    batch = session.client(warehouse).find([delivery.return_id for delivery in uncertain])
    stages = dict(zip(batch.receipts["return_id"], batch.receipts["rma_stage"], strict=True))
    take_in(session, warehouse, batch)
    answers: dict[int, Answer] = {}
    for delivery in uncertain:
        stage = stages.get(delivery.return_id)
        answers[delivery.delivery_id] = proven(_as_owed(delivery), Seen(rma_stage=RmaStage(stage) if stage is not None else None))
    return answers


def _look_up_return(session: Session, delivery: Delivery, now: datetime) -> Answer:
    if delivery.kind is DeliveryKind.LOOP_NOTE and delivery.payload in session.loop.notes(delivery.return_id):
        return proven(_as_owed(delivery), Seen(has_note=True))
    batch = session.loop.details(delivery.return_id)
    intake.load(session, intake.check(session, intake.keep_news(session, batch, "details")))
    shown = zip(batch.returns["return_id"], batch.returns["loop_state"], batch.returns["is_paid"], strict=True)
    seen = [
        Seen(LoopState(state), is_paid=bool(is_paid)) for key, state, is_paid in shown if key == delivery.return_id and state in _STATES
    ]
    proof = proven(_as_owed(delivery), seen[0]) if seen else None
    if proof is None and delivery.kind is DeliveryKind.LOOP_PROCESS and delivery.last_attempt_at is not None:
        settled_at = delivery.last_attempt_at + timedelta(seconds=session.settings.loop.process_settle_seconds)
        return settled_at if now < settled_at else None
    return proof


def _as_owed(delivery: Delivery) -> Owed:
    return Owed(delivery.delivery_id, delivery.kind, DeliveryState.PENDING, delivery.payload, True, delivery.warehouse)
