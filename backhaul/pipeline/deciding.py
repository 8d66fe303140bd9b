"""Decide: every return with news, and every hold that has fallen due, some thousand in a transaction."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from backhaul.domain.plan import Plan, ReturnFacts, plan
from backhaul.domain.words import DecisionKind
from backhaul.pipeline.session import Session
from backhaul.store import bulk
from backhaul.store.decisions import write_plans
from backhaul.store.facts import due_returns, read_facts
from backhaul.store.tables import returns

_AT_ONCE = 2_000


def decide_due(session: Session, at_once: int = _AT_ONCE) -> Counter[str]:
    """Plan each return that is due and write what it calls for, `at_once` in a transaction; returns how often each was newly reached."""
    decided: Counter[str] = Counter()
    after = ""
    while True:
        with session.store.write(session.merchant) as connection:
            now = session.clock()
            due = due_returns(connection, session.merchant, now, after, at_once)
            if not due:
                break
            warehouses = _warehouses(connection, session.merchant, due)
            terms = {name: session.terms(name) for name in set(warehouses.values())}
            planned: list[tuple[ReturnFacts, Plan]] = []
            for facts in read_facts(connection, session.merchant, due):
                planned.append((facts, plan(facts, terms[warehouses[facts.return_id]], now)))
            write_plans(
                connection,
                session.merchant,
                planned,
                policy_hash=session.policy.hash,
                warehouses=warehouses,
                run_id=session.run.run_id,
                now=now,
            )
        decided.update(
            str(made.decision.kind) for facts, made in planned if facts.standing is None or facts.standing.decision != made.decision
        )
        after = due[-1]
    for kind in DecisionKind:
        session.run.add(f"decided_{kind}", decided[str(kind)])
    return decided


def _warehouses(connection: sa.Connection, merchant: str, return_ids: list[str]) -> dict[str, str]:
    query = sa.select(returns.c.return_id, returns.c.warehouse).where(returns.c.merchant == merchant)
    return {row.return_id: row.warehouse for row in bulk.select_by_keys(connection, query, returns.c.return_id, return_ids)}
