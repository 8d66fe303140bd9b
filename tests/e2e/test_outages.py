"""Outages: nothing is given up for a passing reason, one vendor's trouble stops no other, and what hangs is shown (docs/decisions/0015)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from backhaul.domain.circuit import OPENS_AFTER
from tests.e2e.house import House, prepare

MINUTE = timedelta(minutes=1)
pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(scope="module")
def house(build_shared: Callable[..., House], module_store_url: str) -> House:
    return build_shared(store_url=module_store_url)


def pass_time(house: House, step: timedelta) -> None:
    house.let_time_pass(step)
    with house.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM circuits")  # a probe's time has come


@pytest.fixture
def decided(house: House) -> str:
    house.world.faults.clear()
    return_id = house.shop()
    house.sync()
    house.receive(return_id)
    prepare(house)
    return return_id


@pytest.mark.parametrize("kind", ["429", "503", "redirect"])
def test_an_outage_of_hours_kills_no_delivery_and_ends_by_itself(house: House, kind: str) -> None:
    house.world.faults.clear()
    return_id = house.shop()
    house.world.fault(kind, "masonhub.create", record=return_id, times=None, after_effect=False)
    prepare(house)
    for _ in range(14):  # at today's pauses an hour and more
        house.deliver()
        pass_time(house, 6 * MINUTE)
    assert house.state(return_id, "rma.create") == "pending"
    assert len(house.attempts(return_id, "rma.create")) > 12
    house.world.faults.clear()
    house.sync()
    house.sync()
    assert house.effects("masonhub.create", return_id) == 1
    assert house.state(return_id, "rma.create") == "confirmed"


def test_what_is_owed_for_a_day_is_shown_to_a_person_until_it_is_through(house: House, decided: str) -> None:
    house.world.fault("503", "loop.process", record=decided, times=None)
    house.sync()
    assert house.exceptions(decided) == set()
    with house.store.write() as connection:
        connection.exec_driver_sql(f"UPDATE deliveries SET owed_since = '2020-01-01 00:00:00.000000+00:00' WHERE return_id = '{decided}'")
        connection.exec_driver_sql(f"UPDATE deliveries SET accepted_at = NULL WHERE return_id = '{decided}' AND kind = 'loop.process'")
    house.sync()
    assert house.exceptions(decided) == {"delivery_stuck"}
    house.world.faults.clear()
    pass_time(house, 20 * MINUTE)
    for _ in range(2):
        house.sync()
        pass_time(house, 20 * MINUTE)
    assert house.outcome(decided) == ("process", [], "processed")
    assert house.exceptions(decided) == set()


def test_a_key_that_is_not_accepted_is_no_attempt_and_stops_no_other_vendor(house: House, decided: str) -> None:
    other = house.shop()
    prepare(house)
    house.world.fault("401", "masonhub.create", times=None)
    done = house.command("deliver")
    assert done.returncode == 1
    assert "masonhub" in done.stderr and "401" in done.stderr
    assert house.effects("loop.process", decided) == 1
    [create] = house.deliveries(other, "rma.create")
    assert (create["state"], create["attempts"], create["is_uncertain"]) == ("pending", 0, False)
    assert set(house.attempts(other, "rma.create")) == {"unauthorized"}
    house.world.faults.clear()
    house.sync()
    assert house.effects("masonhub.create", other) == 1


def test_a_vendor_that_is_down_is_left_alone_and_shown_and_the_others_go_on(house: House, decided: str) -> None:
    waiting = [house.shop() for _ in range(3)]
    prepare(house)
    house.world.fault("503", "masonhub.*", times=None)
    before = len(house.world.journal.writes("masonhub.create"))
    for _ in range(OPENS_AFTER + 4):
        house.deliver()
        house.let_time_pass(6 * MINUTE)
    assert house.effects("loop.process", decided) == 1
    tried = len(house.world.journal.writes("masonhub.create")) - before
    assert 1 <= tried <= OPENS_AFTER
    [circuit] = house.rows("SELECT * FROM circuits")
    assert (circuit["vendor"], circuit["opened_at"] is not None) == ("masonhub", True)
    found = json.loads(house.command("doctor", "--json").stdout)
    assert any("left alone" in str(one) and "503" in str(one) for one in found)
    house.world.faults.clear()
    pass_time(house, 6 * MINUTE)
    house.sync()
    assert [house.effects("masonhub.create", return_id) for return_id in waiting] == [1, 1, 1]
    assert house.rows("SELECT * FROM circuits") == []


def test_what_waits_for_one_that_is_over_is_shown_as_blocked(house: House, decided: str) -> None:
    with house.store.write() as connection:
        connection.exec_driver_sql(
            "UPDATE deliveries SET waits_for = (SELECT max(d.delivery_id) FROM deliveries d WHERE d.kind = 'rma.create'"
            f" AND d.return_id = '{decided}') WHERE kind = 'loop.process' AND return_id = '{decided}'"
        )
        connection.exec_driver_sql(f"UPDATE deliveries SET state = 'dead' WHERE kind = 'rma.create' AND return_id = '{decided}'")
    house.deliver()
    assert house.effects("loop.process", decided) == 0
    assert "delivery_blocked" in house.exceptions(decided)
    assert house.command("deliver", "--retry", decided).returncode == 0  # the warehouse shows the RMA: what was given up is there
    house.sync()
    assert house.effects("loop.process", decided) == 1
    assert house.exceptions(decided) == set()


def test_many_are_retried_at_once_after_a_preview(house: House) -> None:
    house.world.faults.clear()
    ids = [house.shop() for _ in range(2)]
    house.sync()
    for return_id in ids:
        house.receive(return_id)
    prepare(house)
    for return_id in ids:
        house.world.fault("422", "loop.process", record=return_id)
    house.sync()
    assert {house.state(return_id, "loop.process") for return_id in ids} <= {"refused", "dead"}
    preview = house.command("deliver", "--retry", "--all")
    assert preview.returncode == 0, preview.stderr
    assert all(return_id in preview.stdout for return_id in ids) and "--yes" in preview.stdout
    assert {house.effects("loop.process", return_id) for return_id in ids} == {0}
    assert house.command("deliver", "--retry", "--kind", "rma.create", "--yes").returncode == 0
    assert {house.effects("loop.process", return_id) for return_id in ids} == {0}
    done = house.command("deliver", "--retry", "--kind", "loop.process", "--merchant", "acme", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["counts"]["retried"] == 2
    assert [house.effects("loop.process", return_id) for return_id in ids] == [1, 1]


def test_a_retry_of_a_return_of_which_nothing_was_given_up_is_an_error_that_names_it(house: House) -> None:
    done = house.command("deliver", "--retry", "404404")
    assert done.returncode == 1
    assert "404404" in done.stderr
    assert house.command("deliver", "--retry").returncode == 2
