"""Guards hold what is beyond a merchant's limits until a person has looked; what shadow decided is sent by a person alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from backhaul.pipeline.acting import Operator
from tests.e2e.house import House, drain, prepare

NONE = {"processes_per_hour": 1000, "value_per_hour": {}, "value_of_one": {"USD": 1_000_000}, "hold_first": 0, "flag_share_per_day": 1.0}


@pytest.fixture(scope="module")
def house(build_shared: Callable[..., House], module_store_url: str) -> House:
    return build_shared({"acme": {"guards": NONE}}, store_url=module_store_url)


@pytest.fixture
def sam(house: House) -> Operator:
    return Operator(house.store, "sam")


def decided(house: House, number: int = 1, parcel: str = "all") -> list[str]:
    """So many returns, received and decided, of which nothing was sent to Loop."""
    made = [house.shop() for _ in range(number)]
    prepare(house)
    drain(house)
    for return_id in made:
        house.receive(return_id, parcel)
    prepare(house)
    return made


def processed(house: House) -> int:
    return house.effects("loop.process")


def held(house: House) -> dict[str, str]:
    return {
        row["return_id"]: row["held_by"] for row in house.deliveries(kind="loop.process") if row["held_by"] and row["state"] == "pending"
    }


def set_guards(house: House, **limits: object) -> None:
    house.write_config(acme={"guards": NONE | limits})


def test_several_workers_together_do_not_overrun_a_limit(house: House, sam: Operator) -> None:
    made = decided(house, 8)
    before = processed(house)
    set_guards(house, processes_per_hour=before + 3)
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(drain, house) for _ in range(4)]:
            future.result()
    assert processed(house) - before == 3
    assert len(held(house)) == 5 and set(held(house).values()) == {"processes_per_hour"}
    [told] = house.rows("SELECT * FROM recon_exceptions WHERE kind = 'guard_holds'")
    assert told["subject"] == "processes_per_hour" and "holds 5 returns" in told["why"] and f"the limit is {before + 3}" in told["why"]
    house.sync()
    assert processed(house) - before == 3, "an hour is not over, and nobody has looked"

    waiting = [one for one in made if one in held(house)]
    sam.release("acme", waiting[:4], "looked at them")
    sam.reject("acme", waiting[4:], "a fraud")
    house.deliver()
    assert processed(house) - before == 7
    assert house.exceptions() == set()
    [rejected] = house.deliveries(waiting[4], "loop.process")
    assert (rejected["state"], rejected["message"]) == ("superseded", "rejected by sam: a fraud")
    house.sync()
    assert processed(house) - before == 7, "what was rejected is not owed again"
    set_guards(house)


def test_a_value_beyond_its_limit_is_held_with_the_amount_and_released_by_command(house: House) -> None:
    set_guards(house, value_of_one={"USD": 0.01})
    [return_id] = decided(house)
    house.sync()
    assert house.effects("loop.process", return_id) == 0 and house.outcome(return_id)[0] == "process"
    [row] = json.loads(house.command("guard", "list", "--json").stdout)
    assert (row["return"], row["guard"]) == (return_id, "value_of_one") and "beyond the limit of 0.01" in row["why"]
    assert "Add --yes" in house.command("guard", "release", "--all").stdout
    assert house.effects("loop.process", return_id) == 0
    assert house.command("guard", "release", "no-such-return").returncode == 1
    assert house.command("guard", "release", "--all", "--yes", "--why", "it is fine", "--as", "kim").returncode == 0
    house.deliver()
    assert house.effects("loop.process", return_id) == 1
    shown = house.command("show", return_id, "--json").stdout
    assert "kim let go what a guard held: it is fine." in shown
    set_guards(house)


def test_what_is_held_binds_nothing_so_that_a_correction_flags_it(house: House) -> None:
    set_guards(house, hold_first=10_000)
    [return_id] = decided(house)
    drain(house)
    assert held(house)[return_id] == "hold_first"
    house.receive(return_id, "damaged")
    house.sync()
    assert house.effects("loop.process", return_id) == 0 and house.effects("loop.flag", return_id) == 1
    assert house.state(return_id, "loop.process") == "superseded" and "guard_holds" not in house.exceptions()
    set_guards(house)


def test_a_release_holds_for_the_decision_that_was_looked_at(house: House, sam: Operator) -> None:
    set_guards(house, value_of_one={"USD": 0.01})
    [return_id] = decided(house)
    drain(house)
    sam.release("acme", [return_id])
    house.receive(return_id, "damaged")
    prepare(house)
    assert house.outcome(return_id)[0] == "flag"
    house.receive(return_id, "all")
    prepare(house)
    drain(house)
    assert held(house)[return_id] == "value_of_one" and house.effects("loop.process", return_id) == 0
    set_guards(house)


def test_what_was_decided_in_shadow_is_sent_by_a_person_alone(house: House) -> None:
    house.write_config(acme={"mode": "shadow"})
    kept, damaged = decided(house, 2)
    house.sync()
    assert house.state(kept, "loop.process") == "shadow"
    assert house.command("deliver", "--from-shadow", "acme").returncode == 1, "it is in shadow mode still"
    house.write_config(acme={"mode": "live"})
    house.sync()
    house.deliver()
    assert house.state(kept, "loop.process") == "shadow" and house.effects("loop.process", kept) == 0
    preview = house.command("deliver", "--from-shadow")
    assert preview.returncode == 0 and kept in preview.stdout and "Add --yes" in preview.stdout
    assert house.effects("loop.process", kept) == 0
    house.receive(damaged, "damaged")
    prepare(house)
    assert house.command("deliver", "--from-shadow", "acme", "--yes", "--as", "kim").returncode == 0
    assert house.effects("loop.process", kept) == 1 and house.effects("loop.process", damaged) == 0
    assert [row["operator"] for row in house.rows("SELECT operator FROM operator_actions WHERE action = 'from_shadow'")] == ["kim"]
