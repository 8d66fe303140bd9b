"""One vendor's deliveries of one merchant: claim, look up what is uncertain, send what is not there, settle. One attempt is one call.

What an attempt proves decides what follows:

| the attempt | proves | then |
|---|---|---|
| accepted, or found at the vendor | done | `accepted`, later `confirmed` by the vendor's news |
| refused, for one record | not done, for good | `refused`, an exception |
| turned down as a whole in the vendor's own JSON | not done, for good | `dead`, an exception |
| no connection, 429 | not done | `pending`, decided anew and tried again after a pause, for as long as it takes |
| time-out, reset, 5xx, unreadable body, our own crash | nothing | `pending` and uncertain: looked up before anything is sent |
| our own call budget spent | not done | given back: no attempt |
| key not accepted | not done | given back: no attempt; the lane ends, and the run fails when the others are through |
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from backhaul.connectors.base import Outcome, Verdict, Warehouse
from backhaul.connectors.deadline import left, within
from backhaul.connectors.http import CALL_DEADLINE
from backhaul.domain import deliveries as domain
from backhaul.domain.announce import draft_from_json
from backhaul.domain.backoff import next_delay
from backhaul.domain.circuit import Circuit
from backhaul.domain.deliveries import Proof, Transition
from backhaul.domain.keys import effect_key
from backhaul.domain.words import DeliveryKind, ExceptionKind
from backhaul.errors import (
    BudgetSpentError,
    PermanentVendorError,
    RefusedError,
    StructuralError,
    ThrottledError,
    TransientVendorError,
    UnauthorizedError,
    VendorError,
)
from backhaul.pipeline import lookups
from backhaul.pipeline.deciding import decide
from backhaul.pipeline.guarding import hold_beyond
from backhaul.pipeline.session import Session
from backhaul.points import reach
from backhaul.store import circuits, due, outbox
from backhaul.store.exceptions import raise_exception
from backhaul.store.outbox import Attempt, Delivery
from backhaul.store.pauses import is_paused
from backhaul.store.returns import mark_due
from backhaul.store.transaction import Transaction

LOOP = "loop"
_LOOK_AGAIN = 4  # a failed look-up pauses like a fourth attempt, up to half a minute
ANNOUNCEMENTS = (DeliveryKind.RMA_CREATE, DeliveryKind.RMA_UPDATE, DeliveryKind.RMA_CANCEL)
_RMA_KINDS = (*ANNOUNCEMENTS, DeliveryKind.RMA_CLOSE)
_REFUSALS = {
    (DeliveryKind.RMA_CREATE, Verdict.REFUSED): ExceptionKind.RMA_REFUSED,
    (DeliveryKind.RMA_CREATE, Verdict.EXISTS): ExceptionKind.RMA_REFUSED,
    (DeliveryKind.RMA_UPDATE, Verdict.NOT_OPEN): ExceptionKind.EDIT_AFTER_RECEIVING,
    (DeliveryKind.RMA_UPDATE, Verdict.MISSING): ExceptionKind.RMA_NOT_FOUND,
    (DeliveryKind.RMA_CANCEL, Verdict.NOT_OPEN): ExceptionKind.CANCEL_AFTER_RECEIVING,
}


class Lane:
    """One vendor's deliveries of one merchant. `error` is what ended it, None while it goes on."""

    def __init__(self, session: Session, vendor: str, kinds: tuple[DeliveryKind, ...] | None = None) -> None:
        self.session, self.vendor = session, vendor
        self.warehouse = None if vendor == LOOP else vendor
        self.kinds = kinds or (domain.TOLD_TO_LOOP if vendor == LOOP else _RMA_KINDS)
        self.error: Exception | None = None
        self.claimed = self.acts = 0

    def drain(self) -> int:
        """Deliver what is due, until nothing is or the vendor is to be left alone; returns how many calls were accepted."""
        accepted = 0
        try:
            while self.error is None and left() > CALL_DEADLINE and (claimed := self._claim()):  # no write is cut off by our own run's end
                self.claimed += len(claimed)
                accepted += self._look_up(claimed) if claimed[0].is_uncertain else self._send(claimed)
        except Exception as error:  # the other lanes go on; the run fails when they are through
            self.error = error
        return accepted

    def _claim(self) -> list[Delivery]:
        """One call's worth, each decided once more by the newest facts, in the transaction that claims it."""
        size = self._client().batch_size if self.warehouse is not None else 1
        looked_at: set[int] = set()
        with self.session.write() as tx:
            circuit = circuits.read_circuits(tx.connection, tx.merchant).get(self.vendor, Circuit())
            if not circuit.lets_through(tx.now):
                return []
            if circuit.probe_at is not None:  # one probes, the others go on waiting
                size = 1
                circuits.keep_circuit(tx, self.vendor, circuit.probed(tx.now))
            while rows := due.due_together(tx, self.kinds, self.warehouse, size):
                if looked_at.issuperset(row.delivery_id for row in rows):
                    return []
                looked_at.update(row.delivery_id for row in rows)
                decide(self.session, tx, sorted({row.return_id for row in rows}))
                hold_beyond(tx, rows, self.session.limits)
                claimed = outbox.claim(tx, rows)
                if claimed:
                    return claimed
        return []

    def _client(self) -> Warehouse:
        return self.session.client(self.vendor)

    # Looking up

    def _look_up(self, uncertain: Sequence[Delivery]) -> int:
        """Settle uncertain deliveries by what the vendor shows; of those that it does not show, nothing was done."""
        started_at = self.session.clock()
        try:
            with within(CALL_DEADLINE):  # all of its calls together, so that the lease holds
                answers = lookups.look_up(self.session, uncertain, started_at)
        except UnauthorizedError as error:
            self._stop(uncertain, error, started_at)
            return 0
        except (VendorError, StructuralError) as error:
            self._note_failure(error)
            with self.session.write() as tx:
                for delivery in uncertain:
                    pause = next_delay(max(delivery.attempts, _LOOK_AGAIN), random.random, getattr(error, "retry_after", None))
                    attempt = Attempt("waiting", started_at, message=str(error))
                    outbox.settle(tx, delivery, domain.TRY_LATER, attempt, is_uncertain=True, next_attempt_at=tx.now + pause)
            return 0
        reach("delivery.looked_up")
        self._note_answer()
        with self.session.write() as tx:
            through = [self._settle_looked_up(tx, delivery, answers[delivery.delivery_id], started_at) for delivery in uncertain]
            mark_due(tx, [delivery.return_id for delivery in uncertain])
        return sum(through)

    def _settle_looked_up(self, tx: Transaction, delivery: Delivery, answer: lookups.Answer, started_at: datetime) -> bool:
        if isinstance(answer, datetime):
            words = "Loop may still be processing it; it is looked up again when it has had time"
            attempt = Attempt("waiting", started_at, message=words)
            outbox.settle(tx, delivery, domain.TRY_LATER, attempt, is_uncertain=True, next_attempt_at=answer)
            return False
        if not isinstance(answer, Proof):
            attempt = Attempt("nothing_done", started_at, message="the vendor does not show it: nothing was done")
            outbox.settle(tx, delivery, domain.TRY_LATER, attempt, next_attempt_at=tx.now)
            return False
        is_through = answer.transition.target in domain.THROUGH
        word = "adopted" if is_through else answer.transition.target.value
        is_uncertain = answer.transition is domain.SUPERSEDE
        outbox.settle(tx, delivery, answer.transition, Attempt(word, started_at, message=answer.why), is_uncertain=is_uncertain)
        if answer.transition is domain.FAIL:
            self._raise(tx, delivery, ExceptionKind.DELIVERY_FAILED, answer.why)
        return is_through

    # Sending

    def _send(self, group: Sequence[Delivery]) -> int:
        """Make the call, and settle what came of it."""
        started_at = self.session.clock()
        try:
            with within(CALL_DEADLINE):  # the write and what is read around it, so that the lease holds
                outcomes = self._call(group)
        except UnauthorizedError as error:
            self._stop(group, error, started_at)
            return 0
        except BudgetSpentError as error:
            with self.session.write() as tx:
                for delivery in group:
                    outbox.give_back(tx, delivery, tx.now + timedelta(seconds=error.retry_after or 1.0))
            return 0
        except RefusedError as error:
            self._note_answer()
            return self._send_alone(group, error, started_at) if len(group) > 1 else self._die(group[0], error, started_at)
        except (TransientVendorError, PermanentVendorError, StructuralError) as error:  # permanent: of a read around the write
            self._note_failure(error)
            self._try_later(group, error, started_at)
            return 0
        reach("delivery.answered")
        self._note_answer()
        return self._settle(group, {outcome.return_id: outcome for outcome in outcomes}, started_at)

    def _call(self, group: Sequence[Delivery]) -> list[Outcome]:
        first = group[0]
        if self.warehouse is not None:
            client, ids = self._client(), [delivery.return_id for delivery in group]
            if first.kind is DeliveryKind.RMA_CREATE:
                return client.create([draft_from_json(delivery.payload or "") for delivery in group])
            if first.kind is DeliveryKind.RMA_UPDATE:
                return client.update([draft_from_json(delivery.payload or "") for delivery in group])
            return client.cancel(ids) if first.kind is DeliveryKind.RMA_CANCEL else client.close(ids)
        loop, return_id = self.session.loop, first.return_id
        try:
            if first.kind is DeliveryKind.LOOP_NOTE:
                loop.note(return_id, first.payload or "")
            elif first.kind is DeliveryKind.LOOP_FLAG:
                loop.flag(return_id)
            else:
                loop.process(return_id)
        except RefusedError as refusal:
            return [Outcome(return_id, Verdict.REFUSED, refusal.code, str(refusal))]
        return [Outcome(return_id, Verdict.ACCEPTED)]

    def _settle(self, group: Sequence[Delivery], outcomes: dict[str, Outcome], started_at: datetime) -> int:
        accepted = 0
        with self.session.write() as tx:
            for delivery in group:
                outcome = outcomes.get(delivery.return_id)
                if outcome is None:
                    self._uncertain(tx, delivery, "the answer does not name this record", started_at)
                    continue
                transition, word = _moved_by(delivery, outcome.verdict)
                held = outbox.settle(tx, delivery, transition, Attempt(word, started_at, outcome.code, outcome.message))
                if transition is not domain.REFUSE:
                    accepted += 1
                    self.acts += delivery.kind in domain.BINDING
                elif held:
                    self.session.run.add("refused")
                    kind = _REFUSALS.get((delivery.kind, outcome.verdict), ExceptionKind.DELIVERY_REFUSED)
                    self._raise(tx, delivery, kind, outcome.message)
            # The news that proves an effect may have been taken in while its call was still under way.
            mark_due(tx, [delivery.return_id for delivery in group])
        return accepted

    def _send_alone(self, group: Sequence[Delivery], error: RefusedError, started_at: datetime) -> int:
        """A call that was turned down as a whole: one bad record must not sink the others, so each is sent by itself."""
        accepted = 0
        for place, delivery in enumerate(group):
            with self.session.write() as tx:
                if not place:
                    for one in group:
                        outbox.write_attempt(tx, one.delivery_id, one.attempts, Attempt("retry", started_at, message=str(error)))
                begun = None
                if is_paused(tx.connection, tx.merchant, self.vendor):
                    waits = Attempt("waiting", started_at, message="a person paused this vendor before it was sent alone")
                    outbox.settle(tx, delivery, domain.TRY_LATER, waits, next_attempt_at=tx.now)
                else:
                    begun = outbox.begin_alone(tx, delivery)
            if begun is not None:
                accepted += self._send([begun])
        return accepted

    def _die(self, delivery: Delivery, error: RefusedError, started_at: datetime) -> int:
        with self.session.write() as tx:
            if outbox.settle(tx, delivery, domain.DIE, Attempt("dead", started_at, error.code, str(error))):
                self._raise(tx, delivery, ExceptionKind.DELIVERY_DEAD, str(error))
            mark_due(tx, [delivery.return_id])
        return 0

    def _try_later(self, group: Sequence[Delivery], error: VendorError | StructuralError, started_at: datetime) -> None:
        """A call that failed for a passing reason, with or without its effect."""
        with self.session.write() as tx:
            for delivery in group:
                if not isinstance(error, TransientVendorError) or not error.is_certain:
                    self._uncertain(tx, delivery, str(error), started_at)
                else:
                    pause = next_delay(max(delivery.attempts, 1), random.random, error.retry_after)
                    attempt = Attempt("retry", started_at, message=str(error))
                    outbox.settle(tx, delivery, domain.TRY_LATER, attempt, next_attempt_at=tx.now + pause)
            mark_due(tx, [delivery.return_id for delivery in group])

    def _uncertain(self, tx: Transaction, delivery: Delivery, why: str, started_at: datetime) -> None:
        pause = next_delay(max(delivery.attempts, 1), random.random)
        if delivery.kind is DeliveryKind.LOOP_PROCESS:
            pause = max(pause, timedelta(seconds=self.session.settings.loop.process_settle_seconds))
        attempt = Attempt("uncertain", started_at, message=why)
        outbox.settle(tx, delivery, domain.TRY_LATER, attempt, is_uncertain=True, next_attempt_at=tx.now + pause)

    def _stop(self, group: Sequence[Delivery], error: UnauthorizedError, started_at: datetime) -> None:
        """The key is not accepted: give everything back untried, and end the lane."""
        with self.session.write() as tx:
            for delivery in group:
                outbox.give_back(tx, delivery, tx.now, Attempt("unauthorized", started_at, message=str(error)))
        self.error = error

    # What the vendor's answers say of the vendor

    def _note_answer(self) -> None:
        with self.session.store.read() as connection:
            was_failing = self.vendor in circuits.read_circuits(connection, self.session.merchant)
        if was_failing:
            with self.session.write() as tx:
                circuits.keep_circuit(tx, self.vendor, Circuit())

    def _note_failure(self, error: VendorError | StructuralError) -> None:
        if isinstance(error, ThrottledError):
            return  # it is there, and says so
        with self.session.write() as tx:
            before = circuits.read_circuits(tx.connection, tx.merchant).get(self.vendor, Circuit())
            after = before.after_failure(str(error), tx.now)
            circuits.keep_circuit(tx, self.vendor, after)
        if after.opened_at is not None and before.opened_at is None:
            self.session.run.add(f"circuit_opened_{self.vendor}")

    def _raise(self, tx: Transaction, delivery: Delivery, kind: ExceptionKind, why: str | None) -> None:
        subject = delivery.return_id if kind in _REFUSALS.values() else f"{delivery.kind}:{delivery.return_id}"
        words = f"{delivery.kind} of return {delivery.return_id}: {why or 'the vendor gave no reason'}"
        raise_exception(tx, kind, subject, words, delivery.return_id)


def _moved_by(delivery: Delivery, verdict: Verdict) -> tuple[Transition, str]:
    """How a verdict moves a delivery. A first create that is there already, and a cancel of what is not, have had their effect."""
    if verdict is Verdict.ACCEPTED:
        return domain.ACCEPT, "accepted"
    is_first = delivery.effect_key == effect_key(DeliveryKind.RMA_CREATE, delivery.return_id)
    if verdict is Verdict.EXISTS and is_first:
        return domain.ACCEPT, "adopted"
    if (delivery.kind, verdict) == (DeliveryKind.RMA_CANCEL, Verdict.MISSING):
        return domain.CONFIRM, "adopted"
    return domain.REFUSE, "refused"
