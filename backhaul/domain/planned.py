"""What a plan says is to be written for one return."""

from __future__ import annotations

import msgspec

from backhaul.domain.deliveries import Transition
from backhaul.domain.matching import Match
from backhaul.domain.policy import Decision
from backhaul.domain.words import DeliveryKind, DeliveryState, ExceptionKind

# The exceptions that `plan` alone opens and resolves, each time it looks at a return.
PLANNED_EXCEPTIONS = (
    ExceptionKind.UNVERIFIABLE,
    ExceptionKind.RMA_REFUSED,
    ExceptionKind.UNKNOWN_CONDITION,
    ExceptionKind.RECEIPT_QUARANTINED,
    ExceptionKind.CORRECTION_AFTER_PROCESS,
    ExceptionKind.CLEAN_AFTER_FLAG,
)
# Those that another step may open too, and that are over once the return has ended in Loop.
OVER_WHEN_ENDED = (ExceptionKind.EDIT_AFTER_RECEIVING, ExceptionKind.RMA_NOT_FOUND)
# Those about one delivery, which a person who ends the return in Loop has solved.
ABOUT_DELIVERIES = (
    ExceptionKind.DELIVERY_REFUSED,
    ExceptionKind.DELIVERY_FAILED,
    ExceptionKind.DELIVERY_DEAD,
    ExceptionKind.DELIVERY_STUCK,
    ExceptionKind.DELIVERY_BLOCKED,
    ExceptionKind.PROCESS_UNCONFIRMED,
)


class NewDelivery(msgspec.Struct, frozen=True, gc=False):
    """A delivery to enqueue. `waits_for` names the effect that must be through first: one that is new here, or one on record."""

    kind: DeliveryKind
    key: str
    payload: str | None = None
    waits_for: str | int | None = None
    state: DeliveryState = DeliveryState.PENDING
    warehouse: str | None = None  # where it goes; None: the return's own


class Change(msgspec.Struct, frozen=True, gc=False):
    """A delivery on record that moves without a call: settled by the news, superseded, held, revived or given a new payload."""

    delivery_id: int
    transition: Transition
    message: str | None = None
    payload: str | None = None
    held_by: str | None = None


class Plan(msgspec.Struct):
    """What is to be written for one return."""

    match: Match
    decision: Decision
    deliveries: list[NewDelivery] = []
    changes: list[Change] = []
    exceptions: dict[ExceptionKind, str] = {}


def units_of(match: Match) -> tuple[int, ...]:
    """The counts of a match, in the order of the unit columns of `recon_returns`."""
    return (
        match.expected,
        match.available,
        match.damaged,
        match.pending,
        match.missing,
        match.awaited,
        match.unverifiable,
        match.unexpected_units,
    )
