"""One return in a sentence that can be read to its customer, and its decisions in words. Pure: `now` is a parameter.

`Parcel received 24 Nov; 1 of 2 units is being inspected; decided by 26 Nov; refund of $178.00 waits.`

| clause | from |
|---|---|
| where the parcel is | the warehouse's times, else the RMA's stage, else the carrier's label |
| what was found in it | the match, counted in units |
| what follows, and by when | the decision, its due date, and how far its delivery has come |
| the money | what Loop owes the customer, and whether Loop has done it |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from backhaul.domain.plainly import day, joined, money, units
from backhaul.domain.whereabouts import Awaited
from backhaul.domain.words import DecisionKind, DeliveryState, LoopState, Reason, RmaStage

_DONE = (DeliveryState.ACCEPTED, DeliveryState.CONFIRMED)
_FAILED = (DeliveryState.REFUSED, DeliveryState.FAILED, DeliveryState.DEAD)
_UNDER_WAY = ("in_transit", "out_for_delivery")

RULES = {  # docs/architecture.md, Decisions: the number of each rule, and what it says
    1: "the return has ended in Loop",
    2: "the return is in review in Loop",
    3: "the warehouse cannot take it in as it is",
    4: "the warehouse has not received everything yet",
    5: "what arrived is not what was sent back",
    6: "units are still being inspected",
    7: "the inspection has taken longer than agreed",
    8: "every unit arrived in good condition",
}
_RULE_OF = {
    Reason.LOOP_CLOSED: 1,
    Reason.LOOP_CANCELLED: 1,
    Reason.LOOP_EXPIRED: 1,
    Reason.LOOP_REVIEW: 2,
    Reason.RMA_REFUSED: 3,
    Reason.PENDING: 6,
    Reason.INSPECTION_OVERDUE: 7,
}


def rule_of(decision: str, reasons: Sequence[str]) -> int:
    """The number of the policy's rule that made a decision (`policy.decide`), from what is stored of it."""
    for reason in reasons:
        if reason in _RULE_OF:
            return _RULE_OF[Reason(reason)]
    if decision == DecisionKind.HOLD:
        return 3
    return {DecisionKind.WAIT: 4, DecisionKind.FLAG: 5, DecisionKind.SKIP: 1}.get(DecisionKind(decision), 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the sentence is made of. Counts are units; money is in `currency`; `loop_state` is None of one that is in quarantine alone."""

    loop_state: str | None
    created_at: datetime | None = None
    is_history: bool = False
    decision: str | None = None
    reasons: tuple[str, ...] = ()
    due_at: datetime | None = None
    delivery_state: str | None = None
    expected: int = 0
    available: int = 0
    damaged: int = 0
    pending: int = 0
    missing: int = 0
    unverifiable: int = 0
    unexpected: int = 0
    rma_stage: str | None = None
    label_status: str | None = None
    delivered_at: datetime | None = None
    received_at: datetime | None = None
    ended_at: datetime | None = None
    currency: str | None = None
    refund: Decimal | None = None
    gift_card: Decimal | None = None
    is_exchange: bool = False
    is_paid: bool = False
    paid_at: datetime | None = None
    waits_for: str | None = None  # as `domain/whereabouts.py` has it

    @property
    def seen(self) -> int:
        """Units that are there, in whatever condition."""
        return self.available + self.damaged + self.pending


def sentence(case: Case, now: datetime) -> str:
    """The return in one sentence, for its customer: no ids, no words of ours."""
    if case.loop_state is None:
        return "The return could not be read; a person has to look at it."
    text = "; ".join(clause for clause in _clauses(case, now) if clause)
    return f"{text[:1].upper()}{text[1:]}."


def _clauses(case: Case, now: datetime) -> Iterator[str]:
    yield _parcel(case, now)
    if case.seen or case.missing or case.unverifiable or case.unexpected:
        yield _found(case)
    yield _next(case, now)
    yield _outcome(case, now)


def _parcel(case: Case, now: datetime) -> str:
    if case.received_at is not None:
        return f"parcel received {day(case.received_at, now)}"
    if case.delivered_at is not None:
        return f"parcel arrived at the warehouse {day(case.delivered_at, now)}"
    if case.rma_stage == RmaStage.RECEIVING:
        return "the warehouse is taking the parcel in"
    if case.rma_stage in (RmaStage.RECEIVED, RmaStage.CLOSED):
        return "parcel received"
    if case.loop_state in (LoopState.CANCELLED, LoopState.EXPIRED):
        return ""
    if case.label_status in _UNDER_WAY:
        return "parcel on its way to the warehouse"
    started = f"return started {day(case.created_at, now)}" if case.created_at else "return started"
    return f"{started}; parcel not received yet"


def _found(case: Case) -> str:
    if case.available == case.expected and case.expected and not case.unexpected:
        return "the unit arrived in good condition" if case.expected == 1 else f"all {case.expected} units arrived in good condition"
    told = (
        (case.damaged, "arrived damaged", "arrived damaged"),
        (case.missing, "did not arrive", "did not arrive"),
        (case.pending, "is being inspected", "are being inspected"),
        (case.unverifiable, "cannot be identified", "cannot be identified"),
    )
    parts: list[str] = []
    for count, one, many in told:
        if count:
            number = f"{count} of {units(case.expected)}" if not parts else str(count)
            parts.append(f"{number} {one if count == 1 else many}")
    if case.unexpected:
        parts.append(f"{units(case.unexpected)} arrived that {'was' if case.unexpected == 1 else 'were'} not announced")
    return joined(parts) or f"{case.available} of {units(case.expected)} arrived so far"


def _next(case: Case, now: datetime) -> str:
    if case.loop_state == LoopState.CANCELLED:
        return "the return was cancelled"
    if case.loop_state == LoopState.EXPIRED:
        return "the return has expired"
    if case.is_history:
        return ""
    if case.loop_state == LoopState.REVIEW and case.decision != DecisionKind.PROCESS:
        return "a person is reviewing the return"
    if case.decision == DecisionKind.PROCESS:
        if case.delivery_state in _FAILED:
            return "approved, and a person is looking at why it could not be completed"
        return "" if case.delivery_state in _DONE else "approved"
    if case.decision == DecisionKind.FLAG:
        return "a person is looking at it"
    if case.decision == DecisionKind.HOLD and case.due_at is not None:
        return f"decided by {day(case.due_at, now)}" if case.due_at > now else "decided at the next look"
    if case.waits_for == Awaited.PERSON:
        return "a person has to look at it"
    return ""


def _outcome(case: Case, now: datetime) -> str:
    parts = []
    if case.refund is not None and case.refund > 0:
        parts.append(f"refund of {money(case.refund, case.currency)}")
    if case.gift_card is not None and case.gift_card > 0:
        parts.append(f"store credit of {money(case.gift_card, case.currency)}")
    if case.is_exchange:
        parts.append("exchange")
    if not parts or case.loop_state in (LoopState.CANCELLED, LoopState.EXPIRED):
        return ""
    what, is_one = joined(parts), len(parts) == 1
    if case.paid_at is not None:
        return f"{what} made {day(case.paid_at, now)}"
    if case.is_paid:
        return f"{what} made"
    if case.loop_state == LoopState.CLOSED or (case.decision == DecisionKind.PROCESS and case.delivery_state in _DONE):
        return f"{what} {'is' if is_one else 'are'} on {'its' if is_one else 'their'} way"
    return f"{what} {'waits' if is_one else 'wait'}"


_WAITS = {
    Awaited.ANNOUNCEMENT: "The warehouse is told of the return.",
    Awaited.PARCEL: "The parcel reaches the warehouse.",
    Awaited.RECEIVING: "The warehouse finishes receiving the parcel.",
    Awaited.INSPECTION: "The warehouse finishes its inspection.",
    Awaited.REVIEW: "A person ends the review in Loop.",
    Awaited.VENDOR: "Loop takes the decision, and shows it; until it does, it is asked again by itself.",
    Awaited.PERSON: "A person looks at it.",
}


def what_next(case: Case, now: datetime) -> str:
    """What happens next and when, for the one who looks the return up."""
    if case.waits_for is None:
        return "Nothing: the return is settled."
    text = _WAITS[Awaited(case.waits_for)]
    if case.waits_for == Awaited.INSPECTION and case.due_at is not None:
        return f"{text} If it has not by {day(case.due_at, now)} ({case.due_at:%H:%M} UTC), the return is flagged for a person."
    return text


DECIDED = {
    DecisionKind.WAIT: "Decided to wait",
    DecisionKind.HOLD: "Decided to hold",
    DecisionKind.PROCESS: "Decided to process",
    DecisionKind.FLAG: "Decided to flag it for a person",
    DecisionKind.SKIP: "Nothing to decide",
}


def decided(decision: str, reasons: Sequence[str]) -> str:
    """A decision with the rule that made it: `Decided to process: every unit arrived in good condition (rule 8).`"""
    rule = rule_of(decision, reasons)
    why = joined([_REASONS.get(reason, reason) for reason in reasons]) or RULES[rule]
    return f"{DECIDED[DecisionKind(decision)]}: {why} (rule {rule})."


_REASONS: dict[str, str] = {
    Reason.DAMAGED: "units arrived damaged",
    Reason.MISSING: "units did not arrive",
    Reason.UNEXPECTED: "units arrived that were not announced",
    Reason.UNVERIFIABLE: "units have no SKU, so that they cannot be told apart",
    Reason.PENDING: "units are being inspected",
    Reason.INSPECTION_OVERDUE: "the inspection has taken longer than agreed",
    Reason.LOOP_CLOSED: "the return is closed in Loop",
    Reason.LOOP_CANCELLED: "the return is cancelled in Loop",
    Reason.LOOP_EXPIRED: "the return has expired in Loop",
    Reason.LOOP_REVIEW: "the return is in review in Loop",
    Reason.RMA_REFUSED: "the warehouse refused the RMA",
}
