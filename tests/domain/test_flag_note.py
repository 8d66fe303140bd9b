"""The note that explains a flag to the person who opens the return in Loop."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.domain.matching import LineToMatch, count_units, match
from backhaul.domain.policy import Decision, Facts, Policy, decide, flag_note
from backhaul.domain.words import DecisionKind, LoopState

NOW = datetime(2026, 11, 20, tzinfo=UTC)
IMPATIENT = Policy(unexpected="flag", pending_hold_days=0)

Rows = list[tuple[str, str, int]]


def note(skus: list[str | None], rows: Rows) -> str:
    found = match([LineToMatch(str(number), sku) for number, sku in enumerate(skus)], count_units(rows), is_terminal=True)
    return flag_note(decide(Facts(LoopState.OPEN, found, False, True, None, NOW), IMPATIENT, NOW), found)


def test_a_note_names_the_units_and_skus_behind_every_reason() -> None:
    rows: Rows = [("TEE-NVY-M", "damaged", 1), ("MUG", "available", 1)]
    assert note(["TEE-NVY-M", "CAP-RED", "MUG"], rows) == (
        "Backhaul: 1 of 3 units damaged (TEE-NVY-M), 1 missing (CAP-RED). Please review."
    )


def test_a_note_tells_of_lines_without_a_sku_and_of_units_nobody_announced() -> None:
    assert note(["TEE", None], [("TEE", "available", 1), ("SOCK", "available", 2)]) == (
        "Backhaul: 1 of 2 units without a SKU, 2 units not announced (SOCK). Please review."
    )


def test_a_note_tells_of_an_inspection_that_takes_too_long() -> None:
    assert note(["TEE"], [("TEE", "pending", 1)]) == "Backhaul: 1 of 1 unit still being inspected (TEE). Please review."


def test_a_note_about_unexpected_units_alone_counts_them() -> None:
    assert note(["TEE"], [("TEE", "available", 2)]) == "Backhaul: 1 unit not announced (TEE). Please review."


def test_a_note_about_many_skus_names_a_few_and_counts_the_rest() -> None:
    assert note([f"S{number}" for number in range(7)], []) == ("Backhaul: 7 of 7 units missing (S0, S1, S2, S3 and 3 more). Please review.")


def test_a_note_that_would_be_too_long_names_fewer_skus() -> None:
    damaged, missing = [f"{number}" * 40 for number in range(4)], [f"{number}" * 60 for number in range(4, 8)]
    text = note([*damaged, *missing], [(sku, "damaged", 1) for sku in damaged])
    assert text == (
        f"Backhaul: 4 of 8 units damaged ({'0' * 40}, {'1' * 40} and 2 more), 4 missing ({'4' * 40}, {'5' * 40} and 2 more). Please review."
    )
    assert len(text) < 255


def test_a_note_with_no_room_for_any_sku_still_gives_every_reason() -> None:
    damaged, missing, strays = ([letter + f"{number}" * 60 for number in range(8)] for letter in "DMS")
    rows: Rows = [(sku, "damaged", 1) for sku in (*damaged, *strays)]
    assert note([*damaged, *missing, None], rows) == (
        "Backhaul: 8 of 17 units damaged, 8 missing, 1 without a SKU, 8 units not announced. Please review."
    )


def test_a_note_names_each_sku_once_on_one_line() -> None:
    assert note(["TEE\nNAVY", "TEE\nNAVY"], []) == "Backhaul: 2 of 2 units missing (TEE NAVY). Please review."


def test_a_note_explains_nothing_but_a_flag() -> None:
    with pytest.raises(ValueError, match="hold"):
        flag_note(Decision(DecisionKind.HOLD, ("pending",)), match([], {}, is_terminal=True))


sku = st.one_of(st.none(), st.text(min_size=1, max_size=300), st.sampled_from(["TEE", "CAP"]))
rows = st.lists(
    st.tuples(sku.map(lambda text: text or "MUG"), st.sampled_from(["available", "pending", "damaged"]), st.integers(1, 10**9)), max_size=12
)


@given(st.lists(sku, max_size=12), rows)
def test_a_note_is_never_too_long_for_loop_and_always_says_what_is_wrong(skus: list[str | None], received: Rows) -> None:
    found = match([LineToMatch(str(number), sku) for number, sku in enumerate(skus)], count_units(received), is_terminal=True)
    decision = decide(Facts(LoopState.OPEN, found, False, True, None, NOW), IMPATIENT, NOW)
    if decision.kind == DecisionKind.FLAG:
        text = flag_note(decision, found)
        assert len(text) < 255
        assert text.startswith("Backhaul: ")
        assert text.endswith(". Please review.")
        words = {"unverifiable": "without a SKU", "unexpected": "not announced", "inspection_overdue": "still being inspected"}
        assert all(words.get(reason, reason) in text for reason in decision.reasons)
        assert len(text.splitlines()) == 1
