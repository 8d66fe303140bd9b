"""Decide: every return with news, every hold that has fallen due, history as it is loaded, and once more what is about to be sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from backhaul.domain.facts import ReturnFacts
from backhaul.domain.matching import clean_sku
from backhaul.domain.plan import plan
from backhaul.domain.planned import Plan
from backhaul.domain.schema import RETURN_LINES, RETURNS
from backhaul.domain.words import DecisionKind
from backhaul.pipeline.session import Session
from backhaul.store.decisions import write_history, write_plans
from backhaul.store.facts import Told, due_returns, history_facts, read_facts, told_otherwise
from backhaul.store.records import Alone, ReturnRecord, in_order
from backhaul.store.returns import mark_decided
from backhaul.store.transaction import Transaction
from backhaul.store.whereabouts import keep_history

_STATE, _DESTINATION = (RETURNS.columns.index(name) for name in ("loop_state", "destination_id"))
_SKU = RETURN_LINES.columns.index("sku")
_AT_ONCE = 2_000
_AT_ONCE_IN_TURN = 10  # on SQLite, where an event that arrives meanwhile waits for the transaction
_AT_ONCE_BESIDE = 100  # on PostgreSQL, where it does not


def decide_due(session: Session, at_once: int = _AT_ONCE) -> Counter[str]:
    """Plan each return that is due and write what it calls for, `at_once` in a transaction; returns how often each was newly reached."""
    decided: Counter[str] = Counter()
    after = ""
    while _has_due(session, after):
        with session.write() as tx:
            due = due_returns(tx.connection, tx.merchant, tx.now, after, at_once)
            if not due:
                break
            decided.update(decide(session, tx, due))
            mark_decided(tx, due)
        after = due[-1]
    count_decided(session, decided)
    return decided


def _has_due(session: Session, after: str) -> bool:
    """A look without the lock: mostly nothing is due, and SQLite's one writer need not be waited for to see that."""
    with session.store.read() as connection:
        return bool(due_returns(connection, session.merchant, session.clock(), after, 1))


def decide_in_short(session: Session) -> None:
    """Decide every return that is due, in transactions short enough for the events that arrive meanwhile."""
    decide_due(session, _AT_ONCE_IN_TURN if session.store.is_sqlite else _AT_ONCE_BESIDE)


def decide(session: Session, tx: Transaction, return_ids: Sequence[str]) -> Counter[str]:
    """Plan these returns by the newest facts in the store and write what they call for; returns what was newly reached."""
    return _newly_reached(_write(session, tx, read_facts(tx.connection, tx.merchant, return_ids)))


def decide_history(session: Session, tx: Transaction, first: Sequence[ReturnRecord]) -> Counter[str]:
    """Plan history that this transaction loads for the first time, from what is in hand; returns how often each decision was reached.

    Of most of it nothing is known but its own record. Such returns are not planned one by one, a million times the same: all that have one
    state and one pattern of lines with and without a SKU share the plan of the first of them.
    """
    told = told_otherwise(tx.connection, tx.merchant, [record.return_id for record in first])
    shared: dict[Hashable, Plan] = {}
    alone: list[Alone] = []
    beside: list[ReturnFacts] = []
    for record in first:
        if record.return_id in told.ids:
            beside.append(_in_hand(session, tx, record, told))
            continue
        lines = in_order(record.lines)
        shape = record.row[_STATE], *[clean_sku(line[_SKU]) is None for line in lines]
        if shape not in shared:
            facts = _in_hand(session, tx, record, told)
            shared[shape] = plan(facts, session.terms(facts.warehouse), tx.now)
        alone.append(Alone(record, lines, shared[shape]))
    write_history(tx, alone, session.policy.hash)
    keep_history(tx, alone)
    return _newly_reached(_write(session, tx, beside)) + Counter(str(one.plan.decision.kind) for one in alone)


def _in_hand(session: Session, tx: Transaction, record: ReturnRecord, told: Told) -> ReturnFacts:
    return history_facts(record, session.settings.warehouse_for(record.row[_DESTINATION]), told, tx.now)


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
