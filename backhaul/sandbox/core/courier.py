"""Delivers webhooks and callbacks in the background, with retries, and loses, repeats or delays them on request.

Retries grow apart (docs/vendors/loop.md 7: six attempts; masonhub.md 5.2 and 10), scaled down to real fractions of a second.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

KEPT_DELIVERIES = 20_000
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class CourierOptions:
    """Chances lie between 0 and 1; delays are real seconds."""

    lose: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0  # held back for `reorder_delay`, so that later ones overtake it
    reorder_delay: float = 0.3
    attempts: int = 6
    first_retry: float = 0.2
    timeout: float = 5.0


@dataclass(slots=True)
class Posting:
    """One webhook or callback on its way. `statuses` has one entry an attempt, None where no answer came."""

    merchant: str
    source: str  # "loop", "masonhub" or "airhouse"
    event: str
    key: str | None
    url: str
    body: bytes
    headers: dict[str, str]
    statuses: list[int | None] = field(default_factory=list)
    was_lost: bool = False
    done: Callable[[bool], None] | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver answered 2xx."""
        return bool(self.statuses) and (self.statuses[-1] or 0) // 100 == 2


class Courier:
    """A queue of postings and the thread that works on it. Without `start`, postings just wait: see `postings`."""

    def __init__(self, rng: random.Random, tick: Callable[[], object]) -> None:
        self.options = CourierOptions()
        self.postings: deque[Posting] = deque(maxlen=KEPT_DELIVERIES)
        self._rng = rng
        self._tick = tick
        self._due: list[tuple[float, int, Posting]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._busy = 0
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def post(self, posting: Posting) -> None:
        """Hand over one posting."""
        self.postings.append(posting)
        if self._rng.random() < self.options.lose:
            posting.was_lost = True
            return
        copies = 2 if self._rng.random() < self.options.duplicate else 1
        delay = self.options.reorder_delay if self._rng.random() < self.options.reorder else 0.0
        for _ in range(copies):
            self._push(posting, delay)

    def _push(self, posting: Posting, delay: float) -> None:
        with self._wake:
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._order), posting))
            self._wake.notify()

    def clear(self) -> None:
        """Forget what is under way."""
        with self._wake:
            self._due.clear()
            self.postings.clear()
            self.options = CourierOptions()

    def start(self) -> None:
        """Begin to deliver."""
        self._thread = threading.Thread(target=self._run, name="sandbox-courier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is still queued stays undelivered."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(timeout=self.options.timeout + 1)

    def drain(self, timeout: float = 5.0) -> bool:
        """Wait until nothing is queued, retries included. Returns False when that took too long."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            with self._wake:
                if not self._due and not self._busy:
                    return True
            time.sleep(0.005)
        return False

    def _run(self) -> None:
        with httpx.Client(timeout=self.options.timeout, trust_env=False) as client:
            while not self._is_stopping:
                posting = self._next()
                if posting is not None:
                    try:
                        self._deliver(client, posting)
                    finally:
                        with self._wake:
                            self._busy -= 1
                try:
                    self._tick()
                except Exception:  # a scenario's scheduled step failed; deliveries must go on
                    _log.exception("a scheduled step of the sandbox failed")

    def _next(self) -> Posting | None:
        with self._wake:
            if not self._due or self._due[0][0] > time.monotonic():
                self._wake.wait(0.02)
            if self._is_stopping or not self._due or self._due[0][0] > time.monotonic():
                return None
            self._busy += 1
            return heapq.heappop(self._due)[2]

    def _deliver(self, client: httpx.Client, posting: Posting) -> None:
        retry_after = None
        try:
            response = client.post(posting.url, content=posting.body, headers=posting.headers)
            posting.statuses.append(response.status_code)
            retry_after = response.headers.get("Retry-After")
        except httpx.HTTPError:
            posting.statuses.append(None)
        if posting.done is not None:
            posting.done(posting.is_delivered)
        tries = len(posting.statuses)
        if posting.is_delivered or tries >= self.options.attempts:
            return
        told = float(retry_after) if retry_after and retry_after.isdigit() else 0.0
        self._push(posting, max(told, self.options.first_retry * 2 ** (tries - 1)))
