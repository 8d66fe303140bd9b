"""Amounts, times and counts as a person reads them. Pure; `now` is a parameter."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}  # a sign that several currencies share stands for none of the others
_CENT = Decimal("0.01")
_STEPS = ((86_400 * 365, "y"), (86_400, "d"), (3600, "h"), (60, "min"))


def money(amount: Decimal | None, currency: str | None) -> str:
    """`$178.00`, `178.00 CAD`; without a currency the amount alone, without an amount nothing."""
    if amount is None:
        return ""
    cents = amount.quantize(_CENT)
    text = f"{abs(cents if cents == amount else amount.normalize()):,f}"
    minus = "-" if amount < 0 else ""
    sign = _SIGNS.get(currency or "")
    return f"{minus}{sign}{text}" if sign else f"{minus}{text} {currency or ''}".rstrip()


def day(moment: datetime, now: datetime) -> str:
    """`24 Nov`; with the year when it is another than now's."""
    return f"{moment.day} {moment:%b}" + ("" if moment.year == now.year else f" {moment.year}")


def ago(moment: datetime, now: datetime) -> str:
    """`2 h ago`, `in 3 d`, `just now`."""
    seconds = (now - moment).total_seconds()
    for length, unit in _STEPS:
        if abs(seconds) >= length:
            number = int(abs(seconds) // length)
            return f"{number} {unit} ago" if seconds > 0 else f"in {number} {unit}"
    return "just now"


def units(count: int) -> str:
    """`1 unit`, `2 units`."""
    return plural(count, "unit")


def plural(count: int, noun: str) -> str:
    """`1 return`, `2,000 returns`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def joined(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
