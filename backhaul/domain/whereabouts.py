"""Where a return stands: its stage, what it waits for, and the value at risk. Pure; the store keeps the answer beside the facts.

The first row that holds is the stage:

| # | stage | when |
|---|---|---|
| 1 | `history` | a backfill alone has seen it |
| 2 | `exception` | an open exception stops it (`STOPPING`) |
| 3 | `processed` | it is decided to process, and Loop shows that done |
| 4 | `flagged` | it is decided to flag, and Loop has taken the flag |
| 5 | `ended` | it is decided to skip, or Loop shows it closed, cancelled or expired |
| 6 | `decided` | it is decided to process or to flag |
| 7 | `held` | it is decided to hold |
| 8 | `receiving` | the RMA is being received, or units of it were counted |
| 9 | `announced` | the RMA is there, or the warehouse has accepted it |
| 10 | `unannounced` | otherwise |

and what it waits for follows, so that nothing waits without saying for what:

| stage | waits for |
|---|---|
| `history`, `processed`, `ended` | nothing |
| `exception` | `person` |
| `flagged` | `person`, until Loop shows it ended: then nothing |
| `decided` | `review` while that holds the call; `person` where the call is not sent (shadow, held otherwise, given up); else `vendor` |
| `held` | `review`, `inspection` or `person`, by its reason |
| `receiving` | `receiving` |
| `announced` | `receiving` once the parcel is said to be there, else `parcel` |
| `unannounced` | `person` where the RMA was given up, else `announcement` |
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

import msgspec

from backhaul.domain.deliveries import ENDED, GIVEN_UP, THROUGH
from backhaul.domain.words import DecisionKind, DeliveryState, ExceptionKind, LineOutcome, LoopState, Reason, RmaStage


class Stage(StrEnum):
    """How far a return has come."""

    HISTORY = "history"
    UNANNOUNCED = "unannounced"
    ANNOUNCED = "announced"
    RECEIVING = "receiving"
    HELD = "held"
    DECIDED = "decided"
    PROCESSED = "processed"
    FLAGGED = "flagged"
    ENDED = "ended"
    EXCEPTION = "exception"


class Awaited(StrEnum):
    """What a return waits for."""

    ANNOUNCEMENT = "announcement"  # of its RMA, to the warehouse
    PARCEL = "parcel"  # from the customer and the carrier
    RECEIVING = "receiving"  # of the parcel, at the warehouse
    INSPECTION = "inspection"  # of units that are there
    REVIEW = "review"  # by the merchant, in Loop
    VENDOR = "vendor"  # to take what is sent, and to show it
    PERSON = "person"


STOPPING = (
    ExceptionKind.RMA_REFUSED,
    ExceptionKind.UNVERIFIABLE,
    ExceptionKind.RECEIPT_QUARANTINED,
    ExceptionKind.DELIVERY_REFUSED,
    ExceptionKind.DELIVERY_FAILED,
    ExceptionKind.DELIVERY_DEAD,
    ExceptionKind.DELIVERY_STUCK,
    ExceptionKind.DELIVERY_BLOCKED,
    ExceptionKind.RMA_NOT_FOUND,
    ExceptionKind.PROCESS_UNCONFIRMED,
    ExceptionKind.OUTCOME_UNDONE,
)
"""The kinds of exception that stop a return; one about a note stops nothing."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """A delivery of the return: how far it has come, and what keeps it from being sent."""

    state: DeliveryState
    held_by: str | None = None


class Known(msgspec.Struct, frozen=True, gc=False):
    """All that a stage follows from. `counted_units` arrived in any condition; `is_stopped`: an open exception stops it."""

    loop_state: LoopState
    is_history: bool = False
    is_stopped: bool = False
    decision: DecisionKind | None = None
    reasons: tuple[str, ...] = ()
    counted_units: int = 0
    has_rma: bool = False
    rma_stage: RmaStage | None = None
    is_delivered: bool = False
    create: Call | None = None
    flag: Call | None = None
    process: Call | None = None


def stage_of(known: Known) -> Stage:
    """The stage: the first row that holds of the first table above."""
    decision = known.decision
    if known.is_history:
        return Stage.HISTORY
    if known.is_stopped:
        return Stage.EXCEPTION
    if decision is DecisionKind.PROCESS and known.process is not None and known.process.state is DeliveryState.CONFIRMED:
        return Stage.PROCESSED
    if decision is DecisionKind.FLAG and known.flag is not None and known.flag.state in THROUGH:
        return Stage.FLAGGED
    if decision is DecisionKind.SKIP or known.loop_state in ENDED:
        return Stage.ENDED
    if decision in (DecisionKind.PROCESS, DecisionKind.FLAG):
        return Stage.DECIDED
    if decision is DecisionKind.HOLD:
        return Stage.HELD
    if known.rma_stage is RmaStage.RECEIVING or known.counted_units > 0:
        return Stage.RECEIVING
    if known.has_rma or (known.create is not None and known.create.state in THROUGH):
        return Stage.ANNOUNCED
    return Stage.UNANNOUNCED


def awaited_by(stage: Stage, known: Known) -> Awaited | None:
    """What a return at this stage waits for: the second table above."""
    match stage:
        case Stage.HISTORY | Stage.PROCESSED | Stage.ENDED:
            return None
        case Stage.EXCEPTION:
            return Awaited.PERSON
        case Stage.FLAGGED:
            return None if known.loop_state in ENDED else Awaited.PERSON
        case Stage.DECIDED:
            return _awaited_by_call(known.process if known.decision is DecisionKind.PROCESS else known.flag)
        case Stage.HELD:
            if Reason.LOOP_REVIEW in known.reasons:
                return Awaited.REVIEW
            return Awaited.INSPECTION if Reason.PENDING in known.reasons else Awaited.PERSON
        case Stage.RECEIVING:
            return Awaited.RECEIVING
        case Stage.ANNOUNCED:
            return Awaited.RECEIVING if known.is_delivered else Awaited.PARCEL
        case Stage.UNANNOUNCED:
            is_given_up = known.create is not None and known.create.state in GIVEN_UP
            return Awaited.PERSON if is_given_up else Awaited.ANNOUNCEMENT


def _awaited_by_call(call: Call | None) -> Awaited:
    if call is None:
        return Awaited.VENDOR
    if call.held_by == Reason.LOOP_REVIEW:
        return Awaited.REVIEW
    is_unsent = call.held_by is not None or call.state in (DeliveryState.SHADOW, *GIVEN_UP)
    return Awaited.PERSON if is_unsent else Awaited.VENDOR


Amounts = tuple[LineOutcome, Decimal | None, Decimal | None, Decimal | None]

_LOST = (LineOutcome.DAMAGED, LineOutcome.MISSING, LineOutcome.UNVERIFIABLE)


def value_at_risk(lines: Iterable[Amounts], *, is_paid: bool) -> Decimal:
    """Price - discount + tax over the lines that are damaged, missing or unverifiable and, where Loop has paid, over those awaited.

    A line is its outcome with these three amounts, in the return's currency.
    """
    zero = Decimal(0)
    return sum(
        (
            (price or zero) - (discount or zero) + (tax or zero)
            for outcome, price, discount, tax in lines
            if outcome in _LOST or (is_paid and outcome is LineOutcome.AWAITED)
        ),
        zero,
    )
