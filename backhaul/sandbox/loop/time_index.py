"""Returns by one timestamp and state, so that a list of a million stays fast."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

STATES = ("open", "closed", "cancelled", "expired", "review")


def time_key(moment: int, return_id: int) -> int:
    """One sortable number: seconds since 1970, then the id."""
    return moment << 32 | return_id


class TimeIndex:
    """Returns by one timestamp, a sorted array for each state: slices and inserts stay fast with a million."""

    def __init__(self) -> None:
        self._keys = {state: array("q") for state in STATES}

    def add(self, state: str, moment: int, return_id: int) -> None:
        """Insert one return."""
        keys, key = self._keys[state], time_key(moment, return_id)
        if not keys or key > keys[-1]:
            keys.append(key)
        else:
            insort(keys, key)

    def remove(self, state: str, moment: int, return_id: int) -> None:
        """Take one return out."""
        keys, key = self._keys[state], time_key(moment, return_id)
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            del keys[at]

    def extend(self, state: str, keys: Iterable[int]) -> None:
        """Insert many at once; `keys` are (second << 32 | return id)."""
        merged = sorted([*self._keys[state], *keys])
        self._keys[state] = array("q", merged)

    def between(self, states: Iterable[str], start: int, end: int, limit: int | None, *, is_descending: bool) -> list[int]:
        """Ids with start <= second <= end, in order of (second, id), at most `limit` of them."""
        found: list[int] = []
        for state in states:
            keys = self._keys[state]
            low, high = bisect_left(keys, start << 32), bisect_right(keys, (end + 1 << 32) - 1)
            if limit is not None:
                low, high = (max(low, high - limit), high) if is_descending else (low, min(high, low + limit))
            found += keys[low:high]
        found.sort(reverse=is_descending)
        return [key & 0xFFFFFFFF for key in found[:limit]]

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._keys.values())

    def count(self, state: str) -> int:
        """How many returns are in a state."""
        return len(self._keys[state])
