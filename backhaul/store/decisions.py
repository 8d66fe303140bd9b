"""Writing what a plan calls for: the decision, the match, the deliveries and the exceptions of a return."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from backhaul.domain.plan import OVER_WHEN_ENDED, PLANNED_EXCEPTIONS, Plan, ReturnFacts, units_of
from backhaul.domain.words import DecisionKind, DeliveryState, ExceptionKind, LineOutcome
from backhaul.store import bulk, outbox
from backhaul.store.exceptions import raise_exception, resolve_exception
from backhaul.store.tables import IS_CURRENT, UNIT_COUNTS, decisions, deliveries, exceptions, matches

_DECISION = (
    *("merchant", "return_id", "decision_no", "is_current", "decision", "reasons", *UNIT_COUNTS),
    *("policy_hash", "due_at", "decided_at", "assessed_at", "run_id"),
)
_MATCH = ("merchant", "return_id", "match_no", "line_item_id", "sku", "condition", "discrepancy", "units")
_NO_DISCREPANCY = (LineOutcome.AVAILABLE, LineOutcome.AWAITED)
_OUTCOMES = {outcome: (outcome.value, None if outcome in _NO_DISCREPANCY else outcome.value) for outcome in LineOutcome}


def write_plans(
    connection: sa.Connection,
    merchant: str,
    planned: Sequence[tuple[ReturnFacts, Plan]],
    *,
    policy_hash: str,
    warehouses: dict[str, str],
    run_id: str,
    now: datetime,
) -> None:
    """Write plans in the caller's transaction."""
    changed = [(facts, plan) for facts, plan in planned if _says_more(facts, plan)]
    _write_decisions(connection, merchant, changed, policy_hash, run_id, now)
    _write_matches(connection, merchant, planned)
    for facts, plan in planned:
        _write_deliveries(connection, merchant, facts, plan, warehouses[facts.return_id], run_id, now)
    _write_exceptions(connection, merchant, planned, run_id, now)


def _says_more(facts: ReturnFacts, plan: Plan) -> bool:
    standing = facts.standing
    if standing is None or standing.decision != plan.decision:
        return True
    return standing.latest_units != units_of(plan.match)


def _write_decisions(
    connection: sa.Connection, merchant: str, changed: Sequence[tuple[ReturnFacts, Plan]], policy_hash: str, run_id: str, now: datetime
) -> None:
    earlier = [facts.return_id for facts, _ in changed if facts.standing is not None]
    numbers: dict[str, int] = {}
    if earlier:
        query = sa.select(decisions.c.return_id, decisions.c.decision_no).where(decisions.c.merchant == merchant, IS_CURRENT.of(decisions))
        numbers = {row.return_id: row.decision_no for row in bulk.select_by_keys(connection, query, decisions.c.return_id, earlier)}
        which = bulk.one_of(connection, decisions.c.return_id, earlier)
        connection.execute(
            sa.update(decisions).where(decisions.c.merchant == merchant, IS_CURRENT.of(decisions), which).values(is_current=False)
        )
    rows = []
    for facts, plan in changed:
        decision, standing = plan.decision, facts.standing
        is_same = standing is not None and (standing.decision.kind, standing.decision.reasons) == (decision.kind, decision.reasons)
        decided_at = standing.decided_at if standing is not None and is_same else now
        key = (merchant, facts.return_id, numbers.get(facts.return_id, 0) + 1, True)
        said = (decision.kind.value, _as_json(decision.reasons), *units_of(plan.match))
        rows.append((*key, *said, policy_hash, decision.due_at, decided_at, now, run_id))
    bulk.insert(connection, decisions, _DECISION, rows)


@cache
def _as_json(reasons: tuple[str, ...]) -> str:
    return json.dumps(list(reasons))


def _write_matches(connection: sa.Connection, merchant: str, planned: Sequence[tuple[ReturnFacts, Plan]]) -> None:
    bulk.delete(connection, matches, merchant, "return_id", [facts.return_id for facts, _ in planned if facts.standing is not None])
    rows: list[tuple[Any, ...]] = []
    for facts, plan in planned:
        return_id = facts.return_id
        for number, line in enumerate(plan.match.lines):
            rows.append((merchant, return_id, number, line.line_item_id, line.sku, *_OUTCOMES[line.outcome], 1))
        for number, group in enumerate(plan.match.unexpected, start=len(plan.match.lines)):
            rows.append((merchant, return_id, number, None, group.sku, group.condition.value, group.kind.value, group.units))
    bulk.insert(connection, matches, _MATCH, rows)


def _write_deliveries(
    connection: sa.Connection, merchant: str, facts: ReturnFacts, plan: Plan, warehouse: str, run_id: str, now: datetime
) -> None:
    for change in plan.changes:
        if change.payload is not None:
            values = {
                "payload": change.payload,
                "state": change.state.value,
                "next_attempt_at": now,
                "attempts": 0,
                "code": None,
                "message": None,
            }
            connection.execute(sa.update(deliveries).where(deliveries.c.delivery_id == change.delivery_id).values(values))
            continue
        outbox.set_state(connection, [change.delivery_id], change.state, change.message, now)
        kind = next(owed.kind for owed in facts.owed if owed.delivery_id == change.delivery_id)
        subject = f"{kind}:{facts.return_id}"
        if change.state is DeliveryState.CONFIRMED:
            resolve_exception(connection, merchant, ExceptionKind.PROCESS_UNCONFIRMED, subject, now)
        elif change.state is DeliveryState.FAILED:
            why = change.message or "the vendor accepted it, then failed"
            raise_exception(
                connection, merchant, ExceptionKind.DELIVERY_FAILED, subject, why, return_id=facts.return_id, run_id=run_id, now=now
            )
    ids: dict[str, int] = {}
    for new in plan.deliveries:
        waits_for = ids[new.waits_for] if isinstance(new.waits_for, str) else new.waits_for
        ids[new.key] = outbox.enqueue(
            connection,
            merchant,
            new.kind,
            facts.return_id,
            new.key,
            warehouse=warehouse,
            payload=new.payload,
            waits_for=waits_for,
            state=new.state,
            run_id=run_id,
            now=now,
        )


def _write_exceptions(
    connection: sa.Connection, merchant: str, planned: Sequence[tuple[ReturnFacts, Plan]], run_id: str, now: datetime
) -> None:
    query = sa.select(exceptions.c.return_id, exceptions.c.kind).where(
        exceptions.c.merchant == merchant,
        exceptions.c.resolved_at.is_(None),
        exceptions.c.kind.in_([kind.value for kind in (*PLANNED_EXCEPTIONS, *OVER_WHEN_ENDED)]),
    )
    opened = set(map(tuple, bulk.select_by_keys(connection, query, exceptions.c.return_id, [facts.return_id for facts, _ in planned])))
    for facts, plan in planned:
        if not opened and not plan.exceptions:
            continue
        for kind, why in plan.exceptions.items():
            raise_exception(connection, merchant, kind, facts.return_id, why, return_id=facts.return_id, run_id=run_id, now=now)
        over = PLANNED_EXCEPTIONS + (OVER_WHEN_ENDED if plan.decision.kind is DecisionKind.SKIP or facts.is_ended else ())
        for kind in over:
            if kind not in plan.exceptions and (facts.return_id, kind.value) in opened:
                resolve_exception(connection, merchant, kind, facts.return_id, now)
