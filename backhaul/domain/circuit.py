"""The circuit before a vendor: after some failures in a row it opens, and the vendor is left alone; a probe that works closes it."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

OPENS_AFTER = 3  # failures in a row
FIRST_PAUSE = timedelta(seconds=15)
PROBE = timedelta(minutes=1)  # longer than any call
LONGEST_PAUSE = timedelta(minutes=2)


class Circuit(msgspec.Struct, frozen=True):
    """How a vendor has answered lately. `failures` in a row; open since `opened_at`; `probe_at` is when the next call is tried."""

    failures: int = 0
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    why: str | None = None

    def lets_through(self, now: datetime) -> bool:
        """Whether a call may be made now: the circuit is closed, or a probe is due."""
        return self.probe_at is None or now >= self.probe_at

    def probed(self, now: datetime) -> Circuit:
        """The circuit while a probe is under way: nobody else tries before its outcome can be known."""
        return Circuit(self.failures, self.opened_at, now + PROBE, self.why)

    def after_failure(self, why: str, now: datetime) -> Circuit:
        """The circuit after a call that failed for a passing reason: no connection, no answer in time, an error of the vendor's own."""
        failures = self.failures + 1
        if failures < OPENS_AFTER:
            return Circuit(failures, why=why)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(failures - OPENS_AFTER, 8)))
        return Circuit(failures, self.opened_at or now, now + pause, why)
