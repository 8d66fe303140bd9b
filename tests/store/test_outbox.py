"""Leases: what a dead worker held is taken up at once on its own machine, and when the lease runs out on any other."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from backhaul.domain.words import DeliveryKind, DeliveryState
from backhaul.store import outbox
from backhaul.store.engine import Store
from backhaul.store.processes import is_gone, this_process

NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture
def store(store_url: str) -> Store:
    opened = Store(store_url).ready()
    with opened.write() as connection:
        key = "loop.flag:501"
        outbox.enqueue(
            connection,
            "acme",
            DeliveryKind.LOOP_FLAG,
            "501",
            key,
            warehouse="masonhub",
            payload=None,
            waits_for=None,
            state=DeliveryState.PENDING,
            run_id="run",
            now=NOW,
        )
    return opened


def dead_process() -> str:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return this_process().replace(str(os.getpid()), str(ended.pid))


@pytest.mark.parametrize(("owner", "is_taken_up"), [("dead", True), ("alive", False), ("elsewhere:1", False)])
def test_what_a_dead_worker_of_this_machine_held_is_claimed_at_once(store: Store, owner: str, is_taken_up: bool) -> None:
    process = {"dead": dead_process(), "alive": this_process()}.get(owner, owner)
    with store.write() as connection:
        [held] = outbox.claim(connection, "acme", f"{process}:abc", NOW)
        outbox.begin_attempts(connection, [held.delivery_id], f"{process}:abc", NOW)
    with store.write() as connection:
        outbox.expire_the_dead(connection, "acme", NOW)
        claimed = outbox.claim(connection, "acme", "another", NOW)
    assert [delivery.is_uncertain for delivery in claimed] == ([True] if is_taken_up else [])


def test_a_process_that_ended_is_gone_and_this_one_is_not() -> None:
    assert is_gone(dead_process())
    assert not is_gone(this_process())
    assert not is_gone(None)
