"""What the warehouse of a return is owed: its RMA, a change of it, or its withdrawal."""

from __future__ import annotations

from backhaul.domain.announce import LineToAnnounce, build_draft, draft_from_json, draft_hash, draft_json, needs_rma
from backhaul.domain.deliveries import AMEND, ENDED_BY_CUSTOMER, REVIVE, SUPERSEDE, THROUGH, Owed
from backhaul.domain.facts import ReturnFacts, Terms
from backhaul.domain.keys import effect_key
from backhaul.domain.planned import Change, NewDelivery, Plan
from backhaul.domain.rma import RmaDraft
from backhaul.domain.words import DeliveryKind, DeliveryState, ExceptionKind, LoopState, RmaStage

_ALIVE = (LoopState.OPEN, LoopState.REVIEW)
_CHANGEABLE = (None, RmaStage.ANNOUNCED)  # stages at which a warehouse takes an update or a cancel; None: not seen yet


def owe_warehouse(facts: ReturnFacts, terms: Terms, result: Plan) -> None:
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
    cancel = withdrawal_of(facts, create)
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


def withdrawal_of(facts: ReturnFacts, create: Owed) -> Owed | None:
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
