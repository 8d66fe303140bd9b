"""Crashes (I8) and workers side by side: real processes killed in the middle of their deliveries, on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.e2e.house import House, drain, prepare

LATER = timedelta(seconds=1000)  # past every lease, and past process_settle_seconds


@pytest.fixture
def house(build: Callable[..., House], store_url: str) -> House:
    return build(store_url=store_url)


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.005)


def test_i8_a_process_killed_at_any_moment_of_its_deliveries_loses_none_and_repeats_none(house: House) -> None:
    clean = [house.shop() for _ in range(14)]
    damaged = [house.shop() for _ in range(4)]
    house.world.fault("slow", "masonhub.create", seconds=0.4, times=1)
    prepare(house)
    worker = house.start("deliver")
    wait_for(lambda: house.effects("masonhub.create") > 0)
    worker.kill()  # the warehouse has the RMAs, we never heard
    worker.wait()
    house.let_time_pass(LATER)
    house.sync()
    for return_id in clean:
        house.receive(return_id)
    for return_id in damaged:
        house.receive(return_id, "damaged")
    prepare(house)
    house.world.fault("slow", "loop.*", seconds=0.1, times=None)
    for done in (1, 9, 17):  # effects at Loop when the kill strikes
        worker = house.start("deliver")
        wait_for(
            lambda done=done: (
                len(house.world.journal.writes("loop.process")) + house.effects("loop.note") + house.effects("loop.flag") >= done
            )
        )
        worker.kill()
        worker.wait()
        house.let_time_pass(LATER)
    house.world.faults.clear()
    for _ in range(3):
        house.sync()
        house.let_time_pass(LATER)
    for return_id in clean:
        assert house.effects("loop.process", return_id) == 1, return_id
        assert house.state(return_id, "loop.process") == "confirmed", house.attempts(return_id, "loop.process")
    for return_id in damaged:
        assert house.effects("loop.flag", return_id) == house.effects("loop.note", return_id) == 1, return_id
        assert house.state(return_id, "loop.flag") == "confirmed"
    assert {house.effects("masonhub.create", return_id) for return_id in (*clean, *damaged)} == {1}
    assert house.deliveries() and {row["state"] for row in house.deliveries()} <= {"accepted", "confirmed"}


def test_a_process_claimed_and_never_begun_before_a_crash_is_sent_by_the_next_run_without_waiting(house: House) -> None:
    first, second = house.shop(), house.shop()
    house.sync()
    house.receive(first)
    house.receive(second)
    prepare(house)
    house.world.fault("slow", "loop.process", seconds=5, times=1)
    worker = house.start("deliver")
    wait_for(lambda: len(house.world.journal.writes("loop.process")) == 1)
    worker.kill()  # both are claimed, only the first was begun
    worker.wait()
    house.let_time_pass(timedelta(seconds=61))
    house.sync()
    assert house.effects("loop.process", second) == 1
    assert house.effects("loop.process", first) == 1  # adopted, or sent again: Loop never had it, or has closed it
    house.sync()
    assert house.state(second, "loop.process") == "confirmed"


def test_two_workers_at_one_outbox_send_nothing_twice(house: House) -> None:
    clean = [house.shop() for _ in range(40)]
    house.sync()
    for return_id in clean:
        house.receive(return_id)
    prepare(house)
    house.world.fault("slow", "loop.process", seconds=0.02, times=None)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            drain(house)
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    house.world.faults.clear()
    house.sync()
    assert failures == []
    assert {house.effects("loop.process", return_id) for return_id in clean} == {1}
    assert len(house.world.journal.writes("loop.process")) == 40
    assert {row["state"] for row in house.deliveries(kind="loop.process")} == {"confirmed"}
    shares = [row["delivered"] for row in house.runs() if row["flow"] == "drain"]
    assert sum(shares) == 40 and all(shares), shares


def test_two_syncs_of_one_merchant_at_once_announce_and_process_each_return_once(house: House) -> None:
    made = [house.shop() for _ in range(12)]
    house.sync()
    for return_id in made[:8]:
        house.receive(return_id)
    made += [house.shop() for _ in range(6)]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            house.sync()
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    house.sync()
    assert failures == []
    assert {house.effects("masonhub.create", return_id) for return_id in made} == {1}
    assert {house.effects("loop.process", return_id) for return_id in made[:8]} == {1}
    assert {row["state"] for row in house.deliveries()} == {"confirmed"}
