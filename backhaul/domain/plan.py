"""What a return's facts call for: its decision, the deliveries it owes, what its news confirms, and what needs a person.

`plan` is pure. It reads all that is known of one return and answers with the changes; the store writes them in one transaction, and the
same happens once more in the transaction that claims a delivery, so that none is sent on facts that no longer hold.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from backhaul.domain.announce import LineToAnnounce, build_draft, draft_from_json, draft_hash, draft_json, needs_rma
from backhaul.domain.deliveries import (
    AMEND,
    BINDING,
    ENDED,
    ENDED_BY_CUSTOMER,
    GIVEN_UP,
    REVIVE,
    SHELVE,
    SUPERSEDE,
    THROUGH,
    TOLD_TO_LOOP,
    Owed,
    Seen,
    Transition,
    proven,
)
from backhaul.domain.keys import effect_key
from backhaul.domain.matching import LineToMatch, Match, count_units, match
from backhaul.domain.policy import FINAL, Decision, Facts, Policy, correction, decide, decide_on_receipt, difference, flag_note
from backhaul.domain.reasons import Reasons
from backhaul.domain.rma import RmaDraft
from backhaul.domain.words import DecisionKind, DeliveryKind, DeliveryState, ExceptionKind, LoopState, Reason, RmaStage

_ALIVE = (LoopState.OPEN, LoopState.REVIEW)
_CHANGEABLE = (None, RmaStage.ANNOUNCED)  # stages at which a warehouse takes an update or a cancel; None: not seen yet
_WITH_THE_DECISION = (DeliveryKind.RMA_CLOSE, *TOLD_TO_LOOP)  # what a process or a flag owes

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


class Line(LineToMatch, frozen=True, gc=False):
    """A return line, as far as a plan needs it."""

    reason: str | None


class Rma(msgspec.Struct, frozen=True, gc=False):
    """The RMA as its warehouse last told it. `unknown` are the warehouse's own words for conditions that nobody listed."""

    warehouse: str
    stage: RmaStage | None
    package_id: str | None
    received_at: datetime | None
    closed_at: datetime | None
    first_seen_at: datetime
    units: tuple[tuple[str, str, int], ...]  # SKU, condition, units
    unknown: tuple[str, ...] = ()

    @property
    def is_terminal(self) -> bool:
        """Nothing more will arrive."""
        return self.stage in (RmaStage.RECEIVED, RmaStage.CLOSED)


class Standing(msgspec.Struct, frozen=True, gc=False):
    """The decision on record: the units it was taken on, and those that were counted last."""

    decision: Decision
    units: tuple[int, ...]
    latest_units: tuple[int, ...]
    decided_at: datetime


class ReturnFacts(msgspec.Struct, frozen=True, gc=False):
    """All that is known of one return. `receipt_quarantine` is why its newest receipt is in quarantine, None when it is not."""

    return_id: str
    warehouse: str
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
    receipt_quarantine: str | None = None

    @property
    def is_ended(self) -> bool:
        """Loop has nothing more to do about it."""
        return self.loop_state in ENDED

    def of(self, *kinds: DeliveryKind) -> list[Owed]:
        """The deliveries of these kinds, oldest first."""
        return [owed for owed in self.owed if owed.kind in kinds]


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


def plan(facts: ReturnFacts, terms: Terms, now: datetime) -> Plan:
    """Work out what one return's facts call for. The same facts call for nothing new a second time."""
    proofs, facts = _settle(facts)
    rma = facts.rma if facts.rma is not None and facts.rma.stage is not RmaStage.GONE else None
    is_terminal = rma is not None and rma.is_terminal and facts.receipt_quarantine is None
    matched = match(facts.lines, count_units(rma.units if rma else ()), is_terminal)
    creates = facts.of(DeliveryKind.RMA_CREATE)
    judged = Facts(
        loop_state=facts.loop_state,
        match=matched,
        is_rma_refused=bool(creates) and creates[-1].state is DeliveryState.REFUSED and rma is None,
        is_terminal=is_terminal,
        received_at=rma.received_at if rma else None,
        first_seen_at=rma.first_seen_at if rma else facts.first_seen_at,
        bound=_bound(facts),
    )
    result = Plan(matched, decide(judged, terms.policy, now), changes=proofs)
    if not facts.is_history:
        _announce(facts, terms, result)
        _tell_loop(facts, terms, result, is_bound=judged.bound is not None)
        _note_exceptions(facts, judged, terms, result, now)
    return result


def _settle(facts: ReturnFacts) -> tuple[list[Change], ReturnFacts]:
    """What the vendors' news proves of the deliveries, and the facts with that done."""
    changes: list[Change] = []
    owed: list[Owed] = []
    for one in facts.owed:
        shown = facts.rma if facts.rma is not None and facts.rma.warehouse == one.warehouse else None
        seen = Seen(facts.loop_state, rma_stage=shown.stage if shown else None, package_id=shown.package_id if shown else None)
        proof = proven(one, seen, _carried(one, facts))
        if proof is not None:
            changes.append(Change(one.delivery_id, proof.transition, proof.why))
            one = replace(one, state=proof.transition.target)
        owed.append(one)
    return changes, replace(facts, owed=tuple(owed)) if changes else facts


def _carried(one: Owed, facts: ReturnFacts) -> str | None:
    """The tracking number that an update is to be shown with; none where a newer update, which is through, has replaced it."""
    if one.kind is not DeliveryKind.RMA_UPDATE or one.payload is None:
        return None
    if any(newer.delivery_id > one.delivery_id and newer.state in THROUGH for newer in facts.of(DeliveryKind.RMA_UPDATE)):
        return None
    return draft_from_json(one.payload).tracking_number


def _bound(facts: ReturnFacts) -> Decision | None:
    """The decision that a call binds, if one does."""
    binding = [owed for owed in facts.of(*BINDING) if owed.binds]
    if not binding:
        return None
    kind = DecisionKind.PROCESS if binding[-1].kind is DeliveryKind.LOOP_PROCESS else DecisionKind.FLAG
    on_record = facts.standing.decision if facts.standing is not None else None
    return on_record if on_record is not None and on_record.kind is kind else Decision(kind)


def _announce(facts: ReturnFacts, terms: Terms, result: Plan) -> None:
    """Owe the warehouse the RMA, a change of it, or its withdrawal."""
    creates = facts.of(DeliveryKind.RMA_CREATE)
    if facts.loop_state in ENDED_BY_CUSTOMER:
        _drop_unsent(facts, result, f"the return is {facts.loop_state} in Loop")
        if creates:
            _withdraw(facts, creates[-1], len(creates), result, f"for a return that is {facts.loop_state} in Loop")
        return
    if facts.loop_state not in _ALIVE:
        return
    has_sku = any(line.sku for line in facts.lines)
    is_wanted = needs_rma(facts.first_state, facts.loop_state, terms.policy.announce, has_sku, facts.tracking_number)
    if not creates:
        if is_wanted and facts.rma is None:
            _create(facts, terms, 1, result)
        return
    create = creates[-1]
    cancel = _cancel_of(facts, create)
    if create.warehouse != facts.warehouse:
        _move(facts, terms, create, cancel, result, is_wanted=is_wanted)
    elif cancel is not None and cancel.is_undone:
        result.changes.append(Change(cancel.delivery_id, SUPERSEDE, f"the return is {facts.loop_state} in Loop again"))
    elif cancel is not None and cancel.state in THROUGH:
        if is_wanted and _is_gone(facts, cancel):
            _create(facts, terms, len(creates) + 1, result)
    elif create.state is DeliveryState.SUPERSEDED:
        if is_wanted and (facts.rma is None or facts.rma.stage is RmaStage.GONE):
            result.changes.append(Change(create.delivery_id, REVIVE, payload=draft_json(_draft(facts, terms))))
    elif has_sku:
        _bring_up_to_date(facts, _draft(facts, terms), create, result)


def _create(facts: ReturnFacts, terms: Terms, generation: int, result: Plan) -> None:
    key = effect_key(DeliveryKind.RMA_CREATE, facts.return_id, generation=generation)
    result.deliveries.append(NewDelivery(DeliveryKind.RMA_CREATE, key, draft_json(_draft(facts, terms))))


def _cancel_of(facts: ReturnFacts, create: Owed) -> Owed | None:
    """The withdrawal of this RMA; None when none is owed, or it was dropped before it was sent."""
    cancels = [owed for owed in facts.of(DeliveryKind.RMA_CANCEL) if owed.delivery_id > create.delivery_id]
    return cancels[-1] if cancels and cancels[-1].state is not DeliveryState.SUPERSEDED else None


def _is_gone(facts: ReturnFacts, cancel: Owed) -> bool:
    """The withdrawn RMA is out of the way, so that its key is free."""
    return cancel.state is DeliveryState.CONFIRMED or facts.rma is None or facts.rma.stage is RmaStage.GONE


def _move(facts: ReturnFacts, terms: Terms, create: Owed, cancel: Owed | None, result: Plan, *, is_wanted: bool) -> None:
    """The return's destination stands for another warehouse now: withdraw the RMA at the old one, then announce it at the new one."""
    generation = len(facts.of(DeliveryKind.RMA_CREATE))
    stage = facts.rma.stage if facts.rma is not None and facts.rma.warehouse == create.warehouse else None
    never_made = create.is_undone or create.state in (DeliveryState.SUPERSEDED, DeliveryState.REFUSED, DeliveryState.DEAD)
    if never_made or stage is RmaStage.GONE or (cancel is not None and cancel.state in THROUGH and _is_gone(facts, cancel)):
        _drop_unsent(facts, result, f"the return goes to {facts.warehouse} now")
        if is_wanted:
            _create(facts, terms, generation + 1, result)
    elif stage not in _CHANGEABLE:
        why = f"its destination changed to {facts.warehouse} after {create.warehouse} began to receive"
        result.exceptions[ExceptionKind.EDIT_AFTER_RECEIVING] = why
    elif cancel is None:
        _withdraw(facts, create, generation, result, f"while the return goes to {facts.warehouse} now")


def _draft(facts: ReturnFacts, terms: Terms) -> RmaDraft:
    lines = [LineToAnnounce(line.sku, line.reason) for line in facts.lines]
    number = facts.order_name.lstrip("#") if facts.order_name else None
    return build_draft(facts.return_id, facts.order_name, number, facts.ordinal, facts.tracking_number, lines, terms.reasons)


def _bring_up_to_date(facts: ReturnFacts, draft: RmaDraft, create: Owed, result: Plan) -> None:
    """Change an RMA that no longer says what the return does: in the outbox while it is unsent, at the warehouse after that."""
    updates = facts.of(DeliveryKind.RMA_UPDATE)
    current = [owed for owed in updates if owed.delivery_id > create.delivery_id and owed.state is not DeliveryState.SUPERSEDED]
    newest = current[-1] if current else create
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
        result.changes.append(Change(newest.delivery_id, AMEND, payload=draft_json(wanted)))
        return
    if create.state in (DeliveryState.REFUSED, DeliveryState.DEAD):
        return
    if facts.rma is not None and facts.rma.stage not in _CHANGEABLE:
        if wanted.lines != announced.lines:
            result.exceptions[ExceptionKind.EDIT_AFTER_RECEIVING] = "the lines changed in Loop after the warehouse began to receive"
        return
    key = effect_key(DeliveryKind.RMA_UPDATE, facts.return_id, f"{len(updates) + 1}:{draft_hash(wanted)}")
    result.deliveries.append(NewDelivery(DeliveryKind.RMA_UPDATE, key, draft_json(wanted), waits_for=newest.delivery_id))


def _drop_unsent(facts: ReturnFacts, result: Plan, why: str) -> None:
    for owed in facts.of(DeliveryKind.RMA_CREATE, DeliveryKind.RMA_UPDATE):
        if owed.is_undone:
            result.changes.append(Change(owed.delivery_id, SUPERSEDE, why))


def _withdraw(facts: ReturnFacts, create: Owed, generation: int, result: Plan, why: str) -> None:
    """Owe the warehouse that has, or may have, the RMA its withdrawal; once units have arrived it is a person's to settle."""
    if create.is_undone or create.state in (DeliveryState.REFUSED, DeliveryState.DEAD, DeliveryState.SUPERSEDED):
        return
    if facts.rma is not None and facts.rma.stage not in _CHANGEABLE:
        if facts.rma.stage is not RmaStage.GONE and result.match.expected > result.match.awaited + result.match.unverifiable:
            result.exceptions[ExceptionKind.CANCEL_AFTER_RECEIVING] = f"units arrived at the warehouse {why}"
        return
    dropped = [o for o in facts.of(DeliveryKind.RMA_CANCEL) if o.delivery_id > create.delivery_id]
    if not dropped:
        key = effect_key(DeliveryKind.RMA_CANCEL, facts.return_id, generation=generation)
        cancel = NewDelivery(DeliveryKind.RMA_CANCEL, key, waits_for=create.delivery_id, warehouse=create.warehouse)
        result.deliveries.append(cancel)
    elif dropped[-1].state is DeliveryState.SUPERSEDED:
        result.changes.append(Change(dropped[-1].delivery_id, REVIVE))


def _tell_loop(facts: ReturnFacts, terms: Terms, result: Plan, *, is_bound: bool) -> None:
    """Owe Loop the process or the flag that the decision calls for, and drop what no longer follows from it, until a call binds it."""
    on_record = {owed.kind: owed for owed in facts.of(*_WITH_THE_DECISION)}
    if is_bound:
        return
    decision = result.decision
    if decision.kind is DecisionKind.HOLD and Reason.LOOP_REVIEW in decision.reasons:
        _hold(on_record, result)
        return
    steps = _steps(decision, result.match, terms) if decision.kind in FINAL else {}
    for kind, owed in on_record.items():
        if kind not in steps and (owed.is_undone or owed.state is DeliveryState.SHADOW):
            result.changes.append(Change(owed.delivery_id, SUPERSEDE, _no_longer(facts, decision)))
    before: str | int | None = None
    for kind, payload in steps.items():
        if kind in on_record:
            _bring_back(on_record[kind], payload, terms, result)
            before = on_record[kind].delivery_id
            continue
        key = effect_key(kind, facts.return_id)
        state = DeliveryState.SHADOW if terms.mode == "shadow" else DeliveryState.PENDING
        result.deliveries.append(NewDelivery(kind, key, payload, waits_for=before, state=state))
        before = key


def _steps(decision: Decision, matched: Match, terms: Terms) -> dict[DeliveryKind, str | None]:
    """What a process or a flag owes, in order, with the payload of each."""
    steps: dict[DeliveryKind, str | None] = {DeliveryKind.RMA_CLOSE: None} if terms.must_close else {}
    if decision.kind is DecisionKind.PROCESS:
        return steps | {DeliveryKind.LOOP_PROCESS: None}
    return steps | {DeliveryKind.LOOP_NOTE: flag_note(decision, matched), DeliveryKind.LOOP_FLAG: None}


def _hold(on_record: dict[DeliveryKind, Owed], result: Plan) -> None:
    """Keep what is not sent yet back while the return is in review in Loop: somebody is looking at it."""
    for owed in on_record.values():
        if owed.is_undone and owed.held_by is None:
            result.changes.append(Change(owed.delivery_id, AMEND, held_by=Reason.LOOP_REVIEW.value, payload=owed.payload))


def _bring_back(owed: Owed, payload: str | None, terms: Terms, result: Plan) -> None:
    """Have a delivery that is on record, and of which nothing was done, say what the decision calls for now."""
    is_shadow = terms.mode == "shadow"
    if owed.state is DeliveryState.SUPERSEDED:
        result.changes.append(Change(owed.delivery_id, SHELVE if is_shadow else REVIVE, payload=payload))
    elif owed.is_undone and is_shadow:
        result.changes.append(Change(owed.delivery_id, SHELVE, payload=payload))
    elif owed.is_undone and (owed.held_by == Reason.LOOP_REVIEW or owed.payload != payload):
        result.changes.append(Change(owed.delivery_id, AMEND, payload=payload))


def _no_longer(facts: ReturnFacts, decision: Decision) -> str:
    """Why what was decided before is not sent: the two decisions in words."""
    if facts.receipt_quarantine is not None:
        return "the newest receipt is in quarantine"
    before = facts.standing.decision if facts.standing is not None else None
    return difference(before, decision) if before is not None and before != decision else f"decided {decision.kind} now"


def _note_exceptions(facts: ReturnFacts, judged: Facts, terms: Terms, result: Plan, now: datetime) -> None:
    found = result.exceptions
    if result.decision.kind is DecisionKind.HOLD and Reason.UNVERIFIABLE in result.decision.reasons:
        found[ExceptionKind.UNVERIFIABLE] = "no line has a SKU, so that nothing can be announced or matched"
    if result.decision.kind is DecisionKind.HOLD and Reason.RMA_REFUSED in result.decision.reasons:
        found[ExceptionKind.RMA_REFUSED] = "the warehouse refused the RMA for good"
    if facts.receipt_quarantine is not None:
        found[ExceptionKind.RECEIPT_QUARANTINED] = facts.receipt_quarantine
    creates = facts.of(DeliveryKind.RMA_CREATE)
    if _is_withdrawn_by_others(facts, creates[-1] if creates else None):
        found[ExceptionKind.RMA_NOT_FOUND] = "the RMA was withdrawn at the warehouse while the return is open in Loop"
    if facts.rma is not None and facts.rma.unknown and not facts.is_ended:
        words = ", ".join(sorted(set(facts.rma.unknown)))
        found[ExceptionKind.UNKNOWN_CONDITION] = (
            f"the warehouse gave a condition that is not known ({words}); the units are held as pending"
        )
    if judged.bound is not None and facts.standing is not None and facts.standing.units != units_of(result.match):
        would_be = decide_on_receipt(judged, terms.policy, now)
        kind = correction(judged.bound, would_be)
        if kind is not None:
            found[kind] = difference(judged.bound, would_be)


def _is_withdrawn_by_others(facts: ReturnFacts, create: Owed | None) -> bool:
    if facts.rma is None or facts.rma.stage is not RmaStage.GONE or facts.loop_state is not LoopState.OPEN:
        return False
    if create is None:
        return True
    is_ours_to_announce = create.state in (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.ACCEPTED)
    return not is_ours_to_announce and create.state not in GIVEN_UP and _cancel_of(facts, create) is None
