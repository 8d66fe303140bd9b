"""The simulated clock, and what is scheduled on it (process jobs, labels that come later, quality control that resolves)."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """Starts at `start` (the real now by default), ticks with real time unless `is_ticking` is False, and can be advanced.

    Simulated time passes the real now only when someone advances it there.
    """

    def __init__(self, start: datetime | None = None, *, is_ticking: bool = True) -> None:
        began = start or datetime.now(UTC)
        if began.tzinfo is None:
            raise ValueError("start must be an aware datetime")
        self.start = began.astimezone(UTC)
        self._is_ticking = is_ticking
        self._began = time.monotonic()
        self._advanced = timedelta()
        self._jobs: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._lock = threading.RLock()
        self._at: datetime | None = None

    @property
    def now(self) -> datetime:
        """The simulated now; while a scheduled job runs, the moment it was due."""
        if self._at is not None:
            return self._at
        elapsed = timedelta(seconds=time.monotonic() - self._began) if self._is_ticking else timedelta()
        return self.start + self._advanced + elapsed

    @property
    def seconds(self) -> int:
        """The simulated now as whole seconds since 1970: Loop stores no finer."""
        return int(self.now.timestamp())

    def after(self, delay: timedelta, job: Callable[[], None]) -> None:
        """Run `job` once `delay` of simulated time has passed; at once when it is zero or less."""
        if delay <= timedelta():
            job()
            return
        with self._lock:
            heapq.heappush(self._jobs, (self.now + delay, next(self._order), job))

    def advance(self, step: timedelta) -> None:
        """Move time on and run what falls due, each job at its own moment."""
        if step < timedelta():
            raise ValueError("time only moves forward")
        with self._lock:
            self._advanced += step
            self.run_due()

    def clear(self) -> None:
        """Drop everything scheduled."""
        with self._lock:
            self._jobs.clear()

    def run_due(self) -> int:
        """Run the jobs that are due, in order of their time. Returns how many ran."""
        ran = 0
        with self._lock:
            until = self.now
            while self._jobs and self._jobs[0][0] <= until:
                due, _, job = heapq.heappop(self._jobs)
                self._at = due
                try:
                    job()
                finally:
                    self._at = None
                ran += 1
        return ran
