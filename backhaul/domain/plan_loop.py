"""What Loop is owed by a decision: the process or the flag, and what goes before it."""

from __future__ import annotations

from backhaul.domain.deliveries import AMEND, REVIVE, SHELVE, SUPERSEDE, TOLD_TO_LOOP, UNSHELVE, Owed
from backhaul.domain.facts import ReturnFacts, Terms
from backhaul.domain.keys import effect_key
from backhaul.domain.matching import Match
from backhaul.domain.planned import Change, NewDelivery, Plan
from backhaul.domain.policy import FINAL, Decision, difference, flag_note
from backhaul.domain.words import REJECTED, DecisionKind, DeliveryKind, DeliveryState, Reason

_WITH_THE_DECISION = (DeliveryKind.RMA_CLOSE, *TOLD_TO_LOOP)  # what a process or a flag owes


def owe_loop(facts: ReturnFacts, terms: Terms, result: Plan, *, is_bound: bool) -> None:
    """Owe Loop the process or the flag that the decision calls for, and drop what no longer follows from it, until a call binds it."""
    on_record = {owed.kind: owed for owed in facts.of(*_WITH_THE_DECISION)}
    if is_bound:
        return
    decision = result.decision
    if decision.kind is DecisionKind.HOLD and Reason.LOOP_REVIEW in decision.reasons:
        _hold(on_record, result)
        return
    steps = _steps(decision, result.match, terms) if decision.kind in FINAL else {}
    last = on_record.get(list(steps)[-1]) if steps else None
    if last is not None and last.state is DeliveryState.SUPERSEDED and last.held_by == REJECTED:
        steps = {}  # a person said no to it
    if last is not None and last.state is DeliveryState.SHADOW and terms.mode == "live":
        return  # decided in shadow: only a person sends it
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
    if owed.state is DeliveryState.SHADOW and not is_shadow:
        result.changes.append(Change(owed.delivery_id, UNSHELVE, payload=payload))
    elif owed.state is DeliveryState.SUPERSEDED:
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
