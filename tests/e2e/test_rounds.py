"""A round over many merchants: none waits for another, and what is broken is named."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backhaul import config
from backhaul.connectors.deadline import left, within
from backhaul.errors import ConfigError, StoreError
from backhaul.pipeline.rounds import Outcome, Pace, Round
from backhaul.sandbox.core.faults import Fault
from backhaul.store.engine import Store
from backhaul.store.turns import Turns, longest_waiting_first
from flows.fleet import FleetError, sync_all
from flows.recorded import recorded_run
from tasks.actions import deliver_due
from tasks.rounds import in_our_words
from tests.e2e.house import House, drain, prepare
from tests.stores import sqlite_store

QUICK = Pace(at_once=2, slot=0.3, most=8, merchant=5.0, whole=20.0)


def _round(do: Callable[[str], dict[str, int]], names: list[str], store: Store, pace: Pace = QUICK) -> dict[str, Outcome]:
    return {one.merchant: one for one in Round(do, pace, Turns(store, "sync", "here")).through(names)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(sqlite_store(tmp_path / "store.db")).ready()


def test_a_merchant_that_hangs_gives_its_slot_to_the_next(store: Store) -> None:
    is_over = threading.Event()

    def do(merchant: str) -> dict[str, int]:
        if merchant.startswith("hung"):
            assert is_over.wait(300)
        elif merchant == "last":
            is_over.set()
        return {"records_in": 1}

    found = _round(do, ["hung-1", "hung-2", "a", "b", "c", "last"], store)
    assert all(outcome.error is None and outcome.counts for outcome in found.values())
    assert len(found) == 6


def test_one_that_fails_is_named_and_the_others_are_done(store: Store) -> None:
    def do(merchant: str) -> dict[str, int]:
        if merchant == "bad":
            raise StoreError("as anything may")
        if merchant == "worse":
            raise KeyError("a defect")
        return {}

    found = _round(do, ["bad", "good", "worse"], store)
    assert {name for name, one in found.items() if one.error is not None} == {"bad", "worse"}


def test_at_its_deadline_a_round_names_what_it_leaves_and_waits_no_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backhaul.pipeline.rounds._GRACE", 0.1)
    released = threading.Event()
    pace = Pace(at_once=1, slot=60.0, most=1, merchant=60.0, whole=0.5)
    found = _round(lambda _: {"waited": released.wait(30)}, ["stuck", "waits"], store, pace)
    released.set()
    assert found["stuck"].is_left and found["stuck"].seconds > 0
    assert found["waits"] == Outcome("waits", is_left=True)
    assert "next round" in in_our_words(found["waits"])


def test_a_merchants_calls_end_by_its_deadline_and_by_the_rounds(store: Store) -> None:
    patience: dict[str, float] = {}

    def do(merchant: str) -> dict[str, int]:
        patience[merchant] = left()
        return {}

    _round(do, ["a"], store)
    _round(do, ["b"], store, Pace(at_once=1, slot=1.0, most=1, merchant=100.0, whole=3.0))
    assert 4.0 < patience["a"] <= 5.0 and patience["b"] <= 3.0


def test_the_longest_waiting_are_first(build: Any) -> None:
    house = build({"acme": {}, "bolt": {}, "cove": {}})
    house.sync("acme")
    house.sync("bolt")
    house.sync("acme")
    with house.store.read() as connection:
        assert longest_waiting_first(connection, "sync", ["acme", "bolt", "cove"]) == ["cove", "bolt", "acme"]


def test_one_merchant_that_fails_stops_no_other_of_the_fleet_and_no_server_is_needed(build: Any, store_url: str) -> None:
    house: House = build({"acme": {}, "bolt": {}}, store_url=store_url)
    for name in ("acme", "bolt"):
        house.shop(merchant=name)
    house.world.faults.add(Fault(target="loop.list", kind="401", times=1, merchant="acme"))
    with pytest.raises(FleetError, match="1 merchants failed: acme: a vendor does not accept the key"):
        sync_all.fn(config=str(house.file))
    assert house.runs("acme")[-1]["state"] == "failed" and "401" in house.runs("acme")[-1]["error"]
    [run] = house.runs("bolt")
    assert (run["state"], run["trigger"], run["delivered"]) == ("completed", "schedule", 1)
    assert [one.error for one in sync_all.fn(config=str(house.file))] == [None, None]


def test_a_config_of_a_thousand_merchants_with_three_broken_runs_the_rest_and_names_the_three(build: Any) -> None:
    house: House = build({"acme": {}, "bolt": {}})
    text = house.file.read_text(encoding="utf-8")
    one = re.search(r'(?s)\["merchants"\."acme"\].*?(?=\["merchants"\."bolt"\])', text)
    assert one is not None
    many = "\n".join(one.group().replace('"acme"]', f'"m{number:03}"]').replace('"acme".', f'"m{number:03}".') for number in range(997))
    broken = many.replace('"merchants"."m007"]\n"warehouse" = "masonhub"', '"merchants"."m007"]\n"warehouse" = "nowhere"')
    assert broken != many
    house.file.write_text(text + "\n" + broken + '\n[merchants.m997]\nwarehouse = "masonhub"\n[merchants.m998]\nmode = "loud"\n')

    settings, wrong = config.load_fleet(house.file)
    assert sorted(wrong) == ["m007", "m997", "m998"] and len(settings.merchants) == 998
    assert "merchants.m007.warehouse" in wrong["m007"] and "merchants.m997.loop" in wrong["m997"]
    with pytest.raises(ConfigError, match="m007"):
        config.load(house.file)
    with pytest.raises(FleetError, match="1 merchants failed: m998") as failure:
        sync_all.fn(["acme", "m998", "bolt"], config=str(house.file))
    assert {one.merchant for one in failure.value.outcomes if one.error is None} == {"acme", "bolt"}


def test_the_command_names_the_broken_and_runs_the_rest(build: Any) -> None:
    house: House = build({"acme": {}, "bolt": {}, "cove": {"mode": "loud"}})
    done = house.command("sync")
    assert done.returncode == 2 and "cove" in done.stderr and "merchants.cove.mode" in done.stderr
    assert [house.runs(name)[-1]["state"] for name in ("acme", "bolt")] == ["completed", "completed"]
    assert house.command("sync", "cove").returncode == 2 and house.runs("cove") == []
    assert house.command("sync", "acme").returncode == 0


def test_what_is_wrong_beside_the_merchants_stops_all(build: Any) -> None:
    house: House = build({"acme": {}})
    house.file.write_text(house.file.read_text(encoding="utf-8") + '\n[shop]\nname = "x"\n')
    with pytest.raises(ConfigError, match="shop: unknown key"):
        config.load_fleet(house.file)


def test_workers_that_share_a_round_take_each_merchant_once_and_take_over_from_the_dead(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(postgres_url).ready()
    names = [f"m{number}" for number in range(6)]
    one = Turns(store, "sync", "one")
    one.open(names)
    two = Turns(store, "sync", "two", one.since)
    assert one.take(names, 2) == ["m0", "m1"] and two.take(names, 2) == ["m2", "m3"]
    one.finish("m0")
    assert two.take(names, 9) == ["m4", "m5"]
    assert one.undone(names) == ["m1", "m2", "m3", "m4", "m5"] and one.take(names, 9) == []
    with store.write() as connection:  # the second worker dies, and its leases run out
        connection.execute(sa.text("UPDATE backhaul_live.turns SET lease_expires_at = now() - interval '1 s' WHERE lease_owner = 'two'"))
    two.renew(["m4"])  # it was only slow: what it still holds stays with it
    assert one.take(names, 9) == ["m2", "m3", "m5"]
    two.finish("m5")  # no more its own
    assert "m5" in one.undone(names)
    assert Turns(store, "sync", "next").take(["m0"], 1) == ["m0"]  # a round later
    assert Turns(store, "audit", "other").take(["m0"], 1) == []  # no row was opened for it
    store.close()


def test_a_run_that_is_called_off_begins_no_write_and_says_how_it_ended(house: House) -> None:
    house.shop()
    prepare(house)
    stop = threading.Event()
    with within(600, called_off=stop), recorded_run("drain", "acme", config=str(house.file), trigger="command") as session:
        stop.set()
        deliver_due(session)
    assert house.effects("masonhub.create") == 0
    [owed] = house.deliveries()
    assert (owed["state"], owed["attempts"]) == ("pending", 0)
    drain(house)
    assert house.effects("masonhub.create") == 1
