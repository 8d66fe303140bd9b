"""Work after the answer: the merchants whose events wait are served in turn, one batch each, then from the back of the queue again.

A merchant has one run at a time in this process; claims keep processes apart. One whose run takes long (a vendor that hangs, a long
catch-up) gives its slot to the next, and its run goes on beside the others until its deadline.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from backhaul.connectors.deadline import within
from backhaul.errors import BackhaulError
from backhaul.pipeline.session import Clock, utc_now
from backhaul.store import events
from backhaul.store.engine import Store

Work = Callable[[str], object]  # takes in one batch of a merchant's events

_LOOK_EVERY = 1.0  # seconds; finds what other processes kept, and what a dead one held
_LINGER = 0.05  # seconds; events that come together are one batch
_PAUSE_AFTER_FAILURE = 5.0  # seconds
_SLOT = 5.0  # seconds, after which a merchant's slot is another's
_MOST = 128  # runs under way, the slow ones among them
_GRACE = 10.0  # seconds for the runs under way when told to stop
_DEADLINE = 0.75 * events.LEASE.total_seconds()  # of a run's calls to vendors; its events are claimed for that long and a little

log = logging.getLogger(__name__)


class Dispatcher:
    """Runs `work` for merchants with waiting events."""

    def __init__(
        self,
        store: Store,
        merchants: Collection[str],
        work: Work,
        *,
        clock: Clock = utc_now,
        at_once: int = 8,
        wake: threading.Event | None = None,
    ) -> None:
        self._store = store
        self._merchants = frozenset(merchants)
        self._work = work
        self._clock = clock
        self._at_once = at_once
        self._wake = wake or threading.Event()  # another process may hold the other end
        self._stopping = threading.Event()
        self._called_off = threading.Event()
        self._under_way: dict[str, tuple[float, threading.Thread]] = {}  # since when
        self._served: dict[str, float] = {}  # when last
        self._not_before: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="events-dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to look for work."""
        self._thread.start()

    def notify(self) -> None:
        """Say that there may be work."""
        self._wake.set()

    def stop(self) -> None:
        """Start no more runs, and wait for those under way; the slow ones begin no further call. What they leave waits in the store."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        give_up_at = time.monotonic() + _GRACE
        under_way = [thread for _, thread in list(self._under_way.values())]
        for thread in under_way:
            thread.join(max(0.0, give_up_at - time.monotonic()))
        self._called_off.set()
        for thread in under_way:
            thread.join()

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
        now = time.monotonic()
        ready = [one.merchant for one in waiting if one.free and self._may_start(one.merchant, now)]
        for merchant in sorted(ready, key=lambda name: self._served.get(name, 0.0))[: self._free_slots(now)]:
            self._served[merchant] = now
            thread = threading.Thread(target=self._take_in, args=(merchant,), name=f"events-{merchant}", daemon=True)
            self._under_way[merchant] = now, thread
            thread.start()

    def _may_start(self, merchant: str, now: float) -> bool:
        return merchant in self._merchants and merchant not in self._under_way and now >= self._not_before.get(merchant, 0.0)

    def _free_slots(self, now: float) -> int:
        began = [since for since, _ in list(self._under_way.values())]
        return max(0, min(self._at_once - sum(now - since < _SLOT for since in began), _MOST - len(began)))

    def _take_in(self, merchant: str) -> None:
        began = time.monotonic()
        try:
            with within(_DEADLINE, called_off=self._called_off):
                self._work(merchant)
            log.info("events taken in", extra={"fields": {"merchant": merchant, "seconds": round(time.monotonic() - began, 3)}})
        except BackhaulError as error:
            self._fail(merchant, f"{error.__class__.__name__}: {error}")
        except (
            Exception
        ) as error:  # a defect in one merchant's run must not end the others'; only its kind is told, since values may be in it
            self._fail(merchant, error.__class__.__name__)
        finally:
            self._under_way.pop(merchant, None)
            self._wake.set()

    def _fail(self, merchant: str, why: str) -> None:
        self._not_before[merchant] = time.monotonic() + _PAUSE_AFTER_FAILURE
        log.error("events run failed", extra={"fields": {"merchant": merchant, "error": why}})
