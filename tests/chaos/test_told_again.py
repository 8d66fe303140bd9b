"""Histories that went wrong once, found by `test_histories` or by people who looked for them, each told again under a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.chaos.ground import Ground
from tests.chaos.histories import OTHER, SKU, Histories

Tell = Callable[..., Histories]


@pytest.fixture
def begin(sqlite_ground: Ground) -> Iterator[Tell]:
    """Begins a history; at the end all is made well again, and held against the model."""
    begun: list[Histories] = []

    def make(*cart: str | None, warehouse: str = "masonhub") -> Histories:
        history = type("History", (Histories,), {"ground": sqlite_ground})()
        begun.append(history)
        history.begin(warehouse, cart or (SKU,))
        return history

    yield make
    for history in begun:
        history.teardown()


def effects(history: Histories, name: str, place: int = 0) -> int:
    return history.account.effects().get(name, {}).get(history.ids[place], 0)


def test_a_redirect_on_the_read_before_an_update_kills_nothing(begin: Tell) -> None:
    history = begin(warehouse="airhouse")
    history.label(0, 3)
    history.strike("warehouse.*", "redirect", times=2)
    history.sync()


@pytest.mark.parametrize("trouble", ["429", "503", "reset_before", "redirect"])
def test_a_correction_to_damaged_while_loop_takes_no_process_is_flagged_and_never_processed(begin: Tell, trouble: str) -> None:
    history = begin(SKU, OTHER)
    history.decide_in_vain(0, "all", trouble)
    history.receive(0, "damaged")
    history.sync()
    history.recover()
    history.wait(16)
    history.sync()
    assert (effects(history, "loop.process"), effects(history, "loop.flag")) == (0, 1)


def test_a_line_added_while_loop_takes_no_process_is_waited_for(begin: Tell) -> None:
    history = begin(SKU)
    history.decide_in_vain(0, "all", "503")
    history.edit(0, (SKU, OTHER))
    history.sync()
    history.recover()
    history.wait(16)
    history.sync()
    assert effects(history, "loop.process") == 0


def test_a_receipt_that_cannot_be_stops_a_process_that_was_decided_on_the_one_before(begin: Tell) -> None:
    history = begin()
    history.decide_in_vain(0, "all", "redirect")
    history.garble(0)
    history.sync()
    history.recover()
    history.wait(16)
    history.sync()
    assert effects(history, "loop.process") == 0


def test_a_receipt_that_cannot_be_blocks_a_return_that_loop_opens_again(begin: Tell) -> None:
    history = begin()
    history.move(0, "review")
    history.receive(0, "all")
    history.sync()
    history.garble(0)
    history.sync()
    history.move(0, "open")
    history.sync()
    assert effects(history, "loop.process") == 0


@pytest.mark.parametrize(("parcel", "effect"), [("all", "loop.process"), ("damaged", "loop.flag")])
def test_a_review_before_it_is_sent_only_holds_it(begin: Tell, parcel: str, effect: str) -> None:
    history = begin()
    history.decide_in_vain(0, parcel, "429")
    history.move(0, "review")
    history.sync()
    history.recover()
    history.move(0, "open")
    history.wait(16)
    history.sync()
    assert effects(history, effect) == 1


@pytest.mark.parametrize("ends_in", [None, "lost", "401"])
@pytest.mark.parametrize("other", ["deliver", "sync"])
def test_a_worker_that_outlasts_its_leases_beside_another_processes_nothing_twice(begin: Tell, other: str, ends_in: str | None) -> None:
    history = begin()
    history.shop((SKU,))
    history.shop((SKU,))
    history.sync()
    for place in range(3):
        history.receive(place, "all")
    history.sync_beside(other, ends_in)
    history.wait(16)
    history.sync()
    assert [effects(history, "loop.process", place) for place in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("warehouse", ["masonhub", "airhouse"])
def test_half_an_hour_of_outage_kills_nothing(begin: Tell, warehouse: str) -> None:
    history = begin(warehouse=warehouse)
    history.shop((OTHER,))
    history.receive(0, "all")
    for what in ("loop.process", "loop.flag", "warehouse.c*"):
        history.strike(what, "503")
    for _ in range(8):
        history.sync()
        history.wait(6)
    history.recover()


def test_a_process_that_may_have_been_taken_and_then_failed_is_not_sent_again_by_itself(begin: Tell) -> None:
    history = begin()
    history.will_fail(0)
    history.decide_in_vain(0, "all", "lost_after", times=1)
    history.wait(16)
    history.sync()
    history.sync()
    assert effects(history, "loop.process") == 1
    assert history.account.state(history.ids[0], "loop.process") == "failed"


def test_one_cancelled_or_expired_that_is_open_again_has_an_rma_again(begin: Tell) -> None:
    history = begin()
    history.move(0, "expired")
    history.sync()
    history.sync()
    assert history.account.rmas.find(history.ids[0]) is None
    history.move(0, "open")
    history.sync()
    assert history.account.rmas.find(history.ids[0]) is not None


def test_a_warehouse_that_is_down_holds_up_no_process(begin: Tell) -> None:
    history = begin()
    history.shop((OTHER,))
    history.account.wait()
    history.receive(0, "all")
    history.strike("warehouse.create", "503")
    history.sync()
    history.sync()
    assert effects(history, "loop.process") == 1


def test_an_update_that_a_newer_one_overtook_before_it_was_read_back_is_over_too(begin: Tell) -> None:
    history = begin()
    history.label(0, 1)
    history.retry(0)
    assert history.account.state(history.ids[0], "rma.update") == "accepted"
    history.label(0, 2)
    history.sync()
    updates = history.account.rows("SELECT state FROM deliveries WHERE merchant = :m AND kind = 'rma.update' ORDER BY delivery_id")
    assert [row["state"] for row in updates] == ["confirmed", "confirmed"]


def test_a_return_of_days_that_a_backfill_has_read_before_is_announced_when_its_webhook_comes(begin: Tell) -> None:
    history = begin()
    history.look_back()
    history.look_back()
    history.sync()
