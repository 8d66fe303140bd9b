"""Ties: units that came under one RMA and, as a person has confirmed, belong to another return.

A tie names an RMA and a SKU, and no number: what no line of that RMA's own return takes is the other return's, as the newest receipt has
it. So a corrected receipt corrects both.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime

import msgspec

from backhaul.domain.matching import LineToMatch, count_units, match

Units = tuple[tuple[str, str, int], ...]  # SKU, condition, units


class Tied(msgspec.Struct, frozen=True, gc=False):
    """Units that a person has confirmed to be a return's, with the receipt that they came with."""

    rma_key: str
    units: Units
    is_terminal: bool
    received_at: datetime | None
    first_seen_at: datetime
    tied_at: datetime
    unknown: tuple[str, ...] = ()


def split(lines: Sequence[LineToMatch], units: Units, skus: Container[str]) -> tuple[Units, Units]:
    """What stays with an RMA's own return, and what of these SKUs no line of it takes.

    A blind parcel has no line, so that all of a SKU is left over.
    """
    left = {(one.sku, one.condition.value): one.units for one in match(lines, count_units(units), is_terminal=True).unexpected}
    away = tuple((sku, condition, number) for (sku, condition), number in left.items() if sku in skus)
    taken = {(sku, condition): number for sku, condition, number in away}
    kept = (
        (sku, condition.value, number - taken.get((sku, condition.value), 0))
        for sku, conditions in count_units(units).items()
        for condition, number in conditions.items()
    )
    return tuple(one for one in kept if one[2]), away
