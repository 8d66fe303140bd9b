"""Reading a time range of Loop's list without its cursor, and without losing a row. Pure: no I/O, no clock.

Loop's cursor orders by one non-unique second, so rows that tie at the edge of a page can be skipped (contracts/loop.md, section 4).
So the cursor is not followed. What a page proves is used instead:

| the page, where there is more       | what is known                       | asked next                                     |
|-------------------------------------|-------------------------------------|------------------------------------------------|
| ascends over several seconds        | all before its last second is here  | from its last second, inclusive, to the end    |
| descends over several seconds       | all after its last second is here   | from the start to the end of its last second   |
| is one second only                  | a second that fills a whole page    | that second unpaginated, then both its sides   |
| is neither                          | nothing                             | each half of the range                         |

Every ask is for less than the one before it, so reading ends; a server that does not keep to the range it was asked for
gets a StructuralError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from backhaul.errors import StructuralError

SECOND = timedelta(seconds=1)
LAST_OF_SECOND = timedelta(milliseconds=999)  # `to` is inclusive and sent in milliseconds
STALE_LIMIT = 64  # full pages in a row without a new row; halving 120 days down to a second takes 24


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: rows whose `updated_at` is from `start` to `end`, both inclusive. Unpaginated asks are one second long."""

    start: datetime
    end: datetime
    is_paginated: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """What paging needs of a record: its key, and its `updated_at` (None when unreadable)."""

    key: str
    updated_at: datetime | None


class Pager:
    """The asks that read `[start, end]` in full: `next()` gives one, `feed()` takes its answer, until `next()` is None."""

    def __init__(self, start: datetime, end: datetime) -> None:
        if end < start:
            raise ValueError("a range ends after it starts")
        self._pending: list[Ask] = [Ask(start, end)]  # a stack: the next ask is the last one
        self._seen: set[str] = set()
        self._stale = 0

    def next(self) -> Ask | None:
        """The next request to make, or None when the range is read."""
        return self._pending[-1] if self._pending else None

    def feed(self, rows: Sequence[Row], has_more: bool) -> None:
        """Take the answer to the ask that `next()` gave. Raises StructuralError when the server makes no progress possible."""
        ask = self._pending.pop()
        known = len(self._seen)
        self._seen.update(row.key for row in rows)
        if not has_more:
            return
        if not ask.is_paginated:
            raise StructuralError(f"Loop paged the single second {_shown(ask.start)} though it was asked for it whole")
        self._stale = self._stale + 1 if len(self._seen) == known else 0
        if self._stale > STALE_LIMIT:
            raise StructuralError(f"Loop keeps sending the same returns, last for {_shown(ask.start)} to {_shown(ask.end)}")
        self._pending.extend(reversed(_remaining(ask, rows)))


def _remaining(ask: Ask, rows: Sequence[Row]) -> list[Ask]:
    """What is still to be asked of a range after a page of it that was not all. Each is smaller than `ask`."""
    first, last = _floor(ask.start), _floor(ask.end)
    seconds = [second for row in rows if row.updated_at is not None and first <= (second := _floor(row.updated_at)) <= last]
    if not seconds:
        raise StructuralError(f"Loop says there is more from {_shown(ask.start)} to {_shown(ask.end)}, but sent no return of that time")
    if first == last or seconds.count(seconds[0]) == len(seconds):
        return _around(ask, seconds[0])
    steps = list(pairwise(seconds))
    if all(one <= two for one, two in steps):
        return [Ask(seconds[-1], ask.end)]  # later than the start, since the page rises within the range
    if all(one >= two for one, two in steps):
        return [Ask(ask.start, seconds[-1] + LAST_OF_SECOND)]
    middle = _floor(first + (last - first) / 2)
    return [Ask(ask.start, middle + LAST_OF_SECOND), Ask(middle + SECOND, ask.end)]


def _around(ask: Ask, second: datetime) -> list[Ask]:
    """One second, whole, and the two sides of it that the range has."""
    asks = [Ask(second, second + LAST_OF_SECOND, is_paginated=False)]
    if second + SECOND <= ask.end:
        asks.append(Ask(second + SECOND, ask.end))
    if ask.start < second:
        asks.append(Ask(ask.start, second - SECOND + LAST_OF_SECOND))
    return asks


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
