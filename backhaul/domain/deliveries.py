"""Deliveries: how one may move from state to state, which bind a decision, and what a vendor's news proves about one.

Pure. Planning, look-ups and events all ask `proven`; the store moves a delivery by a `Transition` and in no other way.
"""

from __future__ import annotations

import msgspec

from backhaul.domain.words import DeliveryKind, DeliveryState, LoopState, RmaStage

_PENDING, _SENDING, _ACCEPTED = DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.ACCEPTED
_REFUSED, _FAILED, _DEAD = DeliveryState.REFUSED, DeliveryState.FAILED, DeliveryState.DEAD
_SUPERSEDED, _SHADOW, _CONFIRMED = DeliveryState.SUPERSEDED, DeliveryState.SHADOW, DeliveryState.CONFIRMED

THROUGH = (_ACCEPTED, _CONFIRMED)  # the vendor has it
GIVEN_UP = (_REFUSED, _FAILED, _DEAD)  # only a person sends it again
OVER = (*THROUGH, *GIVEN_UP, _SUPERSEDED)

TOLD_TO_LOOP = (DeliveryKind.LOOP_NOTE, DeliveryKind.LOOP_FLAG, DeliveryKind.LOOP_PROCESS)
BINDING = (DeliveryKind.LOOP_PROCESS, DeliveryKind.LOOP_FLAG)
# One that waits for a note or an update goes ahead when that one is over, however it ended.
DISPENSABLE = (DeliveryKind.LOOP_NOTE, DeliveryKind.RMA_UPDATE)

ENDED_BY_CUSTOMER = (LoopState.CANCELLED, LoopState.EXPIRED)
ENDED = (LoopState.CLOSED, *ENDED_BY_CUSTOMER)


class Transition(msgspec.Struct, frozen=True):
    """One way for a delivery to move. From `sending`, only the worker that holds its lease may take it."""

    name: str
    sources: frozenset[DeliveryState]
    target: DeliveryState


def _transition(name: str, target: DeliveryState, *sources: DeliveryState) -> Transition:
    return Transition(name, frozenset(sources), target)


CLAIM = _transition("claim", _SENDING, _PENDING, _SENDING)  # from sending: its lease has run out, so its worker died in the call
ACCEPT = _transition("accept", _ACCEPTED, _SENDING, _PENDING)
CONFIRM = _transition("confirm", _CONFIRMED, _SENDING, _PENDING, _ACCEPTED, *GIVEN_UP)
REFUSE = _transition("refuse", _REFUSED, _SENDING)
FAIL = _transition("fail", _FAILED, _SENDING, _PENDING, _ACCEPTED)
DIE = _transition("die", _DEAD, _SENDING)
TRY_LATER = _transition("try_later", _PENDING, _SENDING)
SUPERSEDE = _transition("supersede", _SUPERSEDED, _SENDING, _PENDING, _SHADOW)
AMEND = _transition("amend", _PENDING, _PENDING, _REFUSED)  # another payload, a hold, or none any more
REVIVE = _transition("revive", _PENDING, _SUPERSEDED)
SHELVE = _transition("shelve", _SHADOW, _PENDING, _SUPERSEDED)  # the merchant is in shadow mode
UNSHELVE = _transition("unshelve", _PENDING, _SHADOW)  # the merchant is live: by a person, or with another decision
RETRY = _transition("retry", _PENDING, *GIVEN_UP)  # by a person


class Owed(msgspec.Struct, frozen=True, gc=False):
    """A delivery of a return, as it stands in the outbox. `held_by` names what keeps it from being sent, None when nothing does."""

    delivery_id: int
    kind: DeliveryKind
    state: DeliveryState
    payload: str | None
    is_uncertain: bool
    warehouse: str = ""
    held_by: str | None = None

    @property
    def is_undone(self) -> bool:
        """Nothing was done for it at the vendor, so that it may still change or be dropped."""
        return self.state is DeliveryState.PENDING and not self.is_uncertain

    @property
    def may_be_done(self) -> bool:
        """An attempt whose answer is not known may have had its effect."""
        return self.state is DeliveryState.PENDING and self.is_uncertain

    @property
    def binds(self) -> bool:
        """It is a process or a flag whose call is under way, may have had its effect, or is settled: its decision stands."""
        settled = self.state in (_SENDING, *THROUGH, *GIVEN_UP)
        return self.kind in BINDING and (settled or self.may_be_done)


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What the vendors show of one return now. None, or False: not looked at, or not said."""

    loop_state: LoopState | None = None
    is_paid: bool = False
    failure: str | None = None  # Loop said that its processing failed, in these words
    rma_stage: RmaStage | None = None
    package_id: str | None = None
    has_note: bool = False


class Proof(msgspec.Struct, frozen=True):
    """What news proves: how the delivery moves, and why."""

    transition: Transition
    why: str


def proven(owed: Owed, seen: Seen, tracking_number: str | None = None) -> Proof | None:
    """What the news proves about a delivery, or None when it proves nothing. `tracking_number` is the one an `rma.update` carries.

    Uncertain is a pending delivery whose last attempt may have had its effect; undone is one of which nothing was done.

    | delivery | it is | the vendor | proves |
    |---|---|---|---|
    | loop.process | accepted or uncertain | shows closed | confirmed |
    | | accepted or uncertain | shows review, or says that it failed | failed |
    | | accepted | shows cancelled or expired | failed |
    | | uncertain | shows it open and paid | accepted |
    | | uncertain or undone | shows cancelled or expired | superseded |
    | | undone | shows closed | superseded |
    | loop.flag | accepted | shows anything but open | confirmed |
    | | uncertain | shows review | confirmed |
    | | uncertain or undone | shows closed, cancelled or expired | superseded |
    | loop.note | uncertain | shows the note | confirmed |
    | | uncertain or undone | shows closed, cancelled or expired | superseded |
    | rma.create | accepted, uncertain or given up | shows the RMA | confirmed |
    | rma.update | accepted | shows the RMA with this tracking number | confirmed |
    | rma.cancel | pending, accepted or given up | shows it gone | confirmed |
    | rma.close | pending, accepted or given up | shows it closed | confirmed |

    An undone process, flag or note on a return in review is held, not settled: open again, it is decided anew.
    """
    match owed.kind:
        case DeliveryKind.LOOP_PROCESS:
            return _proven_process(owed, seen)
        case DeliveryKind.LOOP_FLAG:
            return _proven_flag(owed, seen)
        case DeliveryKind.LOOP_NOTE:
            if owed.may_be_done and seen.has_note:
                return Proof(CONFIRM, "the note is there")
            return _forestalled(owed, seen)
        case _:
            return _proven_rma(owed, seen, tracking_number)


def _proven_process(owed: Owed, seen: Seen) -> Proof | None:
    is_accepted, state = owed.state is DeliveryState.ACCEPTED, seen.loop_state
    if is_accepted or owed.may_be_done:
        if state is LoopState.CLOSED:
            return Proof(CONFIRM, "Loop shows closed")
        taken = "Loop took the process, then" if is_accepted else "it is not known whether Loop took the process, and it"
        if state is LoopState.REVIEW or (is_accepted and state in ENDED_BY_CUSTOMER):
            return Proof(FAIL, f"{taken} showed {state}")
        if seen.failure is not None:
            return Proof(FAIL, f"{taken} failed{seen.failure and ': '}{seen.failure}")
        if owed.may_be_done and state is LoopState.OPEN and seen.is_paid:
            return Proof(ACCEPT, "Loop shows it open and paid")
    return _forestalled(owed, seen)


def _proven_flag(owed: Owed, seen: Seen) -> Proof | None:
    state = seen.loop_state
    is_shown = owed.state is DeliveryState.ACCEPTED and state not in (None, LoopState.OPEN)
    if is_shown or (owed.may_be_done and state is LoopState.REVIEW):
        return Proof(CONFIRM, f"Loop shows {state}")
    return _forestalled(owed, seen)


def _forestalled(owed: Owed, seen: Seen) -> Proof | None:
    if owed.state is DeliveryState.PENDING and seen.loop_state in ENDED:
        return Proof(SUPERSEDE, f"the return is {seen.loop_state} already; somebody acted first")
    return None


def _proven_rma(owed: Owed, seen: Seen, tracking_number: str | None) -> Proof | None:
    is_open = owed.state is DeliveryState.PENDING or owed.state in (DeliveryState.ACCEPTED, *GIVEN_UP)
    match owed.kind:
        case DeliveryKind.RMA_CREATE:
            is_shown = is_open and not owed.is_undone and seen.rma_stage not in (None, RmaStage.GONE)
        case DeliveryKind.RMA_CANCEL:
            is_shown = is_open and seen.rma_stage is RmaStage.GONE
        case DeliveryKind.RMA_CLOSE:
            is_shown = is_open and seen.rma_stage is RmaStage.CLOSED
        case _:
            # Only of one that was accepted: that the RMA is there, with that parcel, does not prove that its lines were changed too.
            is_shown = owed.state is DeliveryState.ACCEPTED and seen.rma_stage not in (None, RmaStage.GONE)
            is_shown = is_shown and tracking_number in (None, seen.package_id)
    return Proof(CONFIRM, f"the warehouse shows it {seen.rma_stage}") if is_shown else None
