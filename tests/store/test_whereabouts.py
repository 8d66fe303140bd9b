"""Whatever is written, in whatever order, the whereabouts that are kept are what the facts come to from scratch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from backhaul.domain import deliveries as domain
from backhaul.domain import schema
from backhaul.domain.plan import Terms, plan
from backhaul.domain.policy import Policy
from backhaul.domain.reasons import Reasons
from backhaul.domain.whereabouts import STOPPING
from backhaul.domain.words import ExceptionKind, LoopState, RmaStage
from backhaul.store import by_hand, outbox
from backhaul.store.decisions import write_plans
from backhaul.store.engine import Store
from backhaul.store.exceptions import raise_exception, resolve_exception, settle_exceptions
from backhaul.store.facts import read_facts
from backhaul.store.receipts import load_receipts, make_record
from backhaul.store.records import make_records
from backhaul.store.returns import load_returns
from backhaul.store.tables import deliveries, whereabouts
from backhaul.store.transaction import Transaction
from backhaul.store.whereabouts import differences, fill_missing, settle_whereabouts

START = datetime(2026, 3, 1, tzinfo=UTC)
IDS = ("501", "502")
KINDS = (*STOPPING, ExceptionKind.SILENCE)
MOVES = (
    *(domain.ACCEPT, domain.CONFIRM, domain.REFUSE, domain.FAIL, domain.DIE, domain.TRY_LATER),
    *(domain.SUPERSEDE, domain.AMEND, domain.REVIVE, domain.SHELVE, domain.RETRY),
)
merchants = count(1)

ids = st.sampled_from(IDS)
states = st.just(LoopState.OPEN) | st.sampled_from(LoopState)
rarely = st.sampled_from([False, False, False, True])
loads = st.tuples(st.just("load"), ids, states, st.booleans(), rarely, st.sampled_from(["N/A", "delivered"]), st.integers(1, 3))
conditions = st.lists(st.sampled_from(["available", "damaged", "pending"]), max_size=3)
receipts = st.tuples(st.just("receive"), ids, st.sampled_from(RmaStage), st.booleans(), conditions)
moves = st.tuples(st.just("move"), st.integers(0, 5), st.sampled_from(MOVES), rarely)
raised = st.tuples(st.just("raise"), ids, st.sampled_from(KINDS), st.sampled_from(["", "loop.note:", "loop.process:"]))
settled = st.tuples(st.sampled_from(["resolve", "settle"]), ids, st.sampled_from(KINDS))
decided = st.tuples(st.just("decide"), st.sampled_from(["live", "shadow"]))
steps = st.lists(st.one_of(loads, receipts, receipts, decided, decided, moves, moves, raised, settled), min_size=4, max_size=12)


class Account:
    """One merchant of a store, to which anything may happen."""

    def __init__(self, store: Store) -> None:
        self.store, self.merchant, self.now = store, f"m{next(merchants)}", START

    def do(self, work: Callable[[Transaction], Any]) -> None:
        """As `Session.write` does it."""
        self.now += timedelta(minutes=1)
        with self.store.write(self.merchant) as connection:
            tx = Transaction(connection, self.merchant, "run", self.now)
            work(tx)
            settle_whereabouts(tx)

    def load(self, return_id: str, state: LoopState, is_paid: bool, is_history: bool, label: str, units: int) -> None:
        head = {"return_id": return_id, "loop_state": state.value, "created_at": START, "updated_at": self.now, "is_paid": is_paid}
        row = _row(schema.RETURNS.all_columns, head | {"order_name": "#1001", "currency": "USD", "label_status": label})
        money = {"price": Decimal(units), "discount": Decimal("0.10"), "tax": None}
        lines = [
            _row(schema.RETURN_LINES.all_columns, {"return_id": return_id, "line_item_id": str(n), "sku": "TEE"} | money)
            for n in range(units)
        ]
        records = make_records([row], [lines], ["{}"])
        self.do(lambda tx: load_returns(tx, records, source="list", is_history=is_history, warehouse_for=lambda _: "masonhub", warnings={}))

    def receive(self, return_id: str, stage: RmaStage, is_delivered: bool, found: list[str]) -> None:
        times = {"as_of": self.now, "received_at": self.now, "delivered_at": self.now if is_delivered else None}
        head = {
            "rma_key": return_id,
            "return_id": return_id,
            "rma_id": "r",
            "rma_status": "x",
            "rma_stage": stage.value,
            "event_status": "x",
        }
        is_terminal = stage in (RmaStage.RECEIVED, RmaStage.CLOSED)
        row = _row(schema.RECEIPTS.all_columns, head | times | {"is_terminal": is_terminal, "has_lines": True})
        line = {"rma_key": return_id, "sku": "TEE", "units": 1, "is_known": True}
        lines = [_row(schema.RECEIPT_LINES.all_columns, line | {"line_no": n, "condition": word}) for n, word in enumerate(found)]
        self.do(lambda tx: load_receipts(tx, "masonhub", [make_record(row, lines, "{}")]))

    def decide(self, mode: Any) -> None:
        terms = Terms(Policy(), Reasons({}), mode, must_close=False)

        def write(tx: Transaction) -> None:
            write_plans(tx, [(facts, plan(facts, terms, tx.now)) for facts in read_facts(tx.connection, tx.merchant, IDS)], "p")

        self.do(write)

    def move(self, place: int, transition: domain.Transition, is_claimed: bool) -> None:
        def write(tx: Transaction) -> None:
            rows = tx.connection.execute(sa.select(deliveries).where(deliveries.c.merchant == tx.merchant)).all()
            if not rows:
                return
            row = rows[place % len(rows)]
            if is_claimed and (claimed := outbox.claim(tx, [row])):
                outbox.settle(tx, claimed[0], transition, outbox.Attempt("tried", tx.now))
            elif transition is domain.RETRY:
                by_hand.retry(tx, row.return_id)
            elif transition in (domain.AMEND, domain.REVIVE, domain.SHELVE):
                outbox.owe_again(tx, row.delivery_id, transition, payload=row.payload, held_by="loop_review" if place % 2 else None)
            else:
                outbox.change(tx, row.delivery_id, transition)

        self.do(write)

    def step(self, what: str, *how: Any) -> None:
        if what == "raise":
            return_id, kind, about = how
            self.do(lambda tx: raise_exception(tx, kind, f"{about}{return_id}", "why", return_id))
        elif what == "resolve":
            self.do(lambda tx: resolve_exception(tx, how[1], how[0]))
        elif what == "settle":
            self.do(lambda tx: settle_exceptions(tx, how[0], how[1].value))
        else:
            getattr(self, what)(*how)

    def differences(self) -> list[Any]:
        with self.store.read() as connection:
            return list(differences(connection, self.merchant))


def _row(columns: tuple[str, ...], values: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(values.get(name) for name in columns)


@pytest.fixture(scope="module")
def store(module_store_url: str) -> Iterator[Store]:
    opened = Store(module_store_url)
    if opened.is_sqlite:  # what is committed need not survive a power cut
        sa.event.listen(opened.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    yield opened.ready()
    opened.close()


@seed(1)
@settings(max_examples=40, deadline=None, database=None, phases=[Phase.generate])
@given(history=steps)
def test_after_any_history_they_are_what_a_computation_from_scratch_says(store: Store, history: list[tuple[Any, ...]]) -> None:
    account = Account(store)
    for one in (*(("load", name, LoopState.OPEN, False, False, "N/A", 2) for name in IDS), ("decide", "live"), *history):
        account.step(*one)
        assert account.differences() == [], one


def test_a_return_of_which_nothing_is_kept_is_a_difference_and_a_rebuild_mends_it(store: Store) -> None:
    account = Account(store)
    account.load("501", LoopState.OPEN, False, False, "N/A", 1)
    with store.write() as connection:
        connection.execute(sa.delete(whereabouts).where(whereabouts.c.merchant == account.merchant))
    (found,) = account.differences()
    assert (found.return_id, found.stored, found.true.stage) == ("501", None, "unannounced")
    with store.write() as connection:
        assert fill_missing(connection) == 1
    assert account.differences() == []
