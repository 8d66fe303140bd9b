"""What shoppers order and send back, with all that makes it awkward."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from backhaul.sandbox.loop.bulk import Bulk
from backhaul.sandbox.loop.state import Line, LoopAccount, Return
from backhaul.sandbox.loop.wire import DESTINATIONS, money
from backhaul.sandbox.world import World

# reason, its group; the first five are those that `config_toml` maps
REASONS = (
    ("Too small", "Item didn't fit"),
    ("Too big", "Item didn't fit"),
    ("Arrived damaged", "Quality"),
    ("Wrong item received", "Fulfilment"),
    ("Changed my mind", "Didn't like it"),
    ("I like another style more", "Didn't like it"),
    ("Not as described", "Quality"),
    ("Arrived too late", "Fulfilment"),
    ("Bought two sizes", "Item didn't fit"),
)
CATALOG = tuple(
    (f"{code}-{colour[:3].upper()}-{size}", title, f"{size} / {colour}", price)
    for code, title, price in (
        ("TEE", "Crew Tee", 2900),
        ("OXF", "Oxford Shirt", 7800),
        ("CHN", "Slim Chino", 8900),
        ("KNT", "Merino Knit", 12900),
    )
    for colour in ("Navy", "Olive")
    for size in ("S", "M", "L")
)
STATE_SHARES = {"open": 74, "closed": 12, "cancelled": 5, "expired": 4, "review": 5}
SPOILS: tuple[tuple[int | None, dict[str, Any]], ...] = (
    (0, {"price": "-5.00"}),
    (None, {"updated_at": "next Tuesday"}),
    (None, {"state": "processing"}),
    (0, {"refund": "n/a"}),
    (0, {"line_item_id": None}),
)


@dataclass(frozen=True, slots=True)
class Populated:
    """What `populate` made: return ids, those spoiled, and how many of each state."""

    return_ids: list[int]
    spoiled_ids: list[int]
    states: dict[str, int]


def pick(rng: random.Random, shares: Mapping[str, int]) -> str:
    """One name, by its share."""
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def make_lines(rng: random.Random, new_id: Callable[[], int]) -> list[Line]:
    """One to five units, now and then the same SKU twice for different reasons, or without a SKU at all."""
    lines: list[Line] = []
    for _ in range(rng.choices((1, 2, 3, 4, 5), weights=(34, 33, 19, 9, 5))[0]):
        sku, title, variant, price = rng.choice(CATALOG)
        if lines and lines[-1].sku is not None and rng.random() < 0.18:
            sku, title, variant, price = lines[-1].sku, lines[-1].title, lines[-1].variant, lines[-1].price
        reason, parent = rng.choice(REASONS)
        discount = price // 10 if rng.random() < 0.25 else 0
        line = Line(
            new_id(), sku if rng.random() > 0.02 else None, title, variant, price, discount, (price - discount) * 8 // 100, reason, parent
        )
        line.comment = rng.choice(("", "N/A", "Sleeves too short", "Colour differs from the photo"))
        line.barcode = "" if rng.random() < 0.1 else f"29{rng.randrange(10**10):010d}"
        lines.append(line)
    return lines


def _exchange(rng: random.Random, number: int) -> dict[str, Any]:
    sku, title, variant, price = rng.choice(CATALOG)
    tax = price * 8 // 100
    amounts = {"price": money(price), "discount": "0.00", "tax": money(tax), "total": money(price + tax)}
    order = {"exchange_order_id": None, "exchange_order_name": None}
    ids = {"exchange_id": str(88_000_000 + number), "product_id": "29871298319999", "variant_id": "23498287209999"}
    rest = {"out_of_stock": False, "out_of_stock_resolution": None, "consolidation_tracking": None}
    return {**ids, **order, "sku": sku, "type": "exchange", "title": f"{title} - {variant}", **amounts, **rest}


def make_fields(rng: random.Random, number: int, moment: int) -> dict[str, Any]:
    """All of a return but its lines: state, outcome, label, fee, customer."""
    state = pick(rng, STATE_SHARES)
    outcome = rng.choices(("refund", "credit", "exchange", "exchange+refund"), weights=(60, 15, 15, 10))[0]
    fields: dict[str, Any] = {"state": state, "outcome": outcome, "shopper": number, "destination_id": rng.choice(list(DESTINATIONS))}
    if "exchange" in outcome:
        fields["exchanges"] = [_exchange(rng, number)]
    if rng.random() < 0.2:
        fields["handling_fee"] = 500
    if rng.random() < 0.85 and state != "cancelled":
        fields |= {"carrier": rng.choice(("USPS", "UPS")), "tracking_number": f"94001{number:017d}", "label_updated_at": moment + 20}
        fields["label_status"] = rng.choice(("new", "pre_transit", "in_transit", "delivered"))
    if state == "closed":
        fields |= {"closed_at": moment + 60, "processed_at": moment + 60, "was_processed": True}
    return fields


def populate(
    world: World,
    merchant: str,
    returns: int = 300,
    *,
    days: float = 30,
    malformed: int = 0,
    seed: int | None = None,
    is_silent: bool = True,
) -> Populated:
    """Fill an account with returns of the last `days`. Some orders have several; some returns share a second.

    `malformed` of them are spoiled, each in another way. Nothing is announced by webhook unless `is_silent` is False.
    """
    rng, account = random.Random(world.seed if seed is None else seed), world.loop(merchant)
    with world.lock:
        now, span = world.clock.seconds, int(days * 86_400)
        moments = sorted(now - 120 - rng.randrange(span) for _ in range(returns))
        order, made = 1000 + len(account), list[Return]()
        for number, moment in enumerate(moments, 1):
            order += rng.random() > 0.15 or number == 1
            if number > 1 and rng.random() < 0.05:
                moment = made[-1].created_at  # a tie, which the list's cursor may skip
            fields = make_fields(rng, number, moment)
            made.append(_make(account, rng, order, moment, fields, is_silent=is_silent))
        spoiled = made[:: max(1, len(made) // malformed)][:malformed] if malformed else []
        for place, item in enumerate(spoiled):
            line, wire = SPOILS[place % len(SPOILS)]
            account.corrupt(item.id, line, **wire)
    return Populated([item.id for item in made], [item.id for item in spoiled], dict(Counter(item.state for item in made)))


def _make(account: LoopAccount, rng: random.Random, order: int, moment: int, fields: dict[str, Any], *, is_silent: bool) -> Return:
    item = account.create(make_lines(rng, account.new_line_id), order_number=order, at=moment, is_silent=is_silent, **fields)
    return account.change(item, at=moment + rng.choice((2, 3, 60)))


def shop(
    world: World, merchant: str, returns: int = 10, *, label_after: timedelta = timedelta(seconds=20), seed: int | None = None
) -> list[int]:
    """Shoppers start returns now, with webhooks; each gets its label `label_after` later (quirk 10). Returns the ids."""
    with world.lock:
        account = world.loop(merchant)
        rng, made = random.Random(world.seed + 7 + len(account) if seed is None else seed), []
        for number in range(1, returns + 1):
            order = 1001 + len(account)
            item = account.create(make_lines(rng, account.new_line_id), order_number=order, shopper=order, destination_id=67_896)
            made.append(item.id)
            tracking = f"94002{order:017d}"
            world.clock.after(label_after * number / returns, partial(_late_label, account, item.id, tracking))
    return made


def _late_label(account: LoopAccount, return_id: int, tracking: str) -> None:
    account.set_tracking(return_id, tracking)


def bulk(world: World, merchant: str, returns: int = 100_000, *, days: float = 110, prototypes: int = 200) -> Bulk:
    """Very many returns at little cost, spread over the last `days`. One bulk an account."""
    with world.lock:
        account = world.loop(merchant)
        if account.bulk is not None:
            raise ValueError(f"{merchant} has a bulk already")
        rng, ids = random.Random(world.seed), iter(range(10**9))
        now = world.clock.seconds
        models = []
        for number in range(1, prototypes + 1):
            models.append(Return(number, number, now, now, make_lines(rng, lambda: next(ids)), **make_fields(rng, number, now)))
        first_id, first_line = account.reserve(returns, returns * 5)
        end = world.now - timedelta(seconds=120)
        account.bulk = Bulk(models, returns, end - timedelta(days=days), end, first_id, first_line)
        account.bulk.fill(account.by_created, account.by_updated)
        return account.bulk
