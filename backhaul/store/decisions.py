"""Writing what a plan calls for: the decision, the match, the deliveries and the exceptions of a return."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from backhaul.domain import schema
from backhaul.domain.deliveries import AMEND, FAIL, REVIVE, SHELVE, UNSHELVE
from backhaul.domain.facts import ReturnFacts
from backhaul.domain.matching import clean_sku
from backhaul.domain.planned import ABOUT_DELIVERIES, OVER_WHEN_ENDED, PLANNED_EXCEPTIONS, Plan, units_of
from backhaul.domain.windows import Window
from backhaul.domain.words import DecisionKind, DeliveryKind, ExceptionKind, LineOutcome
from backhaul.store import bulk, outbox
from backhaul.store.exceptions import raise_exception, resolve_exception
from backhaul.store.indexed import IS_CURRENT
from backhaul.store.prepared import Parameter, one_of, prepared
from backhaul.store.records import Alone
from backhaul.store.tables import UNIT_COUNTS, decisions, exceptions, matches, returns
from backhaul.store.transaction import Transaction

_DECISION = (
    *("merchant", "return_id", "decision_no", "is_current", "decision", "reasons", *UNIT_COUNTS),
    *("policy_hash", "due_at", "decided_at", "assessed_at", "run_id"),
)
# Of a return that has ended in Loop nothing more is told to Loop, announced or changed; what is there may still have to be withdrawn.
_NEEDED_NO_MORE = ("loop.", DeliveryKind.RMA_CREATE.value, DeliveryKind.RMA_UPDATE.value)
_OWED_AGAIN = (AMEND, REVIVE, SHELVE, UNSHELVE)
_MATCH = ("merchant", "return_id", "match_no", "line_item_id", "sku", "condition", "discrepancy", "units")
_LINE_ID, _SKU = (schema.RETURN_LINES.columns.index(name) for name in ("line_item_id", "sku"))
_NO_DISCREPANCY = (LineOutcome.AVAILABLE, LineOutcome.AWAITED)
_OUTCOMES = {outcome: (outcome.value, None if outcome in _NO_DISCREPANCY else outcome.value) for outcome in LineOutcome}


def write_plans(tx: Transaction, planned: Sequence[tuple[ReturnFacts, Plan]], policy_hash: str) -> None:
    """Write plans in the caller's transaction."""
    changed = [(facts, plan) for facts, plan in planned if _says_more(facts, plan)]
    _write_decisions(tx, changed, policy_hash)
    _write_matches(tx, planned)
    for facts, plan in planned:
        _write_deliveries(tx, facts, plan)
    _write_exceptions(tx, planned)
    tx.move(facts.return_id for facts, _ in planned)


def write_history(tx: Transaction, alone: Sequence[Alone], policy_hash: str) -> None:
    """Write decisions and matches of returns of which nothing but their own records is known; many share one plan."""
    plans = {id(one.plan): one.plan for one in alone}
    said = {key: _said(tx, plan, policy_hash, tx.now) for key, plan in plans.items()}
    outcomes = {key: [_OUTCOMES[line.outcome] for line in plan.match.lines] for key, plan in plans.items()}
    bulk.insert(tx.connection, decisions, _DECISION, [(tx.merchant, one.record.return_id, 1, True, *said[id(one.plan)]) for one in alone])
    rows = [
        (tx.merchant, one.record.return_id, number, line[_LINE_ID], clean_sku(line[_SKU]), *outcome, 1)
        for one in alone
        for number, (line, outcome) in enumerate(zip(one.lines, outcomes[id(one.plan)], strict=True))
    ]
    bulk.insert(tx.connection, matches, _MATCH, rows)


def _said(tx: Transaction, plan: Plan, policy_hash: str, decided_at: datetime) -> bulk.Row:
    """What a plan decides, as its row has it after the key."""
    decision = plan.decision
    return (
        *(decision.kind.value, _as_json(decision.reasons), *units_of(plan.match)),
        *(policy_hash, decision.due_at, decided_at, tx.now, tx.run_id),
    )


def _says_more(facts: ReturnFacts, plan: Plan) -> bool:
    standing = facts.standing
    if standing is None or standing.decision != plan.decision:
        return True
    return standing.latest_units != units_of(plan.match)


def _write_decisions(tx: Transaction, changed: Sequence[tuple[ReturnFacts, Plan]], policy_hash: str) -> None:
    earlier = [facts.return_id for facts, _ in changed if facts.standing is not None]
    numbers: dict[str, int] = {}
    if earlier:
        mine = sa.and_(decisions.c.merchant == tx.merchant, IS_CURRENT.of(decisions))
        query = sa.select(decisions.c.return_id, decisions.c.decision_no).where(mine)
        numbers = {row.return_id: row.decision_no for row in bulk.select_by_keys(tx.connection, query, decisions.c.return_id, earlier)}
        which = one_of(decisions.c.return_id, earlier)
        tx.connection.execute(sa.update(decisions).where(mine, which).values(is_current=False))
    rows = []
    for facts, plan in changed:
        decision, standing = plan.decision, facts.standing
        is_same = standing is not None and (standing.decision.kind, standing.decision.reasons) == (decision.kind, decision.reasons)
        decided_at = standing.decided_at if standing is not None and is_same else tx.now
        key = (tx.merchant, facts.return_id, numbers.get(facts.return_id, 0) + 1, True)
        rows.append((*key, *_said(tx, plan, policy_hash, decided_at)))
    bulk.insert(tx.connection, decisions, _DECISION, rows)


@cache
def _as_json(reasons: tuple[str, ...]) -> str:
    return json.dumps(list(reasons))


def _write_matches(tx: Transaction, planned: Sequence[tuple[ReturnFacts, Plan]]) -> None:
    earlier = [facts.return_id for facts, _ in planned if facts.standing is not None]
    bulk.delete(tx.connection, matches, tx.merchant, "return_id", earlier)
    rows: list[tuple[Any, ...]] = []
    for facts, plan in planned:
        return_id = facts.return_id
        for number, line in enumerate(plan.match.lines):
            rows.append((tx.merchant, return_id, number, line.line_item_id, line.sku, *_OUTCOMES[line.outcome], 1))
        for number, group in enumerate(plan.match.unexpected, start=len(plan.match.lines)):
            rows.append((tx.merchant, return_id, number, None, group.sku, group.condition.value, group.kind.value, group.units))
    bulk.insert(tx.connection, matches, _MATCH, rows)


def _write_deliveries(tx: Transaction, facts: ReturnFacts, plan: Plan) -> None:
    for change in plan.changes:
        if change.transition in _OWED_AGAIN:
            outbox.owe_again(
                tx, change.delivery_id, change.transition, payload=change.payload, held_by=change.held_by, message=change.message
            )
        elif outbox.change(tx, change.delivery_id, change.transition, change.message) and change.transition is FAIL:
            kind = next(owed.kind for owed in facts.owed if owed.delivery_id == change.delivery_id)
            subject = f"{kind}:{facts.return_id}"
            why = change.message or "the vendor accepted it, then failed"
            raise_exception(tx, ExceptionKind.DELIVERY_FAILED, subject, why, facts.return_id)
    ids: dict[str, int] = {}
    for new in plan.deliveries:
        ids[new.key] = outbox.enqueue(
            tx,
            new.kind,
            facts.return_id,
            new.key,
            warehouse=new.warehouse or facts.warehouse,
            payload=new.payload,
            waits_for=ids[new.waits_for] if isinstance(new.waits_for, str) else new.waits_for,
            state=new.state,
        )


def _write_exceptions(tx: Transaction, planned: Sequence[tuple[ReturnFacts, Plan]]) -> None:
    opened: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    ids = [facts.return_id for facts, _ in planned]
    for return_id, kind, subject in _opened.for_keys(tx.connection, ids, merchant=tx.merchant):
        opened[return_id].add((kind, subject))
    for facts, plan in planned:
        for kind, why in plan.exceptions.items():
            raise_exception(tx, kind, facts.return_id, why, facts.return_id)
        for kind, subject in opened[facts.return_id]:
            if _is_over(ExceptionKind(kind), subject, facts, plan):
                resolve_exception(tx, ExceptionKind(kind), subject)


@prepared
def _opened(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    theirs = (exceptions.c.merchant == merchant) & one_of(exceptions.c.return_id, keys) & exceptions.c.resolved_at.is_(None)
    return sa.select(exceptions.c.return_id, exceptions.c.kind, exceptions.c.subject).where(theirs)


def _is_over(kind: ExceptionKind, subject: str, facts: ReturnFacts, plan: Plan) -> bool:
    """Whether the facts end an open exception: its cause is gone, or the return has ended in Loop, which is a person's solution."""
    if kind in plan.exceptions:
        return False
    has_ended = plan.decision.kind is DecisionKind.SKIP or facts.is_ended
    is_solved = facts.is_ended and subject.startswith(_NEEDED_NO_MORE) and kind in ABOUT_DELIVERIES
    return kind in PLANNED_EXCEPTIONS or (has_ended and kind in OVER_WHEN_ENDED) or is_solved


class Taken(NamedTuple):
    """A decision as it was taken, with the units that it was taken on by their columns' names."""

    return_id: str
    decision: str
    reasons: tuple[str, ...]
    decided_at: datetime
    assessed_at: datetime
    units: dict[str, int]
    order_name: str | None
    value: Decimal | None  # of the whole return
    currency: str | None


def taken_in(connection: sa.Connection, merchant: str, whole: Window) -> dict[str, Taken]:
    """By return, the row that first recorded the last decision it reached in the range."""
    whose = (returns.c.merchant == decisions.c.merchant) & (returns.c.return_id == decisions.c.return_id)
    query = sa.select(decisions, returns.c.order_name, returns.c.return_total, returns.c.currency).join(returns, whose)
    query = query.where(decisions.c.merchant == merchant)
    query = query.where(decisions.c.decided_at >= whole.start, decisions.c.decided_at < whole.end)
    taken: dict[str, Taken] = {}
    for row in connection.execute(query.order_by(decisions.c.return_id, decisions.c.decision_no)):
        if row.return_id not in taken or row.decided_at > taken[row.return_id].decided_at:
            units = {name: row._mapping[name] for name in UNIT_COUNTS}
            when = (row.decided_at, row.assessed_at)
            of = (row.order_name, row.return_total, row.currency)
            taken[row.return_id] = Taken(row.return_id, row.decision, tuple(row.reasons), *when, units, *of)
    return taken


def moved_by_policy(connection: sa.Connection, merchant: str) -> set[str]:
    """The returns that ever had units that a policy decides on: pending ones, or such as nothing announced."""
    has_some = (decisions.c.pending_units > 0) | (decisions.c.unexpected_units > 0)
    return set(connection.execute(sa.select(decisions.c.return_id).where(decisions.c.merchant == merchant, has_some)).scalars())
