"""A hand on the brake: a pause stops what is sent before the next call, loses nothing, and every act of a person is on record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from backhaul.connectors.masonhub.client import MasonHub
from backhaul.pipeline.acting import Operator
from tests.e2e.house import House, prepare

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(scope="module")
def house(build_shared: Callable[..., House], module_store_url: str) -> House:
    return build_shared(store_url=module_store_url)


@pytest.fixture
def sam(house: House) -> Iterator[Operator]:
    """A person at the house's store; what they paused is lifted in the end."""
    yield Operator(house.store, "sam")
    house.world.faults.clear()
    with house.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM pauses")


@pytest.fixture
def decided(house: House) -> str:
    return_id = house.shop()
    house.sync()
    house.receive(return_id)
    prepare(house)
    return return_id


def acts(house: House, action: str) -> list[tuple[str, str, str | None]]:
    rows = house.rows("SELECT operator, subject, why FROM recon_operator_actions WHERE action = :a ORDER BY acted_at", a=action)
    return [(row["operator"], row["subject"], row["why"]) for row in rows]


def test_a_paused_merchant_reads_and_decides_and_sends_nothing_until_it_is_resumed(house: House, sam: Operator, decided: str) -> None:
    sam.pause("acme", "refunds look wrong")
    new = house.shop()
    counts = house.sync().counts
    assert counts["paused"] == 2 and "delivered" not in counts
    assert (house.effects("loop.process", decided), house.effects("masonhub.create", new)) == (0, 0)
    assert house.outcome(new)[0] == "wait" and house.attempts(decided, "loop.process") == []
    sam.resume("acme")
    house.sync()
    assert (house.effects("loop.process", decided), house.effects("masonhub.create", new)) == (1, 1)
    assert house.outcome(decided) == ("process", [], "processed")
    assert acts(house, "pause")[-1] == ("sam", "*", "refunds look wrong") and acts(house, "resume")[-1] == ("sam", "*", None)


def test_a_pause_of_one_vendor_leaves_the_others_alone(house: House, sam: Operator, decided: str) -> None:
    sam.pause("acme", "Loop asked us", "loop")
    new = house.shop()
    house.sync()
    assert (house.effects("loop.process", decided), house.effects("masonhub.create", new)) == (0, 1)


def test_a_pause_between_two_calls_of_one_run_stops_the_second(house: House, sam: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that MasonHub turns down as a whole is sent one by one; the pause comes after the first of them."""
    made = [house.shop() for _ in range(3)]
    prepare(house)
    house.world.fault("400", "masonhub.create", times=1)
    sent: list[int] = []
    create = MasonHub.create

    def watched(client: MasonHub, drafts):  # type: ignore[no-untyped-def]
        sent.append(len(drafts))
        outcomes = create(client, drafts)
        sam.pause("acme", "stop")
        return outcomes

    monkeypatch.setattr(MasonHub, "create", watched)
    house.deliver()
    assert sent == [3, 1] and [house.effects("masonhub.create", one) for one in made] == [1, 0, 0]
    assert {house.state(one, "rma.create") for one in made[1:]} == {"pending"}
    sam.resume("acme")
    house.deliver()
    assert [house.effects("masonhub.create", one) for one in made] == [1, 1, 1]


def test_what_is_paused_for_days_is_not_stuck_then_or_when_it_is_resumed(house: House, sam: Operator, decided: str) -> None:
    sam.pause("acme", "holiday")
    with house.store.write() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET owed_since = '2020-01-01 00:00:00.000000+00:00' WHERE state = 'pending'")
    house.sync()
    assert house.exceptions(decided) == set()
    sam.resume("acme")
    house.world.fault("503", "loop.process", record=decided, times=None)
    house.sync()
    assert house.state(decided, "loop.process") == "pending" and house.exceptions(decided) == set()


def test_pause_and_resume_from_the_command_line_are_shown_and_on_record(house: House, sam: Operator) -> None:
    assert house.command("pause", "acme").returncode == 2, "without a reason"
    assert house.command("pause", "acme", "--vendor", "nobody", "--why", "x").returncode == 2
    assert house.command("pause", "acme", "--vendor", "masonhub", "--why", "labels are wrong", "--as", "kim").returncode == 0
    told = house.command("doctor", "acme", "--json")
    [finding] = [one for one in json.loads(told.stdout) if one["check"] == "pauses"]
    assert finding["state"] == "warn" and "masonhub, paused" in finding["what"] and "by kim: labels are wrong" in finding["what"]
    assert "acme: what goes to masonhub is paused" in house.command("runs").stdout
    assert house.command("resume", "acme", "--vendor", "loop").returncode == 1, "it is not paused"
    assert house.command("resume", "acme").returncode == 0
    assert "nothing is paused" in house.command("doctor", "acme", "--json").stdout
    assert acts(house, "pause")[-1] == ("kim", "masonhub", "labels are wrong")
    assert house.command("resume", "acme").returncode == 1, "nothing is"


def test_an_exception_that_a_person_resolves_says_who_and_why_in_the_life_of_its_return(house: House, sam: Operator) -> None:
    return_id = house.shop()
    house.sync()
    house.receive(return_id, "unknown_status")
    house.sync()
    assert "unknown_condition" in house.exceptions(return_id)
    assert house.command("exceptions", "assign", return_id, "--to", "kim", "--as", "sam").returncode == 0
    assert [row["assigned_to"] for row in json.loads(house.command("exceptions", "list", "--json").stdout)] == ["kim"]
    assert "sam said who takes an exception." in house.command("show", return_id, "--json").stdout
    assert house.command("exceptions", "resolve", return_id, "--why", "they meant good", "--as", "kim").returncode == 0
    assert house.exceptions(return_id) == set() and acts(house, "resolve")[-1] == ("kim", return_id, "they meant good")
    assert "kim dealt with an exception: they meant good." in house.command("show", return_id, "--json").stdout
