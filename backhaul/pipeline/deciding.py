"""Decide: every return with news, every hold that has fallen due, and history as it is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from backhaul.domain.plan import Plan, ReturnFacts, plan
from backhaul.domain.schema import RETURNS
from backhaul.domain.words import DecisionKind
from backhaul.pipeline.session import Session
from backhaul.store import bulk, outbox
from backhaul.store.decisions import write_plans
from backhaul.store.facts import due_returns, history_facts, read_facts
from backhaul.store.receipts import mark_due
from backhaul.store.returns import ReturnRecord
from backhaul.store.tables import returns

_AT_ONCE = 2_000


def decide_due(session: Session, at_once: int = _AT_ONCE) -> Counter[str]:
    """Plan each return that is due and write what it calls for, `at_once` in a transaction; returns how often each was newly reached."""
    decided: Counter[str] = Counter()
    after = ""
    while True:
        with session.store.write(session.merchant) as connection:
            now = session.clock()
            mark_due(connection, session.merchant, outbox.take_back(connection, session.merchant, now))
            due = due_returns(connection, session.merchant, now, after, at_once)
            if not due:
                break
            query = sa.select(returns.c.return_id, returns.c.warehouse).where(returns.c.merchant == session.merchant)
            warehouses = {row.return_id: row.warehouse for row in bulk.select_by_keys(connection, query, returns.c.return_id, due)}
            planned = _write(connection, session, read_facts(connection, session.merchant, due), warehouses, now)
            is_due = sa.and_(returns.c.merchant == session.merchant, returns.c.is_due, bulk.one_of(connection, returns.c.return_id, due))
            connection.execute(sa.update(returns).where(is_due).values(is_due=False))
        decided.update(_newly_reached(planned))
        after = due[-1]
    count_decided(session, decided)
    return decided


def decide_history(connection: sa.Connection, session: Session, first: Sequence[ReturnRecord], now: datetime) -> Counter[str]:
    """Plan history that this transaction loads for the first time, from what is in hand; returns how often each decision was reached.

    Reading a million returns back, one at a time, would cost a backfill a fourth of its time.
    """
    place = RETURNS.columns.index("destination_id")
    warehouses = {record.return_id: session.settings.warehouse_for(record.row[place]) for record in first}
    return _newly_reached(_write(connection, session, history_facts(connection, session.merchant, first, now), warehouses, now))


def count_decided(session: Session, decided: Counter[str]) -> None:
    """Add to the run's counts how often each decision was newly reached."""
    for kind in DecisionKind:
        session.run.add(f"decided_{kind}", decided[str(kind)])


def _write(
    connection: sa.Connection, session: Session, found: Sequence[ReturnFacts], warehouses: dict[str, str], now: datetime
) -> list[tuple[ReturnFacts, Plan]]:
    terms = {name: session.terms(name) for name in set(warehouses.values())}
    planned = [(facts, plan(facts, terms[warehouses[facts.return_id]], now)) for facts in found]
    write_plans(
        connection,
        session.merchant,
        planned,
        policy_hash=session.policy.hash,
        warehouses=warehouses,
        run_id=session.run.run_id,
        now=now,
    )
    return planned


def _newly_reached(planned: Sequence[tuple[ReturnFacts, Plan]]) -> Counter[str]:
    return Counter(str(made.decision.kind) for facts, made in planned if facts.standing is None or facts.standing.decision != made.decision)
