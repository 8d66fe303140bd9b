"""Matching: every line gets one outcome, every unit is counted once."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.domain.matching import LineToMatch, Match, UnexpectedUnits, clean_sku, count_units, line_order, match
from backhaul.domain.words import Condition, LineOutcome, UnexpectedKind
from tests.domain.strategies import SKUS, STRAY_SKU, receipt_rows, return_lines

A, P, D = Condition.AVAILABLE, Condition.PENDING, Condition.DAMAGED


def outcomes(found: Match) -> list[tuple[str, str]]:
    return [(line.line_item_id, line.outcome.value) for line in found.lines]


def lines(*pairs: tuple[str, str | None]) -> list[LineToMatch]:
    return [LineToMatch(line_item_id, sku) for line_item_id, sku in pairs]


def test_units_are_assigned_available_then_pending_then_damaged_in_numeric_line_order() -> None:
    found = match(lines(("1000", "TEE"), ("9", "TEE"), ("20", "TEE")), {"TEE": {D: 1, P: 1, A: 1}}, is_terminal=True)
    assert outcomes(found) == [("9", "available"), ("20", "pending"), ("1000", "damaged")]


def test_ids_that_are_not_numbers_come_after_those_that_are() -> None:
    assert sorted(["b", "10", "a1", "9", "٣"], key=line_order) == ["9", "10", "a1", "b", "٣"]


def test_a_line_left_over_is_missing_once_the_rma_is_terminal() -> None:
    found = match(lines(("1", "TEE"), ("2", "TEE")), {"TEE": {A: 1}}, is_terminal=True)
    assert outcomes(found) == [("1", "available"), ("2", "missing")]
    assert (found.missing, found.awaited) == (1, 0)


def test_a_line_left_over_is_awaited_while_the_rma_is_being_received() -> None:
    found = match(lines(("1", "TEE"), ("2", "TEE")), {"TEE": {A: 1}}, is_terminal=False)
    assert outcomes(found) == [("1", "available"), ("2", "awaited")]
    assert (found.missing, found.awaited) == (0, 1)


def test_a_line_without_a_sku_is_unverifiable_and_takes_no_unit() -> None:
    found = match(lines(("1", None), ("2", "  ")), {"": {A: 1}}, is_terminal=True)
    assert outcomes(found) == [("1", "unverifiable"), ("2", "unverifiable")]
    assert found.unexpected == (UnexpectedUnits("", A, UnexpectedKind.UNEXPECTED, 1),)


def test_more_units_than_lines_are_over_with_the_condition_that_is_left() -> None:
    found = match(lines(("1", "TEE")), {"TEE": {A: 1, D: 2, P: 1}}, is_terminal=True)
    assert outcomes(found) == [("1", "available")]
    assert found.unexpected == (UnexpectedUnits("TEE", P, UnexpectedKind.OVER, 1), UnexpectedUnits("TEE", D, UnexpectedKind.OVER, 2))
    assert found.unexpected_units == 3


def test_a_sku_that_is_not_on_the_return_is_unexpected_and_counted_nowhere_else() -> None:
    found = match(lines(("1", "TEE")), {"MUG": {A: 2}}, is_terminal=True)
    assert found.unexpected == (UnexpectedUnits("MUG", A, UnexpectedKind.UNEXPECTED, 2),)
    assert (found.available, found.missing, found.unexpected_units) == (0, 1, 2)


def test_skus_are_the_same_without_the_spaces_around_them_but_not_in_another_case() -> None:
    found = match(lines(("1", " TEE"), ("2", "cap")), {"TEE ": {A: 1}, "CAP": {A: 1}}, is_terminal=True)
    assert outcomes(found) == [("1", "available"), ("2", "missing")]
    assert [line.sku for line in found.lines] == ["TEE", "cap"]
    assert clean_sku(" \t") is None


def test_a_condition_that_is_not_ours_is_refused_not_guessed() -> None:
    with pytest.raises(ValueError, match="qc"):
        match(lines(("1", "TEE")), {"TEE": {"qc": 1}}, is_terminal=True)  # type: ignore[dict-item]


def test_negative_units_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        count_units([("TEE", "available", -1)])


def test_receipt_lines_of_the_same_sku_and_condition_add_up() -> None:
    assert count_units([("TEE", "available", 1), ("TEE ", "available", 2), ("TEE", "damaged", 1), ("CAP", "pending", 0)]) == {
        "TEE": {A: 3, D: 1}
    }


def test_matching_leaves_the_receipt_it_was_given_as_it_was() -> None:
    units = {"TEE": {A: 2}}
    match(lines(("1", "TEE")), units, is_terminal=True)
    assert units == {"TEE": {A: 2}}


@given(return_lines(), receipt_rows, st.booleans())
def test_no_unit_is_counted_twice_or_lost(asked: list[LineToMatch], rows: list[tuple[str, Condition, int]], is_terminal: bool) -> None:
    received = Counter[tuple[str, str]]()
    for sku, condition, units in rows:
        received[sku, condition.value] += units
    found = match(asked, count_units(rows), is_terminal)
    told = Counter[tuple[str, str]]()
    for line in found.lines:
        if line.outcome.value in set(Condition):
            told[str(line.sku), line.outcome.value] += 1
    for group in found.unexpected:
        told[group.sku, group.condition.value] += group.units
    assert +told == +received
    assert found.available + found.pending + found.damaged + found.unexpected_units == sum(received.values())


@given(return_lines(), receipt_rows, st.booleans())
def test_the_outcomes_of_the_lines_add_up_to_the_units_expected(
    asked: list[LineToMatch], rows: list[tuple[str, Condition, int]], is_terminal: bool
) -> None:
    found = match(asked, count_units(rows), is_terminal)
    assert sorted(line.line_item_id for line in found.lines) == sorted(line.line_item_id for line in asked)
    assert found.expected == len(asked)
    for outcome in LineOutcome:
        assert getattr(found, outcome.value) == sum(line.outcome == outcome for line in found.lines)
    assert found.available + found.pending + found.damaged + found.missing + found.awaited + found.unverifiable == found.expected


@given(return_lines(), receipt_rows, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_lines_and_of_receipt_lines_makes_no_difference(
    asked: list[LineToMatch], rows: list[tuple[str, Condition, int]], is_terminal: bool, shuffler: random.Random
) -> None:
    found = match(asked, count_units(rows), is_terminal)
    other_lines, other_rows = list(asked), list(rows)
    shuffler.shuffle(other_lines)
    shuffler.shuffle(other_rows)
    assert match(other_lines, count_units(other_rows), is_terminal) == found


@given(return_lines(), receipt_rows)
def test_over_is_said_only_of_skus_on_the_return_and_only_when_none_of_its_lines_is_left(
    asked: list[LineToMatch], rows: list[tuple[str, Condition, int]]
) -> None:
    found = match(asked, count_units(rows), is_terminal=True)
    on_return = {line.sku for line in asked}
    for group in found.unexpected:
        assert (group.kind == UnexpectedKind.OVER) == (group.sku in on_return)
        assert group.sku in (*SKUS, STRAY_SKU)
        assert not [line for line in found.lines if line.sku == group.sku and line.outcome == LineOutcome.MISSING]
