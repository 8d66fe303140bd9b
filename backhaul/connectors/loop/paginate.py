"""Reading a time range of Loop's list without its cursor, and without losing a row. Pure: no I/O, no clock.

Loop's cursor orders by one non-unique second, so rows that tie at the edge of a page can be skipped (docs/vendors/loop.md, 4).
So the cursor is not followed. What a page proves is used instead:

| the page, where there is more       | what is known                       | asked next                                     |
|-------------------------------------|-------------------------------------|------------------------------------------------|
| ascends over several seconds        | all before its last second is here  | from its last second, inclusive, to the end    |
| descends over several seconds       | all after its last second is here   | from the start to the end of its last second   |
| is one second only                  | a second that fills a whole page    | that second unpaginated, then both its sides   |
| is neither                          | nothing                             | each half of the range                         |

Rows in no order can look ordered by chance, a few of them at least. Until the pages seen make that less likely than one in
ten thousand (8 different seconds do), the part that a page is taken to have shown in full is asked for as well.

Every ask is for less than the one before it, so reading ends; a server that does not keep to the range it was asked for
gets a StructuralError.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import pairwise
from math import lgamma, log

from backhaul.errors import StructuralError

SECOND = timedelta(seconds=1)
LAST_OF_SECOND = timedelta(milliseconds=999)  # `to` is inclusive and sent in milliseconds
CERTAIN = log(10_000)  # one in ten thousand, as a logarithm
ASKS_LIMIT = 10_000  # of one range: 7.5 million returns, where the largest page has 750
ASKS_WITHOUT_ROWS = 200  # beyond these, each ask must have brought `ROWS_AN_ASK` new rows on average
ROWS_AN_ASK = 5
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


class Order(Enum):
    """How a page of several seconds is sorted."""

    ASCENDING = "ascending"
    DESCENDING = "descending"
    NONE = "none"


class Pager:
    """The asks that read `[start, end]` in full: `next()` gives one, `feed()` takes its answer, until `next()` is None."""

    def __init__(self, start: datetime, end: datetime) -> None:
        if end < start:
            raise ValueError("a range ends after it starts")
        self._pending: list[Ask] = [Ask(start, end)]  # a stack: the next ask is the last one
        self._seen: set[str] = set()
        self._asks = self._stale = 0
        self._order: Order | None = None  # of all pages so far
        self._evidence = 0.0  # that the order is no accident: a logarithm of the odds

    def next(self) -> Ask | None:
        """The next request to make, or None when the range is read."""
        return self._pending[-1] if self._pending else None

    def feed(self, rows: Sequence[Row], has_more: bool) -> None:
        """Take the answer to the ask that `next()` gave. Raises StructuralError when the server makes no progress possible."""
        ask = self._pending.pop()
        self._asks += 1
        fresh = [row for row in rows if row.key not in self._seen]
        self._seen.update(row.key for row in fresh)
        if not has_more:
            return
        if not ask.is_paginated:
            raise StructuralError(f"Loop paged the single second {_shown(ask.start)} though it was asked for it whole")
        self._stale = 0 if fresh else self._stale + 1
        if self._stale > STALE_LIMIT:
            raise StructuralError(f"Loop keeps sending the same returns, last for {_shown(ask.start)} to {_shown(ask.end)}")
        if self._asks > min(ASKS_LIMIT, ASKS_WITHOUT_ROWS + len(self._seen) / ROWS_AN_ASK):
            shown = f"{self._asks} pages with {len(self._seen)} returns, and says that there is more, last for {_shown(ask.start)}"
            raise StructuralError(f"Loop pages without end: it has sent {shown}; ask for a shorter range, or tell Loop")
        self._pending.extend(reversed(self._remaining(ask, rows, fresh)))

    def _remaining(self, ask: Ask, rows: Sequence[Row], fresh: Sequence[Row]) -> list[Ask]:
        """What is still to be asked of a range after a page of it that was not all. Each is smaller than `ask`."""
        first, last = _floor(ask.start), _floor(ask.end)
        seconds = _seconds(rows, first, last)
        if not seconds:
            raise StructuralError(f"Loop says there is more from {_shown(ask.start)} to {_shown(ask.end)}, but sent no return of that time")
        if first == last or min(seconds) == max(seconds):
            return _around(ask, seconds[0])
        self._learn(seconds, _seconds(fresh, first, last))
        shown, rest = _split(ask, self._order, seconds[-1])
        return [rest] if self._evidence >= CERTAIN else [shown, rest]

    def _learn(self, seconds: Sequence[datetime], fresh: Sequence[datetime]) -> None:
        """Add a page to the evidence for one order; a page in another order ends all trust in any. Rows seen before prove nothing more."""
        order = _order(seconds)
        if self._order is None:
            self._order, self._evidence = order, -log(2)  # either direction would have looked like order
        elif order is not self._order:
            self._order = Order.NONE
        if self._order is Order.NONE:
            self._evidence = float("-inf")
        self._evidence += lgamma(len(fresh) + 1) - sum(lgamma(ties + 1) for ties in Counter(fresh).values())


def _seconds(rows: Sequence[Row], first: datetime, last: datetime) -> list[datetime]:
    """The seconds of those rows that lie inside the range, in the page's order."""
    return [second for row in rows if row.updated_at is not None and first <= (second := _floor(row.updated_at)) <= last]


def _order(seconds: Sequence[datetime]) -> Order:
    steps = list(pairwise(seconds))
    if all(one <= two for one, two in steps):
        return Order.ASCENDING
    return Order.DESCENDING if all(one >= two for one, two in steps) else Order.NONE


def _split(ask: Ask, order: Order | None, edge: datetime) -> tuple[Ask, Ask]:
    """A range in two: what the page has shown if the order holds, and the rest. `edge` is the page's last second."""
    if order is Order.ASCENDING and edge > _floor(ask.start):
        return Ask(ask.start, edge - SECOND + LAST_OF_SECOND), Ask(edge, ask.end)
    if order is Order.DESCENDING and edge < _floor(ask.end):
        return Ask(edge + SECOND, ask.end), Ask(ask.start, edge + LAST_OF_SECOND)
    first = _floor(ask.start)
    middle = _floor(first + (_floor(ask.end) - first) / 2)
    return Ask(ask.start, middle + LAST_OF_SECOND), Ask(middle + SECOND, ask.end)


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
