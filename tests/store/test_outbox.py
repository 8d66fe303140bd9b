"""The outbox's fences: who may change a delivery, when its lease is lost, and what a dead worker held."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from backhaul.domain import deliveries as domain
from backhaul.domain.backoff import LEASE
from backhaul.domain.deliveries import Transition
from backhaul.domain.words import DeliveryKind, DeliveryState
from backhaul.store import due, outbox
from backhaul.store.engine import Store
from backhaul.store.outbox import Attempt, Delivery
from backhaul.store.processes import is_gone, this_process
from backhaul.store.tables import deliveries
from backhaul.store.transaction import Transaction

NOW = datetime(2026, 3, 10, tzinfo=UTC)
LATER = NOW + LEASE + timedelta(seconds=1)
ANSWER = Attempt("accepted", NOW)
# Everything that a worker may do to a delivery it has claimed.
SETTLEMENTS = [domain.ACCEPT, domain.CONFIRM, domain.REFUSE, domain.FAIL, domain.DIE, domain.TRY_LATER, domain.SUPERSEDE]


class Box:
    """An outbox with one flag in it, at a time that the test says."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.at(NOW, lambda tx: outbox.enqueue(tx, DeliveryKind.LOOP_FLAG, "501", "loop.flag:501", **NEW))  # type: ignore[arg-type]

    def at(self, now, do):  # type: ignore[no-untyped-def]
        with self.store.write() as connection:
            return do(Transaction(connection, "acme", "run", now))

    def claim(self, now: datetime = NOW) -> list[Delivery]:
        return self.at(now, lambda tx: outbox.claim(tx, due.due_together(tx, [DeliveryKind.LOOP_FLAG], None, 1)))

    def row(self) -> sa.Row:  # type: ignore[type-arg]
        with self.store.read() as connection:
            return connection.execute(sa.select(deliveries)).one()

    def lease_belongs_to(self, owner: str) -> None:
        with self.store.write() as connection:
            connection.execute(sa.update(deliveries).values(lease_owner=owner))


NEW = {"warehouse": "masonhub", "payload": None, "waits_for": None, "state": DeliveryState.PENDING}


@pytest.fixture
def box(store_url: str) -> Box:
    return Box(Store(store_url).ready())


def dead_process() -> str:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return this_process().replace(str(os.getpid()), str(ended.pid))


@pytest.mark.parametrize(("owner", "is_taken_up"), [("dead", True), ("alive", False), ("elsewhere:1", False)])
def test_what_a_dead_worker_of_this_machine_held_is_claimed_at_once(box: Box, owner: str, is_taken_up: bool) -> None:
    process = {"dead": dead_process(), "alive": this_process()}.get(owner, owner)
    box.claim()
    box.lease_belongs_to(f"{process}:abc")
    box.at(NOW, lambda tx: outbox.expire(tx, outbox.dead_owners(tx.connection, "acme", NOW)))
    assert [delivery.is_uncertain for delivery in box.claim()] == ([True] if is_taken_up else [])


@pytest.mark.parametrize("transition", SETTLEMENTS, ids=lambda transition: transition.name)
def test_a_worker_whose_lease_was_lost_settles_nothing(box: Box, transition: Transition) -> None:
    [late] = box.claim()
    [second] = box.claim(LATER)
    box.at(LATER, lambda tx: outbox.settle(tx, second, domain.CONFIRM, ANSWER))
    assert not box.at(LATER, lambda tx: outbox.settle(tx, late, transition, ANSWER))
    assert box.row().state == "confirmed"


@pytest.mark.parametrize("transition", SETTLEMENTS, ids=lambda transition: transition.name)
def test_a_worker_whose_lease_another_holds_settles_nothing(box: Box, transition: Transition) -> None:
    [late] = box.claim()
    [second] = box.claim(LATER)
    assert not box.at(LATER, lambda tx: outbox.settle(tx, late, transition, ANSWER))
    assert (box.row().state, box.row().lease_owner, box.row().is_uncertain) == ("sending", second.lease, True)


def test_a_worker_whose_lease_was_lost_gives_nothing_back(box: Box) -> None:
    """Three are claimed, the first call hangs past the others' leases, another worker gets them accepted, then the key is refused."""
    [late] = box.claim()
    [second] = box.claim(LATER)
    box.at(LATER, lambda tx: outbox.settle(tx, second, domain.ACCEPT, ANSWER))
    before = box.row()
    box.at(LATER, lambda tx: outbox.give_back(tx, late, LATER))
    assert box.row() == before


def test_a_worker_whose_lease_was_lost_begins_no_second_call(box: Box) -> None:
    [late] = box.claim()
    box.claim(LATER)
    assert box.at(LATER, lambda tx: outbox.begin_alone(tx, late)) is None


@pytest.mark.parametrize("transition", [domain.CONFIRM, domain.FAIL, domain.SUPERSEDE], ids=lambda transition: transition.name)
def test_news_leaves_a_delivery_that_is_being_sent_to_its_worker(box: Box, transition: Transition) -> None:
    [held] = box.claim()
    assert not box.at(NOW, lambda tx: outbox.change(tx, held.delivery_id, transition))
    assert box.row().state == "sending"


def test_a_delivery_moves_only_from_where_its_transition_starts(box: Box) -> None:
    delivery_id = box.row().delivery_id
    assert box.at(NOW, lambda tx: outbox.change(tx, delivery_id, domain.SUPERSEDE))
    assert not box.at(NOW, lambda tx: outbox.change(tx, delivery_id, domain.CONFIRM))
    assert box.claim() == []
    assert box.at(NOW, lambda tx: outbox.owe_again(tx, delivery_id, domain.REVIVE, payload=None))
    assert [delivery.is_uncertain for delivery in box.claim()] == [False]


def test_what_is_held_is_not_claimed_until_it_is_let_go(box: Box) -> None:
    delivery_id = box.row().delivery_id
    box.at(NOW, lambda tx: outbox.owe_again(tx, delivery_id, domain.AMEND, payload=None, held_by="loop_review"))
    assert box.claim() == []
    box.at(NOW, lambda tx: outbox.owe_again(tx, delivery_id, domain.AMEND, payload=None))
    assert len(box.claim()) == 1


def test_what_is_given_back_was_no_attempt(box: Box) -> None:
    [held] = box.claim()
    box.at(NOW, lambda tx: outbox.give_back(tx, held, NOW))
    assert (box.row().state, box.row().attempts, box.row().is_uncertain) == ("pending", 0, False)


def test_a_process_that_ended_is_gone_and_this_one_is_not() -> None:
    assert is_gone(dead_process())
    assert not is_gone(this_process())
    assert not is_gone(None)
