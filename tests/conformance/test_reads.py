"""What every warehouse's reads promise, over real HTTP against its simulator."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backhaul.errors import TransientVendorError, VendorError
from backhaul.sandbox.server import Sandbox
from tests.conformance.adapters import KEY, Adapter
from tests.conformance.conftest import draft

OUTCOMES = {  # the sandbox's outcomes of two tees and a cap -> units that arrived by condition
    "all": {"available": 3},
    "damaged": {"available": 2, "damaged": 1},
    "short": {"available": 2},
    "short_key": {"available": 2},
    "empty": {},
    "over": {"available": 4},
    "unexpected": {"available": 4},
}


def by_condition(lines: Any) -> dict[str, int]:
    counted: dict[str, int] = {}
    for condition, units in zip(lines["condition"], lines["units"], strict=True):
        counted[condition] = counted.get(condition, 0) + units
    return counted


def test_keys_that_do_not_exist_are_absent(adapter: Adapter, warehouse: Any) -> None:
    warehouse.create([draft("1")])
    batch = warehouse.find(["404", "1", "405", "1"])
    assert list(batch.receipts["rma_key"]) == ["1"] and batch.rejected == [] and len(batch.bodies) == 1
    assert warehouse.find(["404"]).receipts.empty and warehouse.find([]).receipts.empty


def test_more_keys_than_fit_a_call_are_all_looked_for(warehouse: Any) -> None:
    made = [str(place) for place in (3, 64, 119)]
    for key in made:
        warehouse.create([draft(key)])
    assert sorted(warehouse.find([str(place) for place in range(1, 120)]).receipts["rma_key"]) == sorted(made)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_outcome_of_receiving_is_told_unit_by_unit(adapter: Adapter, box: Sandbox, warehouse: Any, outcome: str) -> None:
    warehouse.create([draft()])
    adapter.receive(box, KEY, outcome)
    batch = warehouse.find([KEY])
    [row] = batch.receipts.to_dict("records")
    assert by_condition(batch.lines) == OUTCOMES[outcome]
    assert row["is_terminal"] and row["received_at"] is not None and row["as_of"] is not None
    assert list(batch.lines["unparsed_units"].dropna()) == [] and all(batch.lines["is_known"])


def test_a_return_that_nobody_announced_is_news_under_the_warehouses_own_key(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    own, now = adapter.blind(box), box.world.now
    first, again = (warehouse.news(now - timedelta(days=14), now + timedelta(seconds=5)).batch for _ in range(2))
    [row] = first.receipts.to_dict("records")
    assert (row["rma_key"], row["return_id"], row["rma_id"]) == (f"dc:{own}", None, own)
    assert first.receipts.equals(again.receipts) and first.lines.equals(again.lines) and first.bodies == again.bodies


def test_news_holds_each_record_once(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    for key in ("1", "2", "3"):
        warehouse.create([draft(key)])
    adapter.arrive(box, "2")
    adapter.receive(box, "3")
    adapter.blind(box)
    now = box.world.now
    keys = list(warehouse.news(now - timedelta(days=14), now + timedelta(seconds=5)).batch.receipts["rma_key"])
    assert len(keys) == len(set(keys)) > 0


def test_a_read_is_repeated_while_it_fails_for_passing_reasons(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    warehouse.http._sleep = lambda seconds: None
    warehouse.create([draft()])
    box.world.fault("503", times=2)
    assert list(warehouse.find([KEY]).receipts["rma_key"]) == [KEY]
    box.world.fault("503", times=None)
    with pytest.raises(TransientVendorError) as caught:
        warehouse.find([KEY])
    assert caught.value.is_certain
    box.world.faults.clear()


def test_a_page_that_is_not_json_is_never_an_empty_list(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    warehouse.http._sleep = lambda seconds: None
    box.world.fault("html", times=None)
    with pytest.raises(VendorError):
        warehouse.find([KEY])
    box.world.faults.clear()


def test_a_range_of_time_without_a_zone_is_refused(box: Sandbox, warehouse: Any) -> None:
    naive = box.world.now.replace(tzinfo=None)
    with pytest.raises((ValueError, TypeError)):
        warehouse.news(naive, naive)


def test_what_is_found_and_what_is_kept_of_it_make_the_same_rows(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    warehouse.create([draft()])
    adapter.receive(box, KEY, "damaged")
    found = warehouse.find([KEY])
    again = adapter.normalise([body.encode() for body in found.bodies])
    assert found.receipts.equals(again.receipts) and found.lines.equals(again.lines) and found.bodies == again.bodies
