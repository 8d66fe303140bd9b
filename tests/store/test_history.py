"""History is decided by what its returns have in common, and ends as the same rows as if each had been planned by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any, cast

import pytest
import sqlalchemy as sa
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from backhaul.config import MerchantSettings
from backhaul.domain import schema
from backhaul.domain.plan import plan
from backhaul.domain.words import ExceptionKind, LoopState
from backhaul.pipeline.deciding import decide_history
from backhaul.pipeline.session import Session
from backhaul.store.decisions import write_plans
from backhaul.store.engine import Store
from backhaul.store.exceptions import raise_exception
from backhaul.store.facts import history_facts, told_otherwise
from backhaul.store.records import ReturnRecord, make_records
from backhaul.store.returns import load_returns
from backhaul.store.runs import Run
from backhaul.store.tables import decisions, matches, whereabouts
from backhaul.store.transaction import Transaction
from backhaul.store.types import time_text, times_text
from backhaul.store.whereabouts import differences

NOW = datetime(2026, 3, 1, 12, 30, 15, 250, tzinfo=UTC)
SETTINGS = MerchantSettings.model_validate(
    {
        "warehouse": "masonhub",
        "loop": {"base_url": "http://127.0.0.1:9", "api_key": "env:TEST"},
        "masonhub": {"base_url": "http://127.0.0.1:9", "token": "env:TEST"},
    }
)
merchants = count(1)

line = st.tuples(st.sampled_from(["9", "10", "x1", "11"]), st.sampled_from(["TEE", " CAP ", "  ", None]))
lines = st.lists(line, unique_by=lambda one: one[0])
moments = st.datetimes(min_value=datetime(1, 1, 2), timezones=st.just(UTC))
told = st.lists(st.tuples(st.sampled_from(LoopState), st.booleans(), lines, st.sampled_from([False] * 4 + [True])), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(f"sqlite:///{tmp_path_factory.mktemp('history') / 'store.db'}").ready()


@seed(1)
@settings(max_examples=40, deadline=None, database=None, phases=[Phase.generate])
@given(told=told)
def test_history_is_decided_the_same_one_by_one_and_by_what_returns_have_in_common(store: Store, told: list[Any]) -> None:
    records = [_record(str(number), *one[:3]) for number, one in enumerate(told)]
    stopped = [str(number) for number, one in enumerate(told) if one[3]]
    together, alone = _session(store), _session(store)
    with together.write() as tx:
        first = _loaded(tx, records, stopped)
        reached = decide_history(together, tx, first)
    with alone.write() as tx:
        first = _loaded(tx, records, stopped)
        known = told_otherwise(tx.connection, tx.merchant, [record.return_id for record in first])
        facts = [history_facts(record, "masonhub", known, tx.now) for record in first]
        write_plans(tx, [(one, plan(one, alone.terms("masonhub"), tx.now)) for one in facts], alone.policy.hash)
    assert sum(reached.values()) == len(records)
    assert _rows(store, together.merchant) == _rows(store, alone.merchant)
    with store.read() as connection:
        assert list(differences(connection, together.merchant)) == []


@given(st.lists(st.none() | moments | moments.map(lambda moment: moment.replace(microsecond=0)), max_size=4))
def test_a_column_of_times_is_written_as_each_of_them_is(values: list[datetime | None]) -> None:
    assert times_text(values) == [None if value is None else time_text(value) for value in values]


def _session(store: Store) -> Session:
    merchant = f"m{next(merchants)}"
    run = Run("run", "backfill", merchant, "command", NOW)
    return Session(store, merchant, SETTINGS, run, cast(Any, None), {"masonhub": cast(Any, _Client())}, lambda: NOW)


class _Client:
    """The one thing that terms ask of a warehouse's client."""

    must_close = False


def _record(return_id: str, state: LoopState, is_paid: bool, lines: list[tuple[str, str | None]]) -> ReturnRecord:
    head = {"return_id": return_id, "loop_state": state.value, "created_at": NOW, "updated_at": NOW, "is_paid": is_paid}
    money = {"price": Decimal("10.00"), "discount": None, "tax": Decimal("0.30")}
    own = [{"return_id": return_id, "line_item_id": line_id, "sku": sku} | money for line_id, sku in lines]
    rows = [tuple(line.get(name) for name in schema.RETURN_LINES.all_columns) for line in own]
    return make_records([tuple(head.get(name) for name in schema.RETURNS.all_columns)], [rows], ["{}"])[0]


def _loaded(tx: Transaction, records: list[ReturnRecord], stopped: list[str]) -> list[ReturnRecord]:
    for return_id in stopped:
        raise_exception(tx, ExceptionKind.SILENCE, return_id, "why", return_id)
    return load_returns(tx, records, source="list", is_history=True, warehouse_for=lambda _: "masonhub", warnings={}).first


def _rows(store: Store, merchant: str) -> list[list[Any]]:
    with store.read() as connection:
        return [
            sorted(tuple(row)[1:] for row in connection.execute(sa.select(table).where(table.c.merchant == merchant)))
            for table in (decisions, matches, whereabouts)
        ]
