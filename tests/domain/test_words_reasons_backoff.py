"""The small rules: vocabularies, the table of reasons, and the wait between attempts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.domain.backoff import LEASE, next_delay
from backhaul.domain.reasons import Reasons
from backhaul.domain.words import REMEDIES, Condition, ExceptionKind, LineOutcome


def test_every_exception_tells_an_operator_what_to_do_in_one_plain_sentence() -> None:
    assert set(REMEDIES) == set(ExceptionKind)
    for kind in ExceptionKind:
        assert kind.remedy[0].isupper()
        assert kind.remedy.endswith(".")
        assert ". " not in kind.remedy
        assert 30 < len(kind.remedy) < 160


def test_every_condition_is_also_what_can_become_of_a_line() -> None:
    assert {condition.value for condition in Condition} < {outcome.value for outcome in LineOutcome}


def test_a_reason_is_found_without_regard_to_case_or_the_spaces_around_it() -> None:
    reasons = Reasons({" Too Small": "tooSmall"})
    assert reasons.code("too small  ") == "tooSmall"
    assert reasons.is_mapped("TOO SMALL")


@pytest.mark.parametrize("reason", [None, "", "  ", "Too small for me", "small"])
def test_a_reason_that_is_empty_or_not_in_the_table_is_other(reason: str | None) -> None:
    reasons = Reasons({"Too small": "tooSmall"})
    assert reasons.code(reason) == "other"
    assert not reasons.is_mapped(reason)


def test_a_reason_that_is_mapped_to_other_on_purpose_is_mapped() -> None:
    assert Reasons({"Changed my mind": "other"}).is_mapped("Changed my mind")


def test_a_table_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Reasons({"Too small": "tooSmall", "too small ": "other"})
    assert Reasons({"Too small": "tooSmall", "too small ": "tooSmall"}).code("too small") == "tooSmall"


def test_delays_double_from_two_seconds_up_to_five_minutes() -> None:
    shortest = [next_delay(attempt, lambda: 0.0).total_seconds() for attempt in range(1, 10)]
    assert shortest == [2, 4, 8, 16, 32, 64, 128, 150, 150]
    assert next_delay(12, lambda: 1.0) == timedelta(minutes=5)
    assert timedelta(seconds=60) == LEASE


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_under_half_its_step_nor_over_five_minutes(attempt: int, chance: float) -> None:
    delay = next_delay(attempt, lambda: chance)
    assert next_delay(attempt, lambda: 0.0) <= delay <= 2 * next_delay(attempt, lambda: 0.0)
    assert timedelta(seconds=2) <= delay <= timedelta(minutes=5)


def test_workers_do_not_come_back_together() -> None:
    assert next_delay(3, lambda: 0.1) != next_delay(3, lambda: 0.9)


def test_a_vendor_that_asks_for_more_time_gets_it() -> None:
    assert next_delay(1, lambda: 0.5, retry_after=600) == timedelta(seconds=600)
    assert next_delay(5, lambda: 0.5, retry_after=1) == next_delay(5, lambda: 0.5)


def test_attempts_count_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        next_delay(0, lambda: 0.0)
