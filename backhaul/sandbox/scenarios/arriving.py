"""Parcels that arrive in every condition."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta

from backhaul.sandbox.scenarios.shopping import CATALOG, pick
from backhaul.sandbox.world import World

MIX = {
    "all": 55,
    "damaged": 10,
    "short": 7,
    "short_key": 3,
    "unexpected": 4,
    "over": 3,
    "quality_control": 4,
    "resolved_later": 5,
    "unknown_status": 2,
    "partial": 3,
    "corrected": 2,
    "empty": 2,
}


def receive_some(
    world: World, merchant: str, share: float = 0.6, *, mix: Mapping[str, int] = MIX, blind: int = 0, seed: int | None = None
) -> dict[str, str]:
    """A share of the open RMAs arrives, in the proportions of `mix`. Returns return id → outcome.

    `resolved_later`: one unit is inspected, and found available two days on. `corrected`: received clean, and a day later one
    unit is damaged after all. `blind` parcels arrive that nobody announced.
    """
    with world.lock:
        waiting = [key for warehouse in world.merchants[merchant].warehouses for key in warehouse.waiting()]
        rng = random.Random(world.seed + 11 + len(waiting) if seed is None else seed)
        chosen = rng.sample(waiting, round(len(waiting) * share))
        found = {key: pick(rng, mix) for key in sorted(chosen)}
        for key, outcome in found.items():
            _receive(world, merchant, key, outcome)
        for number in range(blind):
            sku = rng.choice(CATALOG)[0]
            world.masonhub(merchant).blind({sku: {"under-investigation": 1}}, f"94009{number:017d}")
    return found


def _receive(world: World, merchant: str, key: str, outcome: str) -> None:
    later = {"resolved_later": ("quality_control", timedelta(days=2), "all"), "corrected": ("all", timedelta(days=1), "damaged")}
    if outcome not in later:
        world.receive(merchant, key, outcome)
        return
    first, delay, second = later[outcome]
    world.receive(merchant, key, first)
    world.clock.after(delay, lambda: _receive_again(world, merchant, key, second))


def _receive_again(world: World, merchant: str, key: str, outcome: str) -> None:
    if any(warehouse.find(key) is not None for warehouse in world.merchants[merchant].warehouses):  # it may be gone by then
        world.receive(merchant, key, outcome)
