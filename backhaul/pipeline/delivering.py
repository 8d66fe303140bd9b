"""Deliver: drain the outbox. Claim, look up what is uncertain, send what is not there, settle. One attempt is one call.

What an attempt proves decides what follows it:

| the attempt | proves | then |
|---|---|---|
| accepted, or found at the vendor | done | `accepted`, later `confirmed` by the vendor's news |
| refused | not done, for good | `refused`, an exception |
| no connection, 429 | not done | `pending`, tried again after a pause |
| time-out, reset, 5xx, unreadable body, our own crash | nothing | `pending` and uncertain: looked up before anything is sent |
| key not accepted | not done | given back untried; the merchant's run fails |
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa

from backhaul.connectors.base import Outcome, Verdict
from backhaul.domain.announce import draft_from_json
from backhaul.domain.backoff import MAX_ATTEMPTS, next_delay
from backhaul.domain.words import DeliveryKind, DeliveryState, ExceptionKind
from backhaul.errors import PermanentVendorError, RefusedError, StructuralError, TransientVendorError, UnauthorizedError, VendorError
from backhaul.pipeline import lookups
from backhaul.pipeline.session import Session
from backhaul.store import outbox
from backhaul.store.exceptions import raise_exception, resolve_exception
from backhaul.store.outbox import Delivery
from backhaul.store.processes import this_process
from backhaul.store.receipts import mark_due

_PATIENCE = timedelta(seconds=20)  # a retry due sooner than this is waited for; later ones are the next run's
_LOOP_AT_ONCE = 10  # Loop takes one return a call; fewer claimed at once leave more for other workers
_RMA_KINDS = (DeliveryKind.RMA_CREATE, DeliveryKind.RMA_UPDATE, DeliveryKind.RMA_CANCEL, DeliveryKind.RMA_CLOSE)
_REFUSALS = {
    (DeliveryKind.RMA_CREATE, Verdict.REFUSED): ExceptionKind.RMA_REFUSED,
    (DeliveryKind.RMA_UPDATE, Verdict.NOT_OPEN): ExceptionKind.EDIT_AFTER_RECEIVING,
    (DeliveryKind.RMA_UPDATE, Verdict.MISSING): ExceptionKind.RMA_NOT_FOUND,
    (DeliveryKind.RMA_CANCEL, Verdict.NOT_OPEN): ExceptionKind.CANCEL_AFTER_RECEIVING,
}


class Courier:
    """Delivers one merchant's outbox for one run."""

    def __init__(self, session: Session, sleep: Callable[[float], None] = time.sleep) -> None:
        self.session = session
        self.owner = f"{this_process()}:{uuid4().hex[:8]}"
        self.sleep = sleep
        self.acts = 0  # processes and flags that Loop accepted, and will now show

    def drain(self) -> int:
        """Deliver everything that is due, and what falls due within moments; returns how many calls were accepted."""
        with self.session.store.write(self.session.merchant) as connection:
            outbox.expire_the_dead(connection, self.session.merchant, self.session.clock())
        accepted = 0
        give_up_at = time.monotonic() + 3 * _PATIENCE.total_seconds()
        while True:
            claimed = self._claim()
            if claimed:
                through = self._deliver(claimed)
                accepted += through
                if not through and time.monotonic() > give_up_at:
                    return accepted  # the vendor has been saying no for a minute; the next run tries again
            elif not self._wait_for_next(give_up_at):
                return accepted

    def _claim(self) -> list[Delivery]:
        with self.session.store.write(self.session.merchant) as connection:  # a decision must not change what is being claimed
            now = self.session.clock()
            for kinds, limit in ((_RMA_KINDS, self._batch_size()), (tuple(set(DeliveryKind) - set(_RMA_KINDS)), _LOOP_AT_ONCE)):
                claimed = outbox.claim(connection, self.session.merchant, self.owner, now, limit, kinds)
                if claimed:
                    return claimed
        return []

    def _batch_size(self) -> int:
        return max((warehouse.batch_size for warehouse in self.session.warehouses.values()), default=1)

    def _wait_for_next(self, give_up_at: float) -> bool:
        with self.session.store.read() as connection:
            due_at = outbox.next_due(connection, self.session.merchant)
        if due_at is None or due_at - self.session.clock() > _PATIENCE or time.monotonic() > give_up_at:
            return False
        self.sleep(max(0.05, (due_at - self.session.clock()).total_seconds()))
        return True

    def _deliver(self, claimed: Sequence[Delivery]) -> int:
        """One kind, one warehouse. RMAs go in calls as large as the warehouse takes, returns in one call each."""
        size = self._call_size(claimed[0])
        groups = [claimed[first : first + size] for first in range(0, len(claimed), size)]
        accepted = 0
        for place, group in enumerate(groups):
            try:
                accepted += self._attempt(group)
            except UnauthorizedError:
                rest = [delivery.delivery_id for later in groups[place:] for delivery in later]
                with self.session.store.write() as connection:
                    outbox.release_lease(connection, rest, self.session.clock())
                raise
        self.session.run.add("delivered", accepted)
        return accepted

    def _call_size(self, delivery: Delivery) -> int:
        warehouse = self.session.warehouses.get(delivery.warehouse)
        return warehouse.batch_size if warehouse is not None and delivery.kind in _RMA_KINDS else 1

    def _attempt(self, group: Sequence[Delivery]) -> int:
        """Look up the uncertain ones, send the rest, and settle all."""
        started_at = self.session.clock()
        found, group = self._look_up([delivery for delivery in group if delivery.is_uncertain], group, started_at)
        started_at = self.session.clock()
        with self.session.store.write() as connection:
            held = outbox.begin_attempts(connection, [delivery.delivery_id for delivery in group], self.owner, started_at)
        group = [delivery for delivery in group if delivery.delivery_id in held]
        if not group:
            return found
        try:
            outcomes = {outcome.return_id: outcome for outcome in self._send(group)}
        except UnauthorizedError as error:
            self._note(group, "retry", error, started_at)
            raise
        except VendorError as error:
            if isinstance(error, PermanentVendorError) and len(group) > 1:  # one bad record must not sink the others
                self._note(group, "retry", error, started_at)
                return found + sum(self._attempt([delivery]) for delivery in group)
            self._settle_failure(group, error, started_at)
            return found
        return found + self._settle(group, outcomes, started_at)

    def _note(self, group: Sequence[Delivery], outcome: str, error: VendorError, started_at: datetime) -> None:
        """Keep a row of an attempt that settles nothing."""
        with self.session.store.write(self.session.merchant) as connection:
            for delivery in group:
                outbox.note_attempt(connection, delivery, outcome, str(error), started_at, self.session.clock(), self.session.run.run_id)

    def _look_up(self, uncertain: Sequence[Delivery], group: Sequence[Delivery], started_at: datetime) -> tuple[int, list[Delivery]]:
        """Settle uncertain deliveries whose effect is there, or that must wait; returns how many were there, and those left to send."""
        if not uncertain:
            return 0, list(group)
        try:
            answers = lookups.look_up(self.session, uncertain, started_at)
        except UnauthorizedError:
            raise
        except (VendorError, StructuralError) as error:
            failure = error if isinstance(error, VendorError) else TransientVendorError(str(error), is_certain=False)
            self._settle_failure(uncertain, failure, started_at, still_uncertain=True)
            return 0, [delivery for delivery in group if not delivery.is_uncertain]
        now, run_id = self.session.clock(), self.session.run.run_id
        with self.session.store.write(self.session.merchant) as connection:
            for delivery in uncertain:
                answer = answers.get(delivery.delivery_id)
                if answer is None:
                    continue
                outbox.settle(
                    connection,
                    delivery,
                    answer.state,
                    answer.outcome,
                    started_at=started_at,
                    now=now,
                    run_id=run_id,
                    message=answer.message,
                    is_uncertain=answer.state is DeliveryState.PENDING,
                    next_attempt_at=answer.next_attempt_at,
                )
                if answer.state is DeliveryState.FAILED:
                    self._raise(connection, delivery, ExceptionKind.DELIVERY_FAILED, answer.message)
                mark_due(connection, self.session.merchant, [delivery.return_id])
        there = [a for a in answers.values() if a.state in (DeliveryState.ACCEPTED, DeliveryState.CONFIRMED)]
        return len(there), [delivery for delivery in group if delivery.delivery_id not in answers]

    def _send(self, group: Sequence[Delivery]) -> list[Outcome]:
        first = group[0]
        if first.kind in _RMA_KINDS:
            warehouse = self.session.client(first.warehouse)
            ids = [delivery.return_id for delivery in group]
            if first.kind is DeliveryKind.RMA_CREATE:
                return warehouse.create([draft_from_json(delivery.payload or "") for delivery in group])
            if first.kind is DeliveryKind.RMA_UPDATE:
                return warehouse.update([draft_from_json(delivery.payload or "") for delivery in group])
            return warehouse.cancel(ids) if first.kind is DeliveryKind.RMA_CANCEL else warehouse.close(ids)
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
        now, run_id = self.session.clock(), self.session.run.run_id
        with self.session.store.write(self.session.merchant) as connection:
            for delivery in group:
                outcome = outcomes.get(delivery.return_id)
                if outcome is None:
                    self._retry(
                        connection, delivery, "the answer does not name this record", started_at, is_uncertain=True, retry_after=None
                    )
                    continue
                state, word = _state_of(delivery.kind, outcome.verdict)
                outbox.settle(
                    connection,
                    delivery,
                    state,
                    word,
                    started_at=started_at,
                    now=now,
                    run_id=run_id,
                    code=outcome.code,
                    message=outcome.message,
                )
                if state is DeliveryState.REFUSED:
                    self.session.run.add("refused")
                    kind = _REFUSALS.get((delivery.kind, outcome.verdict), ExceptionKind.DELIVERY_REFUSED)
                    self._raise(connection, delivery, kind, outcome.message)
                else:
                    accepted += 1
                    self.acts += delivery.kind in (DeliveryKind.LOOP_PROCESS, DeliveryKind.LOOP_FLAG)
                    self._resolve(connection, delivery)
            # The news that proves an effect may have been taken in while its call was still under way.
            mark_due(connection, self.session.merchant, [delivery.return_id for delivery in group])
        return accepted

    def _settle_failure(
        self, group: Sequence[Delivery], error: VendorError, started_at: datetime, *, still_uncertain: bool = False
    ) -> None:
        """A call that failed as a whole: try again after a pause, or give up and ask for a person."""
        is_final = isinstance(error, PermanentVendorError)
        now = self.session.clock()
        with self.session.store.write(self.session.merchant) as connection:
            if still_uncertain:
                outbox.count_attempts(connection, [delivery.delivery_id for delivery in group])
            for delivery in group:
                if not is_final or still_uncertain:
                    is_uncertain = still_uncertain or not error.is_certain
                    self._retry(connection, delivery, str(error), started_at, is_uncertain=is_uncertain, retry_after=error.retry_after)
                    continue
                outbox.settle(
                    connection,
                    delivery,
                    DeliveryState.DEAD,
                    "failed",
                    started_at=started_at,
                    now=now,
                    run_id=self.session.run.run_id,
                    message=str(error),
                )
                self._raise(connection, delivery, ExceptionKind.DELIVERY_DEAD, str(error))

    def _retry(
        self,
        connection: sa.Connection,
        delivery: Delivery,
        why: str,
        started_at: datetime,
        *,
        is_uncertain: bool,
        retry_after: float | None,
    ) -> None:
        tries = delivery.attempts + 1
        now, is_dead = self.session.clock(), tries >= MAX_ATTEMPTS
        pause = next_delay(tries, random.random, retry_after)
        if is_uncertain and delivery.kind is DeliveryKind.LOOP_PROCESS:
            pause = max(pause, timedelta(seconds=self.session.settings.loop.process_settle_seconds))
        outbox.settle(
            connection,
            delivery,
            DeliveryState.DEAD if is_dead else DeliveryState.PENDING,
            "uncertain" if is_uncertain else "retry",
            started_at=started_at,
            now=now,
            run_id=self.session.run.run_id,
            message=why,
            is_uncertain=is_uncertain,
            next_attempt_at=now + pause,
        )
        if is_dead:
            self._raise(connection, delivery, ExceptionKind.DELIVERY_DEAD, f"{tries} attempts failed; the last: {why}")

    def _raise(self, connection: sa.Connection, delivery: Delivery, kind: ExceptionKind, why: str | None) -> None:
        subject = delivery.return_id if kind in _REFUSALS.values() else f"{delivery.kind}:{delivery.return_id}"
        words = f"{delivery.kind} of return {delivery.return_id}: {why or 'the vendor gave no reason'}"
        raise_exception(
            connection,
            self.session.merchant,
            kind,
            subject,
            words,
            return_id=delivery.return_id,
            run_id=self.session.run.run_id,
            now=self.session.clock(),
        )

    def _resolve(self, connection: sa.Connection, delivery: Delivery) -> None:
        for kind in (ExceptionKind.DELIVERY_REFUSED, ExceptionKind.DELIVERY_FAILED, ExceptionKind.DELIVERY_DEAD):
            resolve_exception(connection, self.session.merchant, kind, f"{delivery.kind}:{delivery.return_id}", self.session.clock())


def _state_of(kind: DeliveryKind, verdict: Verdict) -> tuple[DeliveryState, str]:
    """What a verdict means for a delivery. A create that is there already, and a cancel of what is gone, have had their effect."""
    if verdict is Verdict.ACCEPTED:
        return DeliveryState.ACCEPTED, "accepted"
    if (kind, verdict) in ((DeliveryKind.RMA_CREATE, Verdict.EXISTS), (DeliveryKind.RMA_CANCEL, Verdict.MISSING)):
        return DeliveryState.ACCEPTED, "adopted"
    return DeliveryState.REFUSED, "refused"
