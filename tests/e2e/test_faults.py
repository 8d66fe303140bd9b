"""The outbox against every fault of the sandbox: ten merchants, each struck by one kind of fault on each of its writes, side by side.

However a call fails, its effect happens exactly once, the delivery comes through, and its attempts tell what happened.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from backhaul.connectors.http import Http
from tests.e2e.house import House

# name of a merchant -> the fault that strikes it, and what its first attempt is said to have been
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "limit-seconds": ({"kind": "429", "retry_after": 1}, "retry"),
    "limit-date": ({"kind": "429", "retry_after": "date"}, "retry"),
    "error-500": ({"kind": "500"}, "uncertain"),
    "error-503": ({"kind": "503", "retry_after": 1}, "uncertain"),
    "hang": ({"kind": "hang", "seconds": 3.0}, "uncertain"),
    "hang-after": ({"kind": "hang", "seconds": 3.0, "after_effect": True}, "uncertain"),
    "reset-before": ({"kind": "reset_before"}, "uncertain"),
    "lost-after": ({"kind": "lost_after"}, "uncertain"),
    "malformed": ({"kind": "malformed"}, "uncertain"),
    "html": ({"kind": "html"}, "uncertain"),
    "redirect": ({"kind": "redirect"}, "uncertain"),
}
KINDS = {
    "rma.create": ("masonhub.create", "processed"),
    "rma.update": ("masonhub.update", "changed"),
    "rma.cancel": ("masonhub.delete", "withdrawn"),
    "loop.note": ("loop.note", "flagged"),
    "loop.flag": ("loop.flag", "flagged"),
    "loop.process": ("loop.process", "processed"),
}
HUNG = ("hang", "hang-after")
PATIENCE = 1.0  # seconds until the client of one that hangs gives up; the others' is not asked for


class Struck:
    """Four returns of each merchant, by the part they play, after everything has been struck and syncs have gone on."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.ids = {name: {part: house.shop(merchant=name) for part in ("processed", "flagged", "changed", "withdrawn")} for name in FAULTS}
        self.strike("masonhub.create")
        self.sync()
        for name, ids in self.ids.items():
            house.world.set_tracking(name, ids["changed"], "9400100000000000000001")
            house.world.cancel_return(name, ids["withdrawn"])
            house.receive(ids["processed"], "all", name)
            house.receive(ids["flagged"], "damaged", name)
        self.strike("masonhub.update", "masonhub.delete", "loop.note", "loop.flag", "loop.process")
        for _ in range(2):
            self.sync()
            house.let_time_pass(timedelta(minutes=6))

    def strike(self, *targets: str) -> None:
        for name, (fault, _) in FAULTS.items():
            soon = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
            asked = fault | ({"retry_after": soon} if fault.get("retry_after") == "date" else {})
            for target in targets:
                self.house.world.fault(
                    asked["kind"], target, merchant=name, **{key: value for key, value in asked.items() if key != "kind"}
                )

    def sync(self) -> None:
        with ThreadPoolExecutor(len(FAULTS)) as pool:
            list(pool.map(self.house.sync, FAULTS))


@pytest.fixture(scope="module")
def struck(build_shared: Callable[..., House]) -> Struck:
    made = Http.__init__

    def impatient_where_it_hangs(http: Http, *args: Any, **more: Any) -> None:
        made(http, *args, **(more | {"timeout": PATIENCE} if more["merchant"] in HUNG else more))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Http, "__init__", impatient_where_it_hangs)
        return Struck(build_shared({name: {"loop": {"process_settle_seconds": 1}} for name in FAULTS}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_befalls_a_write_its_effect_happens_once_and_the_delivery_comes_through(struck: Struck, fault: str, kind: str) -> None:
    operation, part = KINDS[kind]
    return_id = struck.ids[fault][part]
    attempts = struck.house.attempts(return_id, kind, fault)
    assert struck.house.effects(operation, return_id, fault) == (2 if is_repeated_update(kind, fault) else 1), attempts
    assert struck.house.state(return_id, kind, fault) in ("accepted", "confirmed"), attempts
    assert attempts[0] == FAULTS[fault][1], attempts
    assert attempts[-1] in ("accepted", "adopted", "uncertain"), attempts
    assert any(call.fault for call in struck.house.world.journal.writes(operation, fault)), "the fault never struck"


def is_repeated_update(kind: str, fault: str) -> bool:
    """An update is the whole record, so one whose answer was lost is simply sent again."""
    return kind == "rma.update" and fault in ("lost-after", "malformed", "hang-after")


@pytest.mark.parametrize("fault", FAULTS)
def test_after_the_fault_the_vendors_show_what_was_decided(struck: Struck, fault: str) -> None:
    ids, house = struck.ids[fault], struck.house
    assert house.outcome(ids["processed"], fault) == ("process", [], "processed")
    assert house.outcome(ids["flagged"], fault) == ("flag", ["damaged"], "flagged")
    assert house.rma(ids["changed"], fault).package_id == "9400100000000000000001"
    assert house.rma(ids["withdrawn"], fault) is None
    assert house.exceptions(merchant=fault) == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_i3_every_write_is_in_the_outbox_and_has_an_attempt_row_for_each_call(struck: Struck, fault: str) -> None:
    tried = "('accepted', 'retry', 'uncertain', 'refused', 'failed', 'crashed')"
    query = (
        "SELECT d.kind, count(*) AS rows_of_calls, max(d.attempts) AS attempts FROM delivery_attempts a "
        f"JOIN deliveries d ON d.delivery_id = a.delivery_id WHERE d.merchant = :m AND a.outcome IN {tried} GROUP BY d.kind, d.delivery_id"
    )
    for row in struck.house.rows(query, m=fault):
        assert row["rows_of_calls"] == row["attempts"], row
    for kind, (operation, _) in KINDS.items():
        sent = sum(len(call.body) if isinstance(call.body, list) else 1 for call in struck.house.world.journal.writes(operation, fault))
        assert sent == sum(row["attempts"] for row in struck.house.deliveries(kind=kind, merchant=fault)), kind
