"""Announce: who gets an RMA, and what it says."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.domain.announce import LineToAnnounce, build_draft, draft_from_json, draft_hash, draft_json, needs_rma
from backhaul.domain.policy import Announce
from backhaul.domain.reasons import Reasons
from backhaul.domain.rma import RmaDraft, RmaLine
from backhaul.domain.words import LoopState

OPEN, REVIEW = LoopState.OPEN, LoopState.REVIEW
REASONS = Reasons({"Too small": "tooSmall", "Runs small": "tooSmall", "Broken": "damaged"})


def draft(*lines: tuple[str | None, str | None], tracking_number: str | None = None, ordinal: int = 1) -> RmaDraft:
    return build_draft("4812345", "#1001", "1001", ordinal, tracking_number, [LineToAnnounce(*line) for line in lines], REASONS)


@pytest.mark.parametrize("first", [OPEN, REVIEW])
@pytest.mark.parametrize("state", [OPEN, REVIEW])
def test_an_open_return_or_one_in_review_is_announced_as_soon_as_it_exists(first: LoopState, state: LoopState) -> None:
    assert needs_rma(first, state, "on_created", has_sku=True, tracking_number=None)


@pytest.mark.parametrize("ended", ["closed", "cancelled", "expired"])
def test_a_return_first_seen_ended_has_no_rma_even_if_it_opens_again(ended: str) -> None:
    assert not needs_rma(LoopState(ended), OPEN, "on_created", has_sku=True, tracking_number="1Z")


@pytest.mark.parametrize("ended", ["closed", "cancelled", "expired"])
def test_a_return_that_ended_meanwhile_is_not_announced(ended: str) -> None:
    assert not needs_rma(OPEN, LoopState(ended), "on_created", has_sku=True, tracking_number="1Z")


def test_a_return_without_any_sku_is_not_announced() -> None:
    assert not needs_rma(OPEN, OPEN, "on_created", has_sku=False, tracking_number="1Z")


@pytest.mark.parametrize(("tracking_number", "needs"), [(None, False), ("", False), ("1Z999", True)])
def test_on_label_waits_for_the_tracking_number(tracking_number: str | None, needs: bool) -> None:
    assert needs_rma(OPEN, OPEN, "on_label", has_sku=True, tracking_number=tracking_number) is needs


def test_off_announces_nothing() -> None:
    off: Announce = "off"
    assert not needs_rma(OPEN, OPEN, off, has_sku=True, tracking_number="1Z999")


def test_units_are_grouped_by_sku_and_mapped_reason() -> None:
    made = draft(("TEE", "Too small"), ("CAP", "Broken"), ("TEE", "Runs small"), ("TEE", "Broken"), (" TEE ", "Too small"))
    assert made.lines == (
        RmaLine("CAP", 1, "damaged", "Broken"),
        RmaLine("TEE", 1, "damaged", "Broken"),
        RmaLine("TEE", 3, "tooSmall", "Runs small; Too small"),
    )


def test_a_reason_that_is_not_mapped_is_other_and_keeps_its_words() -> None:
    assert draft(("TEE", " Arrived late "), ("TEE", None)).lines == (RmaLine("TEE", 2, "other", "Arrived late"),)


def test_lines_without_a_sku_are_left_out_of_the_rma() -> None:
    assert draft((None, "Broken"), ("", "Broken"), ("TEE", None)).lines == (RmaLine("TEE", 1, "other", None),)


def test_a_draft_keeps_what_the_caller_says_of_the_return() -> None:
    made = draft(("TEE", None), tracking_number="1Z999", ordinal=2)
    assert (made.return_id, made.order_name, made.order_number) == ("4812345", "#1001", "1001")
    assert (made.ordinal, made.tracking_number) == (2, "1Z999")
    assert draft(("TEE", None), tracking_number="").tracking_number is None


def test_a_change_of_units_reason_or_tracking_changes_the_hash() -> None:
    drafts = [
        draft(("TEE", "Broken")),
        draft(("TEE", "Broken"), ("TEE", "Broken")),
        draft(("TEE", "Too small")),
        draft(("TEE", "Broken"), tracking_number="1Z999"),
        dataclasses.replace(draft(("TEE", "Broken")), return_id="4812346"),
    ]
    assert len({draft_hash(made) for made in drafts}) == len(drafts)


def test_json_that_is_no_draft_is_refused() -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        draft_from_json("{}")


lines = st.lists(st.tuples(st.sampled_from(["TEE", "CAP", None, " "]), st.sampled_from(["Too small", "Runs small", "é", None])), max_size=8)


@given(lines, st.randoms(use_true_random=False))
def test_the_order_of_the_lines_changes_neither_the_draft_nor_its_hash(
    asked: list[tuple[str | None, str | None]], shuffler: random.Random
) -> None:
    shuffled = list(asked)
    shuffler.shuffle(shuffled)
    assert draft(*shuffled) == draft(*asked)
    assert draft_hash(draft(*shuffled)) == draft_hash(draft(*asked))


@given(lines)
def test_every_line_with_a_sku_is_one_unit_of_the_rma(asked: list[tuple[str | None, str | None]]) -> None:
    announced = Counter[str]()
    for line in draft(*asked).lines:
        announced[line.sku] += line.units
    assert announced == Counter(sku for sku, _ in asked if sku and sku.strip())


@given(lines, st.one_of(st.none(), st.text()))
def test_a_draft_comes_back_from_its_json_as_it_was(asked: list[tuple[str | None, str | None]], tracking_number: str | None) -> None:
    made = draft(*asked, tracking_number=tracking_number)
    assert draft_from_json(draft_json(made)) == made
