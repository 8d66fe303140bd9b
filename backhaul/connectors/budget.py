"""The call budget of one vendor key: a strict sliding window, shared by everyone in the process who uses the key.

Where a `Ledger` is kept outside the process (store/budgets.py), it is shared by all processes and machines on it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

Tell = Callable[[float], None]  # seconds that are going to be waited

WINDOW = 60.0  # seconds; vendors document limits a minute, and a sliding window is safe for fixed windows too


class Budget:
    """At most `calls` calls in any 60 seconds. Thread-safe. `clock` and `sleep` are in seconds."""

    def __init__(self, calls: int, *, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> None:
        if calls < 1:
            raise ValueError("a budget is at least one call a minute")
        self._made: deque[float] = deque(maxlen=calls)
        self.calls = calls
        self._paused_until = 0.0
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()

    def spend(self, patience: float | None = None, tell: Tell = lambda _: None) -> float:
        """Take one call, waiting for it as long as need be. Returns 0. `tell` hears of each wait before it begins.

        With `patience`, a wait known to be longer than that is not begun: nothing is spent, and the seconds to wait are returned.
        """
        waited = 0.0
        while wait := self._take():
            if patience is not None and waited + wait > patience:
                return wait
            tell(wait)
            self._sleep(wait)
            waited += wait
        return 0.0

    def _take(self) -> float:
        """Take one call and return 0, or take nothing and return the seconds until one is free."""
        with self._lock:
            now = self._clock()
            free_at = self._made[0] + WINDOW if len(self._made) == self.calls else now
            wait = max(free_at, self._paused_until) - now
            if wait > 0:
                return wait
            self._made.append(now)
            return 0.0

    def pause(self, seconds: float) -> None:
        """Let nobody on this key call for so many seconds: the vendor has said that it is too much."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock() + seconds)


class Ledger(Protocol):
    """Where the calls of a key are written down for all who use it."""

    def spend(self, vendor: str, merchant: str, calls: int) -> float:
        """Write one call down and return 0, or write nothing and return the seconds until one is free."""

    def pause(self, vendor: str, merchant: str, seconds: float) -> None:
        """Let nobody call for so many seconds."""


class SharedBudget(Budget):
    """A budget whose calls are written down in a ledger."""

    def __init__(self, ledger: Ledger, vendor: str, merchant: str, calls: int, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(calls, sleep=sleep)
        self._ledger, self._vendor, self._merchant = ledger, vendor, merchant

    def _take(self) -> float:
        return self._ledger.spend(self._vendor, self._merchant, self.calls)

    def pause(self, seconds: float) -> None:
        """As `Budget.pause`."""
        self._ledger.pause(self._vendor, self._merchant, seconds)


_LEDGER: ContextVar[Ledger | None] = ContextVar("ledger", default=None)


@contextmanager
def kept_in(ledger: Ledger | None) -> Iterator[None]:
    """Connections made inside share their budgets through this ledger; through the process alone when it is None."""
    token = _LEDGER.set(ledger)
    try:
        yield
    finally:
        _LEDGER.reset(token)


_BUDGETS: dict[tuple[str, str], Budget] = {}
_BUDGETS_LOCK = threading.Lock()


def budget_for(vendor: str, merchant: str, per_minute: int) -> Budget:
    """The budget for a merchant's key at a vendor: the ledger's, else the one of this process. A changed limit starts a new one."""
    ledger = _LEDGER.get()
    if ledger is not None:
        return SharedBudget(ledger, vendor, merchant, per_minute)
    with _BUDGETS_LOCK:
        budget = _BUDGETS.get((vendor, merchant))
        if budget is None or budget.calls != per_minute:
            budget = _BUDGETS[vendor, merchant] = Budget(per_minute)
        return budget
