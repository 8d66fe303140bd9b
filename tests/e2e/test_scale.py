"""Three hundred returns, three syncs: the calls are those that cannot be saved, and nothing is asked twice."""

from __future__ import annotations

import math
from collections.abc import Callable

from backhaul.sandbox import scenarios
from tests.e2e.house import House

STATES = 5


def calls(house: House) -> dict[str, int]:
    return dict(house.world.journal.counts()["acme"])


def test_three_hundred_returns_take_the_fewest_calls_there_can_be(build: Callable[..., House]) -> None:
    house = build()
    scenarios.populate(house.world, "acme", 300, days=6)
    house.sync()
    announced = house.effects("masonhub.create")
    batches = math.ceil(announced / 30)
    assert announced > 200
    first = calls(house)
    assert first == {"loop.list": STATES, "loop.asn": 1, "masonhub.create": batches, "masonhub.list": batches + 1}
    scenarios.receive_some(house.world, "acme", 0.7, mix={"all": 8, "damaged": 2})
    house.sync()
    processed, flagged = house.effects("loop.process"), house.effects("loop.flag")
    assert processed > 100 and flagged > 20
    second = calls(house)
    acts = {name: second[name] for name in ("loop.process", "loop.note", "loop.flag")}
    assert acts == {"loop.process": processed, "loop.note": flagged, "loop.flag": flagged}
    assert second["loop.list"] - first["loop.list"] == STATES + 2  # closed and review are read back
    own = (processed + flagged) // 100 + 1  # the search for the warehouse's own RMAs shows all that were received, 100 a page
    assert second["masonhub.list"] - first["masonhub.list"] <= batches + own
    house.sync()
    third = calls(house)
    quiet = {name: third[name] - second[name] for name in third if third[name] != second[name]}
    assert quiet.pop("masonhub.list") <= batches + own
    assert quiet == {"loop.list": STATES, "loop.asn": 1}
    fewest = 3 * (STATES + 1) + 4 * batches + processed + 2 * flagged
    assert sum(third.values()) <= 1.1 * fewest
    assert {row["state"] for row in house.deliveries()} <= {"accepted", "confirmed"}


def test_changes_among_new_rmas_still_go_out_thirty_to_a_call(build: Callable[..., House]) -> None:
    house = build({"acme": {"policy": {"announce": "on_label"}}})
    made = [house.shop(order_number=2000 + number) for number in range(60)]
    early, late = made[::2], made[1::2]
    for number, return_id in enumerate(early):
        house.world.set_tracking("acme", return_id, f"94001{number:017d}")
    house.sync()
    for number, return_id in enumerate(late):  # creates and updates alternate in the outbox
        house.world.set_tracking("acme", return_id, f"94002{number:017d}")
    for return_id in early:
        house.world.edit_return("acme", return_id, ["CAP-RED-1"])
    house.sync()
    assert [len(call.body) for call in house.world.journal.writes("masonhub.create")] == [30, 30]
    assert [len(call.body) for call in house.world.journal.writes("masonhub.update")] == [30]
