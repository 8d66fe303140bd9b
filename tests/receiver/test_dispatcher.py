"""Merchants whose events wait are served in turn, and none takes another's slot."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from backhaul.connectors.deadline import left
from backhaul.receiver import dispatcher
from backhaul.receiver.dispatcher import Dispatcher
from backhaul.store import events
from backhaul.store.engine import Store
from backhaul.store.events import NewEvent
from backhaul.store.transaction import Transaction

NAMES = ("flood", "calm", "hung-1", "hung-2", "other")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store(store_url).ready()
    yield opened
    opened.close()


def keep(store: Store, merchant: str, count: int) -> None:
    now = datetime.now(UTC)
    with store.write() as connection:
        events.keep(
            connection, [NewEvent(merchant, "loop", "return", None, f"{merchant}-{number}", "{}", None, now) for number in range(count)]
        )


def take(store: Store, merchant: str, at_most: int) -> int:
    with store.write() as connection:
        tx = Transaction(connection, merchant, "run", datetime.now(UTC))
        found = events.claim(tx, at_most)
        events.settle(tx, [event.event_id for event in found])
    return len(found)


@contextmanager
def dispatching(store: Store, work: Callable[[str], object], at_once: int) -> Iterator[Dispatcher]:
    running = Dispatcher(store, NAMES, work, at_once=at_once)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen"
        time.sleep(0.01)


def test_a_flood_goes_to_the_back_of_the_queue_after_each_batch(store: Store) -> None:
    order: list[str] = []

    def work(merchant: str) -> None:
        order.append(merchant)
        take(store, merchant, 10)

    keep(store, "flood", 60)
    keep(store, "calm", 20)
    keep(store, "other", 20)
    with dispatching(store, work, at_once=1):
        until(lambda: Counter(order) == {"flood": 6, "calm": 2, "other": 2})
    assert set(order[:3]) == set(order[3:6]) == {"flood", "calm", "other"}


def test_hung_vendors_take_no_slot_from_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "_SLOT", 0.2)
    released, done = threading.Event(), list[str]()

    def work(merchant: str) -> None:
        take(store, merchant, 250)
        if merchant.startswith("hung"):
            assert released.wait(300)
        done.append(merchant)

    keep(store, "hung-1", 1)
    keep(store, "hung-2", 1)
    with dispatching(store, work, at_once=2) as running:
        time.sleep(0.3)
        keep(store, "calm", 1)
        running.notify()
        until(lambda: done == ["calm"])
        released.set()
        until(lambda: sorted(done) == ["calm", "hung-1", "hung-2"])


def test_one_that_fails_pauses_and_the_others_go_on(store: Store) -> None:
    tried = Counter[str]()

    def work(merchant: str) -> None:
        tried[merchant] += 1
        if merchant == "flood":
            raise ValueError("a defect")
        take(store, merchant, 1)

    keep(store, "flood", 5)
    keep(store, "calm", 5)
    with dispatching(store, work, at_once=1):
        until(lambda: tried["calm"] == 5)
    assert tried["flood"] <= 2


def test_when_told_to_stop_a_run_that_waits_for_a_hung_vendor_begins_no_further_call(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "_GRACE", 0.2)
    begun = threading.Event()

    def work(merchant: str) -> None:
        while left() > 0:
            begun.set()
            time.sleep(0.01)

    keep(store, "hung-1", 1)
    with dispatching(store, work, at_once=1) as running:
        assert begun.wait(300)
        began = time.monotonic()
        running.stop()
    assert time.monotonic() - began < dispatcher._DEADLINE / 2
