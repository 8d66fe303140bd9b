"""Guards: limits that a merchant sets to what goes out by itself. Pure: what was sent is counted by the caller, with the same clock.

A process or a flag is judged when it is about to be sent. The first guard that it is beyond holds it for a person:

| guard | holds | when |
|---|---|---|
| `value_of_one` | a process | its value is above the limit of its currency |
| `hold_first` | a process | fewer than so many processes of the merchant were sent before it |
| `processes_per_hour` | a process | so many went out within the last hour |
| `value_per_hour` | a process | with it, the value of the last hour's processes is above the limit of its currency |
| `flag_share_per_day` | a flag | with it, flags are a larger share of the day's flags and processes, of which there are at least 20 |

What went out is what may have had its effect: an attempt that is proven to have done nothing does not count. Flags that the guard holds
count as flags, so that a wave of them stays held. The value is the return's total. Money is exact and never summed over currencies. A
currency that a limit does not name has none; a process whose value or currency is not known is beyond every limit to values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from backhaul.domain.words import DeliveryKind, Guard

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEWEST_FOR_A_SHARE = 20  # of fewer, one flag more or less is no share


@dataclass(frozen=True, slots=True)
class Limits:
    """What a merchant has set; None, or no currency, sets no limit."""

    processes_per_hour: int | None = None
    value_per_hour: Mapping[str, Decimal] = field(default_factory=dict)
    flag_share_per_day: Decimal | None = None
    value_of_one: Mapping[str, Decimal] = field(default_factory=dict)
    hold_first: int = 0

    @property
    def of_processes(self) -> bool:
        """Whether any of them is about processes."""
        return bool(self.processes_per_hour is not None or self.value_per_hour or self.value_of_one or self.hold_first)


@dataclass(frozen=True, slots=True)
class Sent:
    """What went out: processes in an hour with their value by currency, processes ever (up to `hold_first`), flags and both in a day."""

    processes: int = 0
    value: Mapping[str, Decimal] = field(default_factory=dict)
    ever: int = 0
    flags: int = 0
    decisions: int = 0


@dataclass(frozen=True, slots=True)
class ToSend:
    """A process or a flag that is about to be sent, with the value of its return."""

    kind: DeliveryKind
    value: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Beyond:
    """The guard that holds something, and by how much it is beyond it."""

    guard: Guard
    why: str


def judge(one: ToSend, sent: Sent, limits: Limits) -> Beyond | None:
    """The first guard that this is beyond; None where it may go out."""
    if one.kind is DeliveryKind.LOOP_FLAG:
        return _judge_flag(sent, limits)
    if limits.value_of_one and (why := _beyond_value(one, Decimal(0), limits.value_of_one, "")):
        return Beyond(Guard.VALUE_OF_ONE, why)
    if sent.ever < limits.hold_first:
        return Beyond(Guard.HOLD_FIRST, f"{sent.ever} processes were sent so far; the first {limits.hold_first} are looked at")
    if limits.processes_per_hour is not None and sent.processes >= limits.processes_per_hour:
        return Beyond(
            Guard.PROCESSES_PER_HOUR, f"it would be process {sent.processes + 1} within an hour; the limit is {limits.processes_per_hour}"
        )
    before = sent.value.get(one.currency or "", Decimal(0))
    if limits.value_per_hour and (why := _beyond_value(one, before, limits.value_per_hour, " within an hour")):
        return Beyond(Guard.VALUE_PER_HOUR, why)
    return None


def _judge_flag(sent: Sent, limits: Limits) -> Beyond | None:
    share, flags, decisions = limits.flag_share_per_day, sent.flags + 1, sent.decisions + 1
    if share is None or decisions < FEWEST_FOR_A_SHARE or flags <= share * decisions:
        return None
    found = f"{Decimal(flags) / decisions:.2f}"
    return Beyond(
        Guard.FLAG_SHARE_PER_DAY, f"it would be flag {flags} of {decisions} decisions within a day, or {found}; the limit is {share}"
    )


def _beyond_value(one: ToSend, before: Decimal, limits: Mapping[str, Decimal], span: str) -> str | None:
    if one.value is None or one.currency is None:
        return "its value, or the currency of it, is not known"
    limit = limits.get(one.currency)
    if limit is None or before + one.value <= limit:
        return None
    return f"it would make {before + one.value} {one.currency}{span}, {before + one.value - limit} beyond the limit of {limit}"


def after(one: ToSend, sent: Sent) -> Sent:
    """What went out, once this has."""
    if one.kind is DeliveryKind.LOOP_FLAG:
        return replace(sent, flags=sent.flags + 1, decisions=sent.decisions + 1)
    value = dict(sent.value)
    if one.value is not None and one.currency is not None:
        value[one.currency] = value.get(one.currency, Decimal(0)) + one.value
    return replace(sent, processes=sent.processes + 1, value=value, ever=sent.ever + 1, decisions=sent.decisions + 1)
