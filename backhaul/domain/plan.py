"""What a return's facts call for: its decision, the deliveries it owes, what its news confirms, and what needs a person.

`plan` is pure. It reads all that is known of one return and answers with the changes; the store writes them in one transaction, and the
same happens once more in the transaction that claims a delivery, so that none is sent on facts that no longer hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from backhaul.domain.announce import draft_from_json
from backhaul.domain.deliveries import BINDING, GIVEN_UP, THROUGH, Owed, Seen, proven
from backhaul.domain.facts import ReturnFacts, Terms
from backhaul.domain.matching import count_units, match
from backhaul.domain.plan_loop import owe_loop
from backhaul.domain.plan_rma import owe_warehouse, withdrawal_of
from backhaul.domain.planned import Change, Plan, units_of
from backhaul.domain.policy import Decision, Facts, correction, decide, decide_on_receipt, difference
from backhaul.domain.words import Condition, DecisionKind, DeliveryKind, DeliveryState, ExceptionKind, LoopState, Reason, RmaStage


def plan(facts: ReturnFacts, terms: Terms, now: datetime) -> Plan:
    """Work out what one return's facts call for. The same facts call for nothing new a second time."""
    proofs, facts = _settle(facts)
    rma = facts.rma if facts.rma is not None and facts.rma.stage is not RmaStage.GONE else None
    parcels = (*((rma,) if rma else ()), *facts.tied)
    units = count_units(one for parcel in parcels for one in parcel.units)
    has_come = (rma is not None and rma.is_terminal) or _has_come_by_ties(facts, units)
    is_terminal = has_come and all(one.is_terminal for one in facts.tied) and facts.receipt_quarantine is None
    matched = match(facts.lines, units, is_terminal)
    creates = facts.of(DeliveryKind.RMA_CREATE)
    judged = Facts(
        loop_state=facts.loop_state,
        match=matched,
        is_rma_refused=bool(creates) and creates[-1].state is DeliveryState.REFUSED and rma is None,
        is_terminal=is_terminal,
        received_at=max((one.received_at for one in parcels if one.received_at is not None), default=None),
        first_seen_at=max((one.first_seen_at for one in parcels), default=facts.first_seen_at),
        bound=_bound(facts),
    )
    result = Plan(matched, decide(judged, terms.policy, now), changes=proofs)
    if not facts.is_history:
        owe_warehouse(facts, terms, result)
        owe_loop(facts, terms, result, is_bound=judged.bound is not None)
        _note_exceptions(facts, judged, terms, result, now)
    return result


def _has_come_by_ties(facts: ReturnFacts, units: Mapping[str, Mapping[Condition, int]]) -> bool:
    """Whether every unit is there, though the return's own RMA is not finished: a person has tied them to it.

    That a unit is missing is never concluded from a tie: it may still come under the return's own RMA.
    """
    return bool(facts.tied) and not match(facts.lines, units, is_terminal=False).awaited


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
    unknown = {word for parcel in (facts.rma, *facts.tied) if parcel is not None for word in parcel.unknown}
    if unknown and not facts.is_ended:
        words = ", ".join(sorted(unknown))
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
    return not is_ours_to_announce and create.state not in GIVEN_UP and withdrawal_of(facts, create) is None
