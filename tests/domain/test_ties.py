"""Units that a person has tied to another return: which they are, and what the return may be decided on."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.domain.facts import Line, ReturnFacts, Rma, Terms
from backhaul.domain.matching import LineToMatch, count_units, match
from backhaul.domain.plan import plan
from backhaul.domain.policy import Policy
from backhaul.domain.reasons import Reasons
from backhaul.domain.ties import Tied, split
from backhaul.domain.words import DecisionKind, LoopState, RmaStage
from tests.domain.strategies import SKUS, receipt_rows, return_lines

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TERMS = Terms(Policy(), Reasons({}), "live", must_close=False)


def decided(tied: Tied, rma: Rma | None = None) -> DecisionKind:
    facts: dict[str, Any] = {"return_id": "501", "warehouse": "masonhub", "loop_state": LoopState.OPEN, "first_state": LoopState.OPEN}
    facts |= {"order_name": "#1", "ordinal": 1, "tracking_number": None, "is_history": False, "first_seen_at": NOW}
    lines = (Line("1", "TEE", None), Line("2", "CAP", None))
    return plan(ReturnFacts(**facts, lines=lines, rma=rma, owed=(), standing=None, tied=(tied,)), TERMS, NOW).decision.kind


def parcel(*units: tuple[str, str, int], is_terminal: bool = True) -> Tied:
    return Tied("dc:1", units, is_terminal, NOW, NOW, NOW)


def test_an_rmas_own_lines_take_their_units_first_and_the_best_of_them() -> None:
    kept, away = split([LineToMatch("1", "TEE")], (("TEE", "damaged", 1), ("TEE", "available", 2)), {"TEE"})
    assert kept == (("TEE", "available", 1),)
    assert Counter(away) == Counter([("TEE", "available", 1), ("TEE", "damaged", 1)])


@given(return_lines(), receipt_rows, st.sets(st.sampled_from(SKUS)))
def test_no_unit_is_lost_or_counted_twice_and_no_line_goes_short(lines: list[LineToMatch], rows: list[Any], skus: set[str]) -> None:
    units = tuple((sku, condition.value, number) for sku, condition, number in rows)
    kept, away = split(lines, units, skus)
    assert count_units([*kept, *away]) == count_units(one for one in units if one[2])
    assert {sku for sku, _, _ in away} <= skus
    assert match(lines, count_units(kept), is_terminal=True).lines == match(lines, count_units(units), is_terminal=True).lines


@pytest.mark.parametrize("own", [None, Rma("masonhub", RmaStage.RECEIVED, "P", NOW, None, NOW, (("CAP", "available", 1),))])
def test_units_of_a_parcel_that_is_still_being_received_wait_for_its_end(own: Rma | None) -> None:
    units = (("TEE", "available", 1),) if own else (("TEE", "available", 1), ("CAP", "available", 1))
    assert decided(parcel(*units, is_terminal=False), own) is DecisionKind.WAIT
    assert decided(parcel(*units), own) is DecisionKind.PROCESS
