"""What was asked of the sandbox and what it did: calls with their parameters, writes with their bodies, effects per record."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

KEPT_CALLS = 20_000  # older calls are still counted, but their parameters are forgotten


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One HTTP call. `status` is None when the connection was dropped; `fault` is the kind of fault that struck it."""

    at: datetime
    merchant: str
    operation: str
    method: str
    path: str
    params: dict[str, str]
    body: Any
    status: int | None
    fault: str | None
    is_write: bool
    version: str | None


class Journal:
    """Counters and logs of one world. An effect is something that really happened, such as `loop.process` being accepted."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._effects: Counter[tuple[str, str, str]] = Counter()
        self._calls: deque[CallRecord] = deque(maxlen=KEPT_CALLS)
        self._writes: list[CallRecord] = []

    def record(self, call: CallRecord) -> None:
        """Note one call."""
        self._counts[call.merchant, call.operation] += 1
        self._calls.append(call)
        if call.is_write:
            self._writes.append(call)

    def effect(self, merchant: str, name: str, key: str) -> None:
        """Note that something happened to one record."""
        self._effects[merchant, name, key] += 1

    def count(self, operation: str | None = None, merchant: str | None = None) -> int:
        """How many calls there were, of one operation and merchant, or of all."""
        return sum(number for (whose, what), number in self._counts.items() if merchant in (None, whose) and operation in (None, what))

    def counts(self) -> dict[str, dict[str, int]]:
        """Calls by merchant, then by operation."""
        found: dict[str, dict[str, int]] = {}
        for (merchant, operation), number in sorted(self._counts.items()):
            found.setdefault(merchant, {})[operation] = number
        return found

    def calls(self, operation: str | None = None, merchant: str | None = None) -> list[CallRecord]:
        """The calls themselves, oldest first (the last 20,000)."""
        return [call for call in list(self._calls) if merchant in (None, call.merchant) and operation in (None, call.operation)]

    def writes(self, operation: str | None = None, merchant: str | None = None) -> list[CallRecord]:
        """Every write with its decoded body, oldest first, whether or not it had an effect."""
        return [call for call in list(self._writes) if merchant in (None, call.merchant) and operation in (None, call.operation)]

    def effects(self, merchant: str, name: str, key: str | int | None = None) -> int:
        """How often an effect happened to one record, or to all of them."""
        if key is not None:
            return self._effects[merchant, name, str(key)]
        return sum(number for (whose, what, _), number in self._effects.items() if (whose, what) == (merchant, name))

    def effect_table(self) -> dict[str, dict[str, dict[str, int]]]:
        """Effects by merchant, then by name, then by record."""
        found: dict[str, dict[str, dict[str, int]]] = {}
        for (merchant, name, key), number in sorted(self._effects.items()):
            found.setdefault(merchant, {}).setdefault(name, {})[key] = number
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._counts.clear()
        self._effects.clear()
        self._calls.clear()
        self._writes.clear()
