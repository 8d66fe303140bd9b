"""Matching: which received unit belongs to which return line (docs/architecture.md, Decisions).

SKUs are compared exactly once the spaces around them are stripped: Loop and the warehouse share them, so a difference in case is
a different product. A blank SKU is no SKU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from backhaul.domain.words import Condition, LineOutcome, UnexpectedKind

_OUTCOMES = {condition: LineOutcome(condition.value) for condition in Condition}
_NONE_YET = dict.fromkeys(LineOutcome, 0)


class LineToMatch(msgspec.Struct, frozen=True, gc=False):
    """One return line, which is one expected unit. A line without a SKU cannot be verified."""

    line_item_id: str
    sku: str | None


class MatchedLine(msgspec.Struct, frozen=True, gc=False):
    """A return line and what became of it. `sku` is stripped."""

    line_item_id: str
    sku: str | None
    outcome: LineOutcome


class UnexpectedUnits(msgspec.Struct, frozen=True, gc=False):
    """Received units that belong to no line, by SKU and condition. `units` is at least 1."""

    sku: str
    condition: Condition
    kind: UnexpectedKind
    units: int


class Match(msgspec.Struct, frozen=True, gc=False):
    """The whole match, counted in units. The six outcomes add up to `expected`.

    `lines` stand in `line_item_id` order, `unexpected` by SKU, then by condition as units are assigned.
    """

    lines: tuple[MatchedLine, ...]
    unexpected: tuple[UnexpectedUnits, ...]
    expected: int
    available: int
    damaged: int
    pending: int
    missing: int
    awaited: int
    unverifiable: int
    unexpected_units: int


def clean_sku(sku: str | None) -> str | None:
    """The SKU without the spaces around it; None when nothing is left."""
    return (sku or "").strip() or None


def line_order(line_item_id: str) -> tuple[bool, int, str, str]:
    """Sort key of lines: numeric ids first, by value, then all others as text."""
    if line_item_id.isascii() and line_item_id.isdigit():
        digits = line_item_id.lstrip("0")
        return False, len(digits), digits, line_item_id
    return True, 0, "", line_item_id


def count_units(rows: Iterable[tuple[str, str, int]]) -> dict[str, dict[Condition, int]]:
    """Add receipt lines (SKU, condition, units) up to units by SKU and condition, in whatever order they come.

    Raises ValueError when a condition is not one of ours, or units are negative.
    """
    units: dict[str, dict[Condition, int]] = {}
    for sku, condition, count in rows:
        if count < 0:
            raise ValueError(f"SKU {sku!r} has {count} units; a receipt line cannot be negative")
        known = Condition(condition)
        if count:
            by_condition = units.setdefault(sku.strip(), {})
            by_condition[known] = by_condition.get(known, 0) + count
    return units


def match(lines: Sequence[LineToMatch], units: Mapping[str, Mapping[Condition, int]], is_terminal: bool) -> Match:
    """Tie received units to return lines.

    Per SKU, units are assigned in `line_item_id` order: available first, then pending, then damaged. A line left over is missing once
    the RMA is terminal, else awaited; one without a SKU is unverifiable. A unit left over is `over` when its SKU is on the return,
    else `unexpected`. The order of `lines` and of `units` makes no difference. `line_item_id` is unique.

    Raises ValueError when a condition is not one of ours, or units are negative.
    """
    left = count_units((sku, condition, count) for sku, conditions in units.items() for condition, count in conditions.items())
    unmet = LineOutcome.MISSING if is_terminal else LineOutcome.AWAITED
    matched: list[MatchedLine] = []
    counts = _NONE_YET.copy()
    for line in lines if len(lines) == 1 else sorted(lines, key=lambda line: line_order(line.line_item_id)):
        sku = clean_sku(line.sku)
        outcome = LineOutcome.UNVERIFIABLE if sku is None else _take(left.get(sku), unmet)
        counts[outcome] += 1
        matched.append(MatchedLine(line.line_item_id, sku, outcome))
    unexpected = _left_over(left, {line.sku for line in matched}) if left else ()
    return Match(
        lines=tuple(matched),
        unexpected=unexpected,
        expected=len(matched),
        available=counts[LineOutcome.AVAILABLE],
        damaged=counts[LineOutcome.DAMAGED],
        pending=counts[LineOutcome.PENDING],
        missing=counts[LineOutcome.MISSING],
        awaited=counts[LineOutcome.AWAITED],
        unverifiable=counts[LineOutcome.UNVERIFIABLE],
        unexpected_units=sum(group.units for group in unexpected),
    )


def _take(units: dict[Condition, int] | None, unmet: LineOutcome) -> LineOutcome:
    """Take the best unit there is of a SKU."""
    if units:
        for condition, outcome in _OUTCOMES.items():
            if units.get(condition, 0):
                units[condition] -= 1
                return outcome
    return unmet


def _left_over(left: dict[str, dict[Condition, int]], expected_skus: set[str | None]) -> tuple[UnexpectedUnits, ...]:
    return tuple(
        UnexpectedUnits(sku, condition, UnexpectedKind.OVER if sku in expected_skus else UnexpectedKind.UNEXPECTED, left[sku][condition])
        for sku in sorted(left)
        for condition in Condition
        if left[sku].get(condition, 0)
    )
