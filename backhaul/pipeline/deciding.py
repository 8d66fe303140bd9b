"""Decide: every return with news, every hold that has fallen due, history as it is loaded, and once more what is about to be sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from backhaul.domain.facts import ReturnFacts
from backhaul.domain.plan import plan
from backhaul.domain.planned import Plan
from backhaul.domain.schema import RETURNS
from backhaul.domain.words import DecisionKind
from backhaul.pipeline.session import Session
from backhaul.store.decisions import write_plans
from backhaul.store.facts import due_returns, history_facts, read_facts
from backhaul.store.records import ReturnRecord
from backhaul.store.returns import mark_decided
from backhaul.store.transaction import Transaction
from backhaul.store.whereabouts import keep_history

_AT_ONCE = 2_000
_AT_ONCE_IN_TURN = 10  # on SQLite, where an event that arrives meanwhile waits for the transaction
_AT_ONCE_BESIDE = 100  # on PostgreSQL, where it does not


def decide_due(session: Session, at_once: int = _AT_ONCE) -> Counter[str]:
    """Plan each return that is due and write what it calls for, `at_once` in a transaction; returns how often each was newly reached."""
    decided: Counter[str] = Counter()
    after = ""
    while True:
        with session.write() as tx:
            due = due_returns(tx.connection, tx.merchant, tx.now, after, at_once)
            if not due:
                break
            decided.update(decide(session, tx, due))
            mark_decided(tx, due)
        after = due[-1]
    count_decided(session, decided)
    return decided


def decide_in_short(session: Session) -> None:
    """Decide every return that is due, in transactions short enough for the events that arrive meanwhile."""
    decide_due(session, _AT_ONCE_IN_TURN if session.store.is_sqlite else _AT_ONCE_BESIDE)


def decide(session: Session, tx: Transaction, return_ids: Sequence[str]) -> Counter[str]:
    """Plan these returns by the newest facts in the store and write what they call for; returns what was newly reached."""
    return _newly_reached(_write(session, tx, read_facts(tx.connection, tx.merchant, return_ids)))


def decide_history(session: Session, tx: Transaction, first: Sequence[ReturnRecord]) -> Counter[str]:
    """Plan history that this transaction loads for the first time, from what is in hand; returns how often each decision was reached.

    Reading a million returns back, one at a time, would cost a backfill a fourth of its time.
    """
    place = RETURNS.columns.index("destination_id")
    warehouses = {record.return_id: session.settings.warehouse_for(record.row[place]) for record in first}
    planned = _write(session, tx, history_facts(tx.connection, tx.merchant, first, warehouses, tx.now))
    keep_history(tx, first, planned)
    return _newly_reached(planned)


def count_decided(session: Session, decided: Counter[str]) -> None:
    """Add to the run's counts how often each decision was newly reached."""
    for kind in DecisionKind:
        session.run.add(f"decided_{kind}", decided[str(kind)])


def _write(session: Session, tx: Transaction, found: Sequence[ReturnFacts]) -> list[tuple[ReturnFacts, Plan]]:
    terms = {name: session.terms(name) for name in {facts.warehouse for facts in found}}
    planned = [(facts, plan(facts, terms[facts.warehouse], tx.now)) for facts in found]
    write_plans(tx, planned, session.policy.hash)
    return planned


def _newly_reached(planned: Sequence[tuple[ReturnFacts, Plan]]) -> Counter[str]:
    return Counter(str(made.decision.kind) for facts, made in planned if facts.standing is None or facts.standing.decision != made.decision)
