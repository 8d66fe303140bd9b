"""I7: the same facts by webhook, poll, windows in any order, or all of these with losses, end as the same rows of every public view."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from backhaul.domain.windows import Window
from backhaul.sandbox import Sandbox, World
from backhaul.store.views import VIEWS
from flows.sync import pull_returns
from tasks.actions import decide_returns, deliver_due
from tasks.receipts import load_receipts, poll_warehouse
from tasks.returns import pending_windows

from .conftest import MERCHANT, Desk

# When we looked, which run did, and what the warehouse numbers by itself, differ by nature.
_BY_NATURE = {"decided_at", "age_days", "opened_at", "run_id", "rma_id", "p50_hours_to_decision", "p90_hours_to_decision"}
_BY_NATURE |= {"delivered_at", "hours_to_deliver", "hours_to_receive"}  # that a parcel is at the dock, a callback alone tells
_AT_THE_DOCK = ("deliver", "receive")  # the steps that follow from it
_VIEWS = [view for view in VIEWS if view != "recon_freshness"]  # which tells of the roads themselves
Way = Callable[[Desk, random.Random], None]


def shoppers_start_returns(world: World) -> None:
    world.create_return(MERCHANT, ("TEE-NAV-M",), order_number=1001)
    world.create_return(MERCHANT, ("TEE-NAV-M", "OXF-NAV-S"), order_number=1002, outcome="credit")
    world.create_return(MERCHANT, ("KNT-OLI-L", "KNT-OLI-L", "TEE-NAV-S"), order_number=1003)
    world.create_return(MERCHANT, ("TEE-NAV-M", None), order_number=1003, outcome="exchange+refund")
    world.create_return(MERCHANT, ("CHN-NAV-M",), order_number=1004)
    world.create_return(MERCHANT, ("CHN-NAV-L", "OXF-OLI-S"), order_number=1005)
    world.create_return(MERCHANT, ("TEE-OLI-M",), order_number=1006, destination_id=67_896)
    world.create_return(MERCHANT, ("TEE-OLI-L",), order_number=1007, outcome="credit")


def labels_come_and_minds_change(world: World) -> None:
    ids = [item.id for item in world.loop(MERCHANT)]
    for place, return_id in enumerate(ids[:6]):
        world.set_tracking(MERCHANT, return_id, f"94001{place:017d}")
    world.edit_return(MERCHANT, ids[5], ("CHN-NAV-L", "TEE-NAV-M"))
    world.cancel_return(MERCHANT, ids[6])
    world.loop(MERCHANT).queue_processing(world.loop(MERCHANT).need(ids[7]))  # a person processes it in Loop: paid, and nothing has come


def the_carrier_delivers(world: World) -> None:
    ids = [str(item.id) for item in world.loop(MERCHANT)]
    world.masonhub(MERCHANT).carrier(ids[0], "inTransit")
    world.masonhub(MERCHANT).carrier(ids[0], "delivered")
    world.masonhub(MERCHANT).start_receiving(ids[1])


def parcels_are_received(world: World) -> None:
    ids = [item.id for item in world.loop(MERCHANT)]
    world.fail_processing(MERCHANT, ids[4])
    world.masonhub(MERCHANT).start_receiving(str(ids[2]))
    for return_id, outcome in zip(ids[:6], ("all", "all", "damaged", "short", "all", "quality_control"), strict=True):
        world.receive(MERCHANT, return_id, outcome)


def inspection_ends(world: World) -> None:
    world.receive(MERCHANT, list(world.loop(MERCHANT))[5].id, "all")


STORY = (shoppers_start_returns, labels_come_and_minds_change, the_carrier_delivers, parcels_are_received, inspection_ends)


def by_webhook(desk: Desk, _: random.Random) -> None:
    """In order, each once, until nothing more is posted."""
    while postings := desk.fresh_postings():
        assert set(desk.post(postings)) == {200}
        desk.take_in()


def by_webhook_out_of_order(desk: Desk, chance: random.Random) -> None:
    """Shuffled, with duplicates, in batches of any size."""
    while postings := desk.fresh_postings():
        postings += chance.choices(postings, k=chance.randrange(len(postings) + 1))
        chance.shuffle(postings)
        while postings:
            size = chance.randrange(1, len(postings) + 1)
            desk.post(postings[:size])
            del postings[:size]
            desk.take_in()


def by_poll(desk: Desk, _: random.Random) -> None:
    """As sync does it."""
    for _again in range(2):  # what our own acts cause is the next sync's news
        with desk.session("sync") as session:
            for window in pending_windows(session):
                pull_returns(session, window, completes=window)
            _work(desk, session)


def by_windows(desk: Desk, chance: random.Random) -> None:
    """As a backfill that acts does it: windows that overlap, in any order, twice."""
    for _again in range(2):
        with desk.session("backfill") as session:
            now = desk.now()
            edges = [now - timedelta(days=days) for days in (30, 12, 5, 2, 1)] + [now]
            windows = [Window(start - timedelta(hours=1), end + timedelta(seconds=1)) for start, end in pairwise(edges)]
            chance.shuffle(windows)
            for window in windows:
                pull_returns(session, window)
            _work(desk, session)


def by_all_with_losses(desk: Desk, chance: random.Random) -> None:
    """Half of the webhooks are lost, the others come twice and out of order, between polls."""
    postings = [one for one in desk.fresh_postings() if chance.random() < 0.5] * 2
    chance.shuffle(postings)
    half = len(postings) // 2
    desk.post(postings[:half])
    desk.take_in()
    by_poll(desk, chance)
    desk.post(postings[half:])
    desk.take_in()
    by_poll(desk, chance)


def _work(desk: Desk, session: Any) -> None:
    for _ in range(2):
        decide_returns(session)
        deliver_due(session)
        load_receipts(session, poll_warehouse(session, "masonhub"))
    decide_returns(session)
    deliver_due(session)


WAYS: dict[str, Way] = {
    "webhooks": by_webhook,
    "webhooks, shuffled and doubled": by_webhook_out_of_order,
    "windows": by_windows,
    "mixed": by_all_with_losses,
}


_polled: dict[str, dict[str, list[dict[str, Any]]]] = {}  # told once by each surface; every way is held against it


@pytest.mark.parametrize("surface", ["documented", "recorded"])
@pytest.mark.parametrize(("name", "seed"), [*((name, 1) for name in WAYS), ("webhooks, shuffled and doubled", 2)])
def test_every_way_to_the_same_facts_ends_in_the_same_rows(make_desk: Callable[..., Desk], name: str, seed: int, surface: str) -> None:
    if surface not in _polled:
        _polled[surface] = _told(make_desk, by_poll, seed, surface)
    expected = _polled[surface]
    assert {row["stage"] for row in expected["recon_returns"]} >= {"processed", "flagged", "ended"}
    assert expected["recon_discrepancies"] and expected["recon_exceptions"] and expected["processed_not_received"]
    found = _told(make_desk, WAYS[name], seed, surface)
    for view in _VIEWS:
        missing = [row for row in expected[view] if row not in found[view]]
        assert (missing, [row for row in found[view] if row not in expected[view]]) == ([], []), f"{view} by {name}"
        assert len(found[view]) == len(expected[view])


def _told(make_desk: Callable[..., Desk], way: Way, seed: int, surface: str) -> dict[str, list[dict[str, Any]]]:
    """The story, taken in after each of its chapters; the rows of every view at the end."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        began = datetime(2026, 3, 2, 9, tzinfo=UTC)
        box = stack.enter_context(Sandbox(seed=4, merchants=(MERCHANT,), start=began, is_ticking=False, surface=surface))
        desk = make_desk(box)
        for chapter in STORY:
            chapter(box.world)
            way(desk, chance)
            box.advance(timedelta(hours=20))
        return {view: _plain(desk.rows(f"SELECT * FROM {view}")) for view in _VIEWS}


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [{name: str(value) for name, value in row.items() if name not in _BY_NATURE} for row in rows]
    kept = [row for row in kept if row.get("step") not in _AT_THE_DOCK]
    return sorted(kept, key=lambda row: tuple(row.values()))
