"""One call budget for all workers, kept in PostgreSQL, or in a file beside a SQLite store."""

from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from backhaul.connectors.budget import SharedBudget, budget_for, kept_in
from backhaul.errors import StoreError
from backhaul.store.budgets import FileLedger, StoreLedger, ledger_of
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


def test_a_store_of_either_kind_has_a_ledger_and_one_in_memory_has_none(stores: list[Store], sqlite_url: str) -> None:
    for store in (stores[0], Store(sqlite_url)):
        with ledger_of(store) as ledger, kept_in(ledger):
            assert isinstance(budget_for("loop", "acme", 10), SharedBudget)
    with ledger_of(Store("sqlite://")) as ledger, kept_in(ledger):
        assert not isinstance(budget_for("loop", "acme", 10), SharedBudget)


# A file beside a SQLite store

SPEND = """
import sys
from pathlib import Path
from backhaul.store.budgets import FileLedger
ledger = FileLedger(Path(sys.argv[1]), clock=lambda: 1_000_000.0)
print(sum(ledger.spend("loop", "acme", 25) == 0 for _ in range(20)))
"""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """Where the calls of a store are counted."""
    return tmp_path / "store.db-calls"


def test_processes_on_one_sqlite_file_together_never_exceed_the_keys_budget(beside: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-c", SPEND, beside], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(process.communicate(timeout=300)[0]) for process in running) == 25


def test_threads_of_one_process_share_the_file_as_well(beside: Path) -> None:
    with closing(FileLedger(beside, clock=lambda: 1_000_000.0)) as ledger, ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: ledger.spend("loop", "acme", 25), range(60)))
    assert sum(wait == 0 for wait in waits) == 25


def test_a_call_in_the_file_is_free_again_a_minute_later_and_a_pause_holds_for_all(beside: Path) -> None:
    now = [1_000_000.5]
    with closing(FileLedger(beside, lambda: now[0])) as one, closing(FileLedger(beside, lambda: now[0])) as two:
        assert [one.spend("loop", "acme", 2), two.spend("loop", "acme", 2)] == [0, 0]
        assert one.spend("loop", "acme", 2) == 60.5  # the second in which it was made is over then
        assert one.spend("loop", "zenith", 2) == 0 == one.spend("masonhub", "acme", 2)
        now[0] += 60.5
        assert two.spend("loop", "acme", 2) == 0
        one.pause("loop", "acme", 30)
        assert two.spend("loop", "acme", 2) == 30
        two.pause("loop", "acme", 5)
        assert one.spend("loop", "acme", 2) == 30


def test_a_clock_that_is_set_back_stops_nobody(beside: Path) -> None:
    now = [1_000_000.0]
    with closing(FileLedger(beside, lambda: now[0])) as ledger:
        ledger.spend("loop", "acme", 1)
        ledger.pause("loop", "acme", 100)
        now[0] -= 86_400
        assert ledger.spend("loop", "acme", 1) == 0


def test_counting_a_call_waits_for_no_load_into_the_store_and_its_file_is_the_owners(sqlite_url: str) -> None:
    store = Store(sqlite_url).ready()
    with store.write(), ledger_of(store) as ledger:
        assert isinstance(ledger, FileLedger)
        assert ledger.spend("loop", "acme", 1) == 0
        assert stat.S_IMODE(ledger.file.stat().st_mode) == 0o600
    store.close()


def test_a_damaged_file_is_named_with_the_way_out(beside: Path) -> None:
    beside.write_bytes(b"not a database at all, whatever it is" * 100)
    with closing(FileLedger(beside)) as ledger, pytest.raises(StoreError, match=r"delete store\.db-calls"):
        ledger.spend("loop", "acme", 1)
