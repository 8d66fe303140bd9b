"""What a processed return owes the customer, and what of it Loop has done. Pure: no I/O, no clock.

| outcome | owed when | done when |
|---|---|---|
| refund | `refund` is above zero | the refund has its time, or the shop's own cash has |
| gift_card | `gift_card` is above zero | it has its time |
| exchange | `exchange_total` is above zero, or units go out in exchange | it has its time |

All are done where Loop says `was_processed` and dates no outcome by itself, as its older versions do (docs/vendors/loop.md, 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from backhaul.domain.words import LoopState


class Outcome(StrEnum):
    """What a customer gets for a return."""

    REFUND = "refund"
    GIFT_CARD = "gift_card"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Processed:
    """A return that we processed, as Loop shows it now. Money is in `currency`; `said` is why Loop says that processing failed."""

    loop_state: LoopState
    currency: str | None
    refund: Decimal | None
    gift_card: Decimal | None
    exchange_total: Decimal | None
    exchange_units: int | None
    out_of_stock_units: int | None
    is_finished: bool
    refund_processed_at: datetime | None
    shop_cash_processed_at: datetime | None
    gift_card_processed_at: datetime | None
    exchange_processed_at: datetime | None
    said: str | None = None


def owed(shown: Processed) -> dict[Outcome, Decimal | None]:
    """The outcomes that a return owes, each with its money."""
    found: dict[Outcome, Decimal | None] = {}
    if shown.refund is not None and shown.refund > 0:
        found[Outcome.REFUND] = shown.refund
    if shown.gift_card is not None and shown.gift_card > 0:
        found[Outcome.GIFT_CARD] = shown.gift_card
    if (shown.exchange_total is not None and shown.exchange_total > 0) or shown.exchange_units:
        found[Outcome.EXCHANGE] = shown.exchange_total
    return found


def undone(shown: Processed) -> dict[Outcome, Decimal | None]:
    """Those of them that Loop has not done."""
    if shown.is_finished:
        return {}
    done = {
        Outcome.REFUND: shown.refund_processed_at or shown.shop_cash_processed_at,
        Outcome.GIFT_CARD: shown.gift_card_processed_at,
        Outcome.EXCHANGE: shown.exchange_processed_at,
    }
    return {outcome: money for outcome, money in owed(shown).items() if done[outcome] is None}


def is_over(shown: Processed) -> bool:
    """Whether there is nothing left to follow: all is done, or a person has ended the return."""
    if shown.loop_state in (LoopState.CANCELLED, LoopState.EXPIRED):
        return True
    return shown.loop_state is LoopState.CLOSED and not undone(shown)


def complaint(shown: Processed, *, is_late: bool) -> str | None:
    """What is wrong with a processed return, in words; None while all is well.

    One that is back in review or open is wrong at once; an outcome that is not done only once it `is_late`, since its time lags by hours.
    """
    left = undone(shown)
    is_back = shown.loop_state in (LoopState.REVIEW, LoopState.OPEN)
    if is_over(shown) or not (is_back or is_late):
        return None
    parts = [f"after it was processed the return is {shown.loop_state} in Loop"] if is_back else []
    parts += [f"not done: {', '.join(_named(outcome, money, shown.currency) for outcome, money in left.items())}"] if left else []
    if Outcome.EXCHANGE in left and shown.out_of_stock_units:
        parts.append(f"{shown.out_of_stock_units} of {shown.exchange_units} units in exchange are out of stock")
    if shown.said:
        parts.append(f"Loop said: {shown.said}")
    return "; ".join(parts)


def _named(outcome: Outcome, money: Decimal | None, currency: str | None) -> str:
    amount = "" if money is None else f" {money:.2f} {currency or ''}".rstrip()
    return f"{outcome.replace('_', ' ')}{amount}"
