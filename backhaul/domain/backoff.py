"""Backoff: when a delivery that failed for now is tried again (docs/architecture.md, The outbox)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

LEASE = timedelta(seconds=60)  # how long a claimed delivery belongs to its worker; a call ends sooner
STUCK_AFTER = timedelta(hours=24)  # owed for so long without success, a delivery is shown to a person; it is never given up
SHORTEST = timedelta(seconds=2)
LONGEST = timedelta(minutes=5)


def next_delay(attempt: int, random: Callable[[], float], retry_after: float | None = None) -> timedelta:
    """How long to wait after the `attempt`-th attempt (from 1) failed.

    The step doubles from 4 s up to 5 minutes; the delay is spread over its upper half, so it is never under 2 s, never over 5 minutes
    and workers do not come back together. `random` gives [0, 1). `retry_after`, in seconds, is the vendor's own wish: never sooner.
    Raises ValueError when `attempt` is below 1.
    """
    if attempt < 1:
        raise ValueError(f"attempt {attempt}: attempts count from 1")
    step = min(LONGEST, SHORTEST * (1 << min(attempt, 16)))
    delay = step * (0.5 + 0.5 * random())
    return delay if retry_after is None else max(delay, timedelta(seconds=retry_after))
