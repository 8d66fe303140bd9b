"""Business days, numbered: those between two dates are a subtraction, and a weekend or a holiday bears the number of the day before."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

SERVICE_STEPS = ("announce", "inspect", "decide", "refund")
"""The steps that a merchant may set a target for (`recon_service_levels`)."""

_SATURDAY = 5


def numbered(first: date, last: date, holidays: Collection[date]) -> list[tuple[str, int]]:
    """Each day from `first` to `last` as YYYY-MM-DD, with how many business days there were up to it, itself included."""
    found: list[tuple[str, int]] = []
    number, day = 0, first
    while day <= last:
        number += day.weekday() < _SATURDAY and day not in holidays
        found.append((day.isoformat(), number))
        day += timedelta(days=1)
    return found
