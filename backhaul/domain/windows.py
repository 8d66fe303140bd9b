"""Windows: the half-open time ranges that an API is asked for (docs/architecture.md, Extraction)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MAX_AHEAD = timedelta(hours=1)  # how far a vendor's clock may be ahead of ours; beyond, its times are taken for a mistake
_TICK = timedelta(seconds=1)  # Loop's times are whole seconds
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Window:
    """`[start, end)`, kept in UTC, so that adding days to it never meets a change of clocks.

    Raises ValueError when a bound has no zone, or the end is not after the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            bound: datetime = getattr(self, name)
            if bound.tzinfo is None:
                raise ValueError(f"the {name} of a window needs a zone: {bound.isoformat()}")
            object.__setattr__(self, name, bound.astimezone(UTC))
        if self.end <= self.start:
            raise ValueError(f"a window must end after it starts: {self.start.isoformat()} to {self.end.isoformat()}")

    def __str__(self) -> str:
        """For people: days where it has whole ones."""
        is_whole = all(bound.time().isoformat() == "00:00:00" for bound in (self.start, self.end))
        return " to ".join(bound.strftime("%Y-%m-%d" if is_whole else "%Y-%m-%dT%H:%M:%SZ") for bound in (self.start, self.end))


def split(start: datetime, end: datetime, max_span: timedelta) -> list[Window]:
    """Cut `[start, end)` into windows of at most `max_span`, in order, without gap or overlap.

    Raises ValueError when a bound has no zone, the end is not after the start, or `max_span` is not positive.
    """
    if max_span <= timedelta(0):
        raise ValueError(f"a window needs a positive span, not {max_span}")
    rest = Window(start, end)
    windows: list[Window] = []
    while rest.end - rest.start > max_span:
        windows.append(Window(rest.start, rest.start + max_span))
        rest = Window(rest.start + max_span, rest.end)
    return [*windows, rest]


def next_sync_window(watermark: datetime | None, now: datetime, first_sync_days: int, overlap: timedelta) -> Window:
    """The window that the next sync asks for: from `overlap` before the watermark, or `first_sync_days` back, until now.

    A watermark ahead of `now` means that the vendor's clock is: the window then ends just past it (at most MAX_AHEAD), and
    starts `overlap` before now, so that one wrong time from the vendor never hides what comes after.
    Raises ValueError when a time has no zone, or the overlap is negative.
    """
    if overlap < timedelta(0):
        raise ValueError(f"an overlap cannot be negative: {overlap}")
    if watermark is None:
        return Window(now - timedelta(days=first_sync_days), now)
    start = min(watermark, now) - overlap
    if watermark < now:
        return Window(start, now)
    return Window(start, min(watermark, now + MAX_AHEAD) + _TICK)


def parse_day_or_time(text: str) -> datetime:
    """A time that a person typed, in UTC: `2026-11-01` is that day's midnight in UTC, a time must carry its zone.

    Raises ValueError that says what was wrong and how to write it.
    """
    text = text.strip()
    how = "give a day (2026-11-01) or a time with its zone (2026-11-01T09:00:00Z, 2026-11-01T09:00:00+02:00)"
    try:
        parsed = datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            return parsed.replace(tzinfo=UTC)
        if parsed.tzinfo is not None:
            return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a date or a time; {how}") from None
    raise ValueError(f"{text!r} has no zone; {how}")


def parse_range(start: str, end: str, now: datetime) -> Window:
    """The range a person asked for with `--from` and `--to`; the end itself is left out.

    The end may be as late as the midnight (UTC) that ends today, and is then cut to `now`.
    Raises ValueError when a bound cannot be read, the range ends before it starts, or it reaches into the future.
    """
    first, last = parse_day_or_time(start), parse_day_or_time(end)
    if last <= first:
        raise ValueError(f"the range ends at {end}, which is not after its start, {start}; the end itself is left out, so give a later one")
    tonight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    for bound, text, latest in ((first, start, now), (last, end, tonight + _TICK)):
        if bound >= latest:
            raise ValueError(f"{text} lies in the future; it is {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} now")
    return Window(first, min(last, now))
