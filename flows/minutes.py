"""What Prefect shows of webhooks: one flow run for each minute in which some were taken in, as a round's, and none for each batch.

A flow run costs over a second of processor time, a batch a twentieth of that. An operator looks for what failed and for whom: that is in
the minute's table and task runs; every batch is a row of the store's `runs`.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from datetime import UTC, datetime

from prefect import flow

from backhaul.pipeline.rounds import Outcome
from tasks.rounds import publish_round

_MINUTE = 60.0

log = logging.getLogger(__name__)


@flow(name="events-all", flow_run_name="events-{minute}", retries=0)
def tell_of_events(minute: str) -> None:
    """Publish what came of the batches since the last minute."""
    publish_round("events", MINUTES.taken())


class Minutes:
    """Collects what came of batches, by merchant, and tells Prefect's server of them once a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, Outcome] = {}

    def add(self, outcome: Outcome) -> None:
        """Note one batch; of a merchant's batches within a minute the newest failure stays."""
        with self._lock:
            before = self._found.get(outcome.merchant, Outcome(outcome.merchant))
            counts = Counter(before.counts) + Counter(outcome.counts)
            error = outcome.error or before.error
            self._found[outcome.merchant] = Outcome(outcome.merchant, counts, error, max(before.seconds, outcome.seconds))

    def taken(self) -> list[Outcome]:
        """What was noted since this was last asked."""
        with self._lock:
            found, self._found = list(self._found.values()), {}
        return found

    def start(self) -> None:
        """Tell of each minute from now on, in a thread of its own."""
        threading.Thread(target=self._run, name="events-minutes", daemon=True).start()

    def _run(self) -> None:
        while not threading.Event().wait(_MINUTE):
            if self._found:
                try:
                    tell_of_events(f"{datetime.now(UTC):%Y-%m-%dT%H:%M}")
                except Exception as error:  # Prefect's server is away: the store has every batch
                    log.warning("a minute was not told to Prefect", extra={"fields": {"error": error.__class__.__name__}})


MINUTES = Minutes()
