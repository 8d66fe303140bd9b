"""What a warehouse can find in a parcel: named outcomes, and how counted units fall on announced lines (docs/vendors/masonhub.md Q3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Counts = dict[str, dict[str, int]]  # SKU -> inventory status -> units

OUTCOMES = {
    "all": "every unit, available",
    "damaged": "every unit, one of them damaged",
    "short": "one unit missing, without a word",
    "short_key": "one unit missing, counted under the key short",
    "empty": "an empty parcel",
    "over": "one unit more than announced",
    "unexpected": "every unit, and one of another SKU",
    "quality_control": "every unit, one of them still inspected",
    "unknown_status": "every unit, one of them under a key that nobody has heard of",
    "partial": "one unit counted so far, receiving goes on",
}
UNEXPECTED_SKU = "SOCK-GRY"
_ONE_UNIT = {"damaged": "damaged", "short_key": "short", "quality_control": "quality-control", "unknown_status": "awaiting-authentication"}


def outcome_units(outcome: str, expected: Sequence[tuple[str, int]]) -> Counts:
    """The units of a named outcome, for announced (SKU, units). Raises ValueError for a name that is not in `OUTCOMES`."""
    if outcome not in OUTCOMES:
        raise ValueError(f"unknown outcome {outcome!r}: one of {', '.join(OUTCOMES)}")
    if outcome == "empty":
        return {}
    counts: Counts = {}
    for sku, units in expected:
        counts.setdefault(sku, {"available": 0})["available"] += units
    first = expected[0][0]
    if outcome == "partial":
        return {first: {"available": 1}}
    if outcome == "over":
        counts[first]["available"] += 1
    elif outcome == "unexpected":
        counts[UNEXPECTED_SKU] = {"available": 1}
    elif outcome != "all":
        counts[first]["available"] -= 1
    if outcome in _ONE_UNIT:
        counts[first][_ONE_UNIT[outcome]] = 1
    return counts


def apportion(expected: Sequence[tuple[str, int]], counts: Mapping[str, Mapping[str, int]]) -> tuple[list[dict[str, int]], Counts]:
    """Spread counted units over the announced lines, in order; what a SKU has too many of stays on its last line.

    Returns one {status: units} for each line, and the SKUs that were not announced.
    """
    left = {sku: dict(graded) for sku, graded in counts.items()}
    last = {sku: index for index, (sku, _) in enumerate(expected)}
    lines: list[dict[str, int]] = []
    for index, (sku, units) in enumerate(expected):
        graded: dict[str, int] = {}
        for status, number in left.get(sku, {}).items():
            taken = number if index == last[sku] else min(number, units - sum(graded.values()))
            if taken > 0:
                graded[status] = taken
                left[sku][status] = number - taken
        lines.append(graded)
    return lines, {sku: dict(graded) for sku, graded in counts.items() if sku not in last and any(graded.values())}
