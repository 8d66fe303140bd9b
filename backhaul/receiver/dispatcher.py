"""Work after the answer: whenever events wait, one run for each merchant takes in all of them. What arrives meanwhile is the next run's."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from backhaul.errors import BackhaulError
from backhaul.pipeline.session import Clock, utc_now
from backhaul.store import events
from backhaul.store.engine import Store

Work = Callable[[str], object]  # takes in one merchant's events

_LOOK_EVERY = 1.0  # seconds; finds what other processes kept, and what a dead one held
_LINGER = 0.05  # seconds; events that come together are one batch
_PAUSE_AFTER_FAILURE = 5.0  # seconds

log = logging.getLogger(__name__)


class Dispatcher:
    """Runs `work` for merchants with waiting events: one run a merchant at a time in this process; claims keep processes apart."""

    def __init__(
        self,
        store: Store,
        merchants: Collection[str],
        work: Work,
        *,
        clock: Clock = utc_now,
        at_once: int = 2,
        wake: threading.Event | None = None,
    ) -> None:
        self._store = store
        self._merchants = frozenset(merchants)
        self._work = work
        self._clock = clock
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="events-run")
        self._wake = wake or threading.Event()  # another process may hold the other end
        self._stopping = threading.Event()
        self._busy: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="events-dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to look for work."""
        self._thread.start()

    def notify(self) -> None:
        """Say that there may be work."""
        self._wake.set()

    def stop(self) -> None:
        """Start no more runs, and wait for those under way; what they leave waits in the store."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        self._pool.shutdown(wait=True)

    @property
    def is_alive(self) -> bool:
        """Whether it still looks for work."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            is_told = self._wake.wait(_LOOK_EVERY)
            self._wake.clear()
            if is_told:
                time.sleep(_LINGER)
            if self._stopping.is_set():
                return
            try:
                self._hand_out()
            except Exception as error:  # this thread must outlive whatever a look at the store can raise
                log.error("cannot look for events", extra={"fields": {"error": error.__class__.__name__}})
                time.sleep(_LOOK_EVERY)

    def _hand_out(self) -> None:
        with self._store.read() as connection:
            waiting = events.backlog(connection, self._clock())
        for one in waiting:
            if (
                one.free
                and one.merchant in self._merchants
                and one.merchant not in self._busy
                and time.monotonic() >= self._not_before.get(one.merchant, 0.0)
            ):
                self._busy.add(one.merchant)
                self._pool.submit(self._take_in, one.merchant)

    def _take_in(self, merchant: str) -> None:
        began = time.monotonic()
        try:
            self._work(merchant)
            log.info("events taken in", extra={"fields": {"merchant": merchant, "seconds": round(time.monotonic() - began, 3)}})
        except BackhaulError as error:
            self._fail(merchant, f"{error.__class__.__name__}: {error}")
        except (
            Exception
        ) as error:  # a defect in one merchant's run must not end the others'; only its kind is told, since values may be in it
            self._fail(merchant, error.__class__.__name__)
        finally:
            self._busy.discard(merchant)
            self._wake.set()

    def _fail(self, merchant: str, why: str) -> None:
        self._not_before[merchant] = time.monotonic() + _PAUSE_AFTER_FAILURE
        log.error("events run failed", extra={"fields": {"merchant": merchant, "error": why}})
