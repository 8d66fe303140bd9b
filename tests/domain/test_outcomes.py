"""What a processed return owes, and when it is a person's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from backhaul.domain.outcomes import Outcome, Processed, complaint, is_over, owed, undone
from backhaul.domain.words import LoopState

AT = datetime(2026, 3, 9, tzinfo=UTC)
CLOSED = Processed(
    loop_state=LoopState.CLOSED,
    currency="USD",
    refund=Decimal("12.5"),
    gift_card=Decimal("3"),
    exchange_total=Decimal("20"),
    exchange_units=2,
    out_of_stock_units=0,
    is_finished=False,
    refund_processed_at=None,
    shop_cash_processed_at=None,
    gift_card_processed_at=None,
    exchange_processed_at=None,
)
DONE = replace(CLOSED, refund_processed_at=AT, gift_card_processed_at=AT, exchange_processed_at=AT)


def test_a_return_owes_what_its_amounts_say() -> None:
    assert owed(CLOSED) == {Outcome.REFUND: Decimal("12.5"), Outcome.GIFT_CARD: Decimal(3), Outcome.EXCHANGE: Decimal(20)}
    nothing = replace(CLOSED, refund=Decimal(0), gift_card=None, exchange_total=Decimal(0), exchange_units=0)
    assert owed(nothing) == {} and is_over(nothing)
    assert owed(replace(nothing, exchange_units=1)) == {Outcome.EXCHANGE: Decimal(0)}  # an even exchange


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_is_undone_until_its_own_time_is_there(outcome: Outcome) -> None:
    left = replace(DONE, **{f"{outcome}_processed_at": None})
    assert list(undone(left)) == [outcome] and not is_over(left)
    assert undone(DONE) == {} and is_over(DONE)


def test_a_refund_in_the_shops_own_cash_is_one() -> None:
    assert is_over(replace(DONE, refund_processed_at=None, shop_cash_processed_at=AT))


def test_where_loop_dates_no_outcome_its_word_that_it_has_processed_counts() -> None:
    assert is_over(replace(CLOSED, is_finished=True))


@pytest.mark.parametrize("state", [LoopState.REVIEW, LoopState.OPEN])
def test_one_that_fell_back_is_wrong_at_once_and_one_that_is_late_only_then(state: LoopState) -> None:
    assert complaint(CLOSED, is_late=False) is None
    assert complaint(CLOSED, is_late=True) == "not done: refund 12.50 USD, gift card 3.00 USD, exchange 20.00 USD"
    assert (complaint(replace(DONE, loop_state=state), is_late=False) or "").startswith(f"after it was processed the return is {state}")


@pytest.mark.parametrize("state", [LoopState.CANCELLED, LoopState.EXPIRED])
def test_one_that_a_person_ended_is_followed_no_longer(state: LoopState) -> None:
    ended = replace(CLOSED, loop_state=state)
    assert is_over(ended) and complaint(ended, is_late=True) is None


def test_loops_own_cause_is_named() -> None:
    left = replace(DONE, exchange_processed_at=None, out_of_stock_units=1, said="No stock")
    assert complaint(left, is_late=True) == ("not done: exchange 20.00 USD; 1 of 2 units in exchange are out of stock; Loop said: No stock")
