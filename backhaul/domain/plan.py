"""What a return's facts call for: its decision, the deliveries it owes, what its news confirms, and what needs a person.

`plan` is pure. It reads all that is known of one return and answers with the changes; the store writes them in one transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from backhaul.domain.announce import LineToAnnounce, build_draft, draft_from_json, draft_hash, draft_json, needs_rma
from backhaul.domain.keys import effect_key
from backhaul.domain.matching import LineToMatch, Match, count_units, match
from backhaul.domain.policy import Decision, Facts, Policy, correction, decide, decide_on_receipt, difference, flag_note
from backhaul.domain.reasons import Reasons
from backhaul.domain.rma import RmaDraft
from backhaul.domain.words import DecisionKind, DeliveryKind, DeliveryState, ExceptionKind, LoopState

_ENDED_BY_CUSTOMER = (LoopState.CANCELLED, LoopState.EXPIRED)
_ENDED = (LoopState.CLOSED, *_ENDED_BY_CUSTOMER)
_FINAL = (DecisionKind.PROCESS, DecisionKind.FLAG)

# The exceptions that `plan` alone opens and resolves, each time it looks at a return.
PLANNED_EXCEPTIONS = (
    ExceptionKind.UNVERIFIABLE,
    ExceptionKind.RMA_REFUSED,
    ExceptionKind.UNKNOWN_CONDITION,
    ExceptionKind.CORRECTION_AFTER_PROCESS,
    ExceptionKind.CLEAN_AFTER_FLAG,
)
# Those that another step may open too, and that are over once the return has ended in Loop.
OVER_WHEN_ENDED = (ExceptionKind.EDIT_AFTER_RECEIVING, ExceptionKind.RMA_NOT_FOUND)


class Line(LineToMatch, frozen=True, gc=False):
    """A return line, as far as a plan needs it."""

    reason: str | None


class Rma(msgspec.Struct, frozen=True, gc=False):
    """The RMA as the warehouse last told it. `unknown` are its own words for conditions that nobody listed."""

    status: str | None
    is_terminal: bool
    package_id: str | None
    received_at: datetime | None
    closed_at: datetime | None
    first_seen_at: datetime
    units: tuple[tuple[str, str, int], ...]  # SKU, condition, units
    unknown: tuple[str, ...] = ()


class Owed(msgspec.Struct, frozen=True, gc=False):
    """A delivery of this return, as it stands in the outbox."""

    delivery_id: int
    kind: DeliveryKind
    state: DeliveryState
    payload: str | None
    is_uncertain: bool

    @property
    def is_undone(self) -> bool:
        """Nothing was done for it at the vendor, so that it may still change or be dropped."""
        return self.state is DeliveryState.PENDING and not self.is_uncertain


class Standing(msgspec.Struct, frozen=True, gc=False):
    """The decision on record: the units it was taken on, and those that were counted last."""

    decision: Decision
    units: tuple[int, ...]
    latest_units: tuple[int, ...]
    decided_at: datetime


class ReturnFacts(msgspec.Struct, frozen=True, gc=False):
    """All that is known of one return."""

    return_id: str
    loop_state: LoopState
    first_state: LoopState
    order_name: str | None
    ordinal: int
    tracking_number: str | None
    is_history: bool
    first_seen_at: datetime
    lines: tuple[Line, ...]
    rma: Rma | None
    owed: tuple[Owed, ...]
    standing: Standing | None

    @property
    def is_ended(self) -> bool:
        """Loop has nothing more to do about it."""
        return self.loop_state in _ENDED


class Terms(msgspec.Struct, frozen=True):
    """What the merchant and the warehouse lay down for every return."""

    policy: Policy
    reasons: Reasons
    mode: Literal["live", "shadow"]
    must_close: bool


class NewDelivery(msgspec.Struct, frozen=True, gc=False):
    """A delivery to enqueue. `waits_for` names the effect that must be through first: one that is new here, or one on record."""

    kind: DeliveryKind
    key: str
    payload: str | None = None
    waits_for: str | int | None = None
    state: DeliveryState = DeliveryState.PENDING


class Change(msgspec.Struct, frozen=True, gc=False):
    """A delivery on record that changes without a call: settled by the news, or given a new payload before it was tried."""

    delivery_id: int
    state: DeliveryState
    message: str | None = None
    payload: str | None = None


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


def plan(facts: ReturnFacts, terms: Terms, now: datetime) -> Plan:
    """Work out what one return's facts call for. The same facts call for nothing new a second time."""
    rma = facts.rma
    is_terminal = rma is not None and rma.is_terminal
    matched = match(facts.lines, count_units(rma.units if rma else ()), is_terminal)
    judged = Facts(
        loop_state=facts.loop_state,
        match=matched,
        is_rma_refused=any(o.kind is DeliveryKind.RMA_CREATE and o.state is DeliveryState.REFUSED for o in facts.owed) and rma is None,
        is_terminal=is_terminal,
        received_at=rma.received_at if rma else None,
        first_seen_at=rma.first_seen_at if rma else facts.first_seen_at,
        standing=facts.standing.decision if facts.standing else None,
    )
    result = Plan(matched, decide(judged, terms.policy, now))
    _confirm(facts, result)
    if not facts.is_history:
        _announce(facts, terms, result)
        _tell_loop(facts, terms, result)
        _note_exceptions(facts, judged, terms, result, now)
    return result


def _owed(facts: ReturnFacts, *kinds: DeliveryKind) -> list[Owed]:
    return [owed for owed in facts.owed if owed.kind in kinds]


def _confirm(facts: ReturnFacts, result: Plan) -> None:
    """Settle what the vendors' news proves: an effect that is there, one that failed, one that a person forestalled."""
    for owed in facts.owed:
        state, message = _proven(owed, facts)
        if state is not None:
            result.changes.append(Change(owed.delivery_id, state, message))


def _proven(owed: Owed, facts: ReturnFacts) -> tuple[DeliveryState | None, str | None]:
    was_sent = owed.state is DeliveryState.ACCEPTED or (owed.state is DeliveryState.PENDING and owed.is_uncertain)
    if owed.kind is DeliveryKind.LOOP_PROCESS:
        return _proven_process(owed, facts.loop_state, was_sent)
    if owed.kind is DeliveryKind.LOOP_FLAG:
        if was_sent and facts.loop_state is not LoopState.OPEN:
            return DeliveryState.CONFIRMED, f"Loop shows {facts.loop_state}"
        if owed.is_undone and facts.loop_state is not LoopState.OPEN:
            return DeliveryState.SUPERSEDED, f"the return is {facts.loop_state} already; somebody acted first"
    if owed.kind is DeliveryKind.LOOP_NOTE and owed.is_undone and facts.loop_state is not LoopState.OPEN:
        return DeliveryState.SUPERSEDED, f"the return is {facts.loop_state} already; somebody acted first"
    if facts.rma is not None and was_sent and _is_seen(owed, facts.rma):
        return DeliveryState.CONFIRMED, "the warehouse shows it"
    return None, None


def _proven_process(owed: Owed, loop_state: LoopState, was_sent: bool) -> tuple[DeliveryState | None, str | None]:
    if was_sent and loop_state is LoopState.CLOSED:
        return DeliveryState.CONFIRMED, "Loop shows closed"
    if owed.state is DeliveryState.ACCEPTED and loop_state is not LoopState.OPEN:
        return DeliveryState.FAILED, f"Loop took the process, then showed {loop_state}"
    if was_sent and loop_state is LoopState.REVIEW:
        return DeliveryState.FAILED, "it is not known to be processed, and Loop shows review"
    if owed.state is DeliveryState.PENDING and loop_state is not LoopState.OPEN:
        return DeliveryState.SUPERSEDED, f"the return is {loop_state} already; somebody acted first"
    return None, None


def _is_seen(owed: Owed, rma: Rma) -> bool:
    if owed.kind is DeliveryKind.RMA_CREATE:
        return True
    if owed.kind is DeliveryKind.RMA_CANCEL:
        return rma.status in ("deleted", "cancelled")
    if owed.kind is DeliveryKind.RMA_CLOSE:
        return rma.status == "closed"
    if owed.kind is DeliveryKind.RMA_UPDATE and owed.payload is not None and owed.state is DeliveryState.ACCEPTED:
        # Only of one that was accepted: that the RMA is there, with that parcel, does not prove that its lines were changed too.
        tracking_number = draft_from_json(owed.payload).tracking_number
        return tracking_number is None or tracking_number == rma.package_id
    return False


def _announce(facts: ReturnFacts, terms: Terms, result: Plan) -> None:
    """Owe the warehouse the RMA, a change of it, or its withdrawal."""
    creates = _owed(facts, DeliveryKind.RMA_CREATE)
    if facts.loop_state in _ENDED_BY_CUSTOMER:
        _withdraw(facts, creates, result)
        return
    has_sku = any(line.sku for line in facts.lines)
    if not creates:
        is_wanted = needs_rma(facts.first_state, facts.loop_state, terms.policy.announce, has_sku, facts.tracking_number)
        if is_wanted and facts.rma is None:
            draft = _draft(facts, terms)
            result.deliveries.append(
                NewDelivery(DeliveryKind.RMA_CREATE, effect_key(DeliveryKind.RMA_CREATE, facts.return_id), draft_json(draft))
            )
        return
    if facts.loop_state in (LoopState.OPEN, LoopState.REVIEW) and has_sku:
        _bring_up_to_date(facts, _draft(facts, terms), creates[0], result)


def _draft(facts: ReturnFacts, terms: Terms) -> RmaDraft:
    lines = [LineToAnnounce(line.sku, line.reason) for line in facts.lines]
    number = facts.order_name.lstrip("#") if facts.order_name else None
    return build_draft(facts.return_id, facts.order_name, number, facts.ordinal, facts.tracking_number, lines, terms.reasons)


def _bring_up_to_date(facts: ReturnFacts, draft: RmaDraft, create: Owed, result: Plan) -> None:
    """Change an RMA that no longer says what the return does: in the outbox while it is unsent, at the warehouse after that."""
    updates = _owed(facts, DeliveryKind.RMA_UPDATE)
    newest = updates[-1] if updates else create
    announced = draft_from_json(newest.payload or create.payload or "")
    wanted = RmaDraft(
        draft.return_id,
        draft.order_name,
        draft.order_number,
        announced.ordinal,
        draft.tracking_number or announced.tracking_number,
        draft.lines,
    )
    if wanted == announced:
        return
    if newest.is_undone or (newest is create and create.state is DeliveryState.REFUSED and wanted.lines != announced.lines):
        result.changes.append(Change(newest.delivery_id, DeliveryState.PENDING, None, draft_json(wanted)))
        return
    if create.state in (DeliveryState.REFUSED, DeliveryState.DEAD, DeliveryState.SUPERSEDED):
        return
    if facts.rma is not None and facts.rma.status not in (None, "open", "requested"):
        if wanted.lines != announced.lines:
            result.exceptions[ExceptionKind.EDIT_AFTER_RECEIVING] = "the lines changed in Loop after the warehouse began to receive"
        return
    key = effect_key(DeliveryKind.RMA_UPDATE, facts.return_id, f"{len(updates) + 1}:{draft_hash(wanted)}")
    result.deliveries.append(NewDelivery(DeliveryKind.RMA_UPDATE, key, draft_json(wanted), waits_for=newest.delivery_id))


def _withdraw(facts: ReturnFacts, creates: list[Owed], result: Plan) -> None:
    for owed in [*creates, *_owed(facts, DeliveryKind.RMA_UPDATE)]:
        if owed.is_undone:
            result.changes.append(Change(owed.delivery_id, DeliveryState.SUPERSEDED, f"the return is {facts.loop_state} in Loop"))
    standing = [
        owed
        for owed in creates
        if not owed.is_undone and owed.state not in (DeliveryState.REFUSED, DeliveryState.DEAD, DeliveryState.SUPERSEDED)
    ]
    is_open = facts.rma is None or facts.rma.status in (None, "open", "requested")
    if standing and is_open and not _owed(facts, DeliveryKind.RMA_CANCEL):
        key = effect_key(DeliveryKind.RMA_CANCEL, facts.return_id)
        result.deliveries.append(NewDelivery(DeliveryKind.RMA_CANCEL, key, waits_for=standing[0].delivery_id))
    elif standing and not is_open and result.match.expected > result.match.awaited + result.match.unverifiable:
        why = f"units arrived at the warehouse for a return that is {facts.loop_state} in Loop"
        result.exceptions[ExceptionKind.CANCEL_AFTER_RECEIVING] = why


def _tell_loop(facts: ReturnFacts, terms: Terms, result: Plan) -> None:
    """Owe Loop the process or the flag, once, when the decision is first reached."""
    if result.decision.kind not in _FINAL or _owed(facts, DeliveryKind.LOOP_PROCESS, DeliveryKind.LOOP_FLAG):
        return
    if facts.standing is not None and facts.standing.decision.kind in _FINAL and facts.loop_state is not LoopState.OPEN:
        return  # decided as history, and over in Loop by now
    state = DeliveryState.SHADOW if terms.mode == "shadow" else DeliveryState.PENDING
    before: str | None = None
    steps: list[tuple[DeliveryKind, str | None]] = [(DeliveryKind.RMA_CLOSE, None)] if terms.must_close else []
    if result.decision.kind is DecisionKind.PROCESS:
        steps.append((DeliveryKind.LOOP_PROCESS, None))
    else:
        steps += [(DeliveryKind.LOOP_NOTE, flag_note(result.decision, result.match)), (DeliveryKind.LOOP_FLAG, None)]
    for kind, payload in steps:
        key = effect_key(kind, facts.return_id)
        result.deliveries.append(NewDelivery(kind, key, payload, waits_for=before, state=state))
        before = key


def _note_exceptions(facts: ReturnFacts, judged: Facts, terms: Terms, result: Plan, now: datetime) -> None:
    found = result.exceptions
    if result.decision.kind is DecisionKind.HOLD and "unverifiable" in result.decision.reasons:
        found[ExceptionKind.UNVERIFIABLE] = "no line has a SKU, so that nothing can be announced or matched"
    if result.decision.kind is DecisionKind.HOLD and "rma_refused" in result.decision.reasons:
        found[ExceptionKind.RMA_REFUSED] = "the warehouse refused the RMA for good"
    if (
        facts.rma is not None
        and facts.rma.status in ("deleted", "cancelled")
        and not _owed(facts, DeliveryKind.RMA_CANCEL)
        and facts.loop_state is LoopState.OPEN
    ):
        found[ExceptionKind.RMA_NOT_FOUND] = "the RMA was withdrawn at the warehouse while the return is open in Loop"
    if facts.rma is not None and facts.rma.unknown and facts.loop_state not in _ENDED:
        words = ", ".join(sorted(set(facts.rma.unknown)))
        found[ExceptionKind.UNKNOWN_CONDITION] = (
            f"the warehouse gave a condition that is not known ({words}); the units are held as pending"
        )
    standing = facts.standing
    if standing is not None and standing.decision.kind in _FINAL and standing.units != units_of(result.match):
        would_be = decide_on_receipt(judged, terms.policy, now)
        kind = correction(standing.decision, would_be)
        if kind is not None:
            found[kind] = difference(standing.decision, would_be)
