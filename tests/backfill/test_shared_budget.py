"""One call budget for all workers, kept in PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from backhaul.connectors.budget import SharedBudget, budget_for, kept_in
from backhaul.store.budgets import StoreLedger, ledger_of
from backhaul.store.engine import Store
from backhaul.store.tables import call_budgets


@pytest.fixture
def stores(postgres_url: str):
    """Two processes' stores on one database."""
    opened = [Store(postgres_url).ready(), Store(postgres_url)]
    yield opened
    for store in opened:
        store.close()


def test_workers_together_never_exceed_the_keys_budget(stores: list[Store]) -> None:
    ledgers = [StoreLedger(store) for store in stores]

    def spend(number: int) -> float:
        return ledgers[number % 2].spend("loop", "acme", 25)

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(spend, range(60)))
    assert sum(wait == 0 for wait in waits) == 25
    assert all(0 < wait <= 61 for wait in waits if wait)
    assert ledgers[1].spend("loop", "zenith", 25) == 0 == ledgers[1].spend("masonhub", "acme", 25)


def test_a_pause_that_one_worker_is_told_holds_for_all(stores: list[Store]) -> None:
    one, two = (SharedBudget(StoreLedger(store), "loop", "acme", 10, sleep=lambda _: None) for store in stores)
    one.pause(30)
    assert 29 < two.spend(patience=1) <= 30


def test_calls_are_free_again_a_minute_later(stores: list[Store]) -> None:
    ledger = StoreLedger(stores[0])
    assert [bool(ledger.spend("loop", "acme", 2)) for _ in range(3)] == [False, False, True]
    with stores[0].write() as connection:
        made = connection.execute(sa.select(call_budgets.c.made)).scalar_one()
        connection.execute(sa.update(call_budgets).values(made={str(int(second) - 62): count for second, count in made.items()}))
    assert ledger.spend("loop", "acme", 2) == 0


def test_a_session_on_postgresql_shares_and_one_on_sqlite_does_not(stores: list[Store], sqlite_url: str) -> None:
    with kept_in(ledger_of(stores[0])):
        assert isinstance(budget_for("loop", "acme", 10), SharedBudget)
    lite = Store(sqlite_url)
    with kept_in(ledger_of(lite)):
        assert not isinstance(budget_for("loop", "acme", 10), SharedBudget)
    lite.close()
