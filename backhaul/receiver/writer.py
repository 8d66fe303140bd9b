"""Durable before the answer, at the price of one commit for many: one thread writes what waits, all of it in one transaction.

On SQLite another process may be writing for longer than an answer can wait; then the events are kept in the inbox beside the store,
and moved when it is our turn.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from backhaul.errors import StoreError
from backhaul.store import events
from backhaul.store.engine import DATABASE_ERRORS, Store
from backhaul.store.events import NewEvent
from backhaul.store.inbox import Inbox

_AT_ONCE = 40  # requests in one transaction; below 50 rows PostgreSQL needs no staging table
_LOCK_POLL = 0.002  # seconds; SQLite's own waiting sleeps up to 100 ms at a time
_LOCK_PATIENCE = 0.015  # seconds; an answer is due within 50 ms
_MOVE_EVERY = 0.02  # seconds
_LAST_PATIENCE = 10.0  # seconds; when stopping, to leave nothing in the inbox
_LONGEST_QUEUE = 2_000  # ten seconds of the highest load; beyond it the vendor is asked to come back

log = logging.getLogger(__name__)

_Waiter = tuple[Sequence[NewEvent], asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Writer:
    """Keeps events. `start` it before use; `stop` writes what waits."""

    def __init__(self, store: Store, on_kept: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._inbox = Inbox.beside(store)
        self._has_inbox = self._inbox is not None and self._inbox.exists
        if self._inbox is not None:
            store.wait_for_no_lock()
        self.on_kept = on_kept
        self._queue: deque[_Waiter] = deque()
        self._wake = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="events-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify()
        self._thread.join(timeout=30)

    async def keep(self, arrived: Sequence[NewEvent]) -> None:
        """Return when the events are on disk. Raises StoreError when they cannot be, or when too many wait."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        with self._wake:
            if self._is_stopping or len(self._queue) >= _LONGEST_QUEUE:
                raise StoreError("too many events wait to be stored")
            self._queue.append((arrived, loop, done))
            self._wake.notify()
        await done

    def _run(self) -> None:
        while group := self._next_group():
            failure = self._write([event for arrived, _, _ in group for event in arrived])
            by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
            for _, loop, done in group:
                by_loop.setdefault(loop, []).append(done)
            for loop, waiting in by_loop.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_resolve, waiting, failure)
            if failure is None and not self._has_inbox:
                self.on_kept()
        self._empty_inbox(_LAST_PATIENCE)
        if self._inbox is not None:
            self._inbox.close()

    def _next_group(self) -> list[_Waiter]:
        """The requests that wait, as soon as there are any; empty when told to stop. Meanwhile the inbox is emptied."""
        while True:
            with self._wake:
                if not self._queue and not self._is_stopping:
                    self._wake.wait(_MOVE_EVERY if self._has_inbox else None)
                if self._queue or self._is_stopping:
                    return [self._queue.popleft() for _ in range(min(_AT_ONCE, len(self._queue)))]
            self._empty_inbox(0.0)

    def _empty_inbox(self, patience: float) -> None:
        if not self._has_inbox:
            return
        try:
            if self._store_now([], patience):
                self.on_kept()
        except (*DATABASE_ERRORS, OSError) as error:  # it stays on disk, and is moved later
            log.error("inbox not moved", extra={"fields": {"error": error.__class__.__name__}})

    def _write(self, arrived: Sequence[NewEvent]) -> StoreError | None:
        try:
            # While the inbox is in use the turn has just been refused, so it is asked for once and not waited for.
            if not self._store_now(arrived, 0.0 if self._has_inbox else _LOCK_PATIENCE) and self._inbox is not None:
                self._inbox.keep(arrived)
                self._has_inbox = True
        except (*DATABASE_ERRORS, OSError) as error:
            log.error("events not stored", extra={"fields": {"events": len(arrived), "error": error.__class__.__name__}})
            return StoreError("the store cannot be used")
        return None

    def _store_now(self, arrived: Sequence[NewEvent], patience: float) -> bool:
        """Write to the store, the inbox too; False when another writer keeps SQLite's only turn for longer than `patience`."""
        give_up_at = time.monotonic() + patience
        while True:
            try:
                with self._store.write() as connection:
                    events.keep(connection, arrived)
                    moved = self._inbox.move(connection) if self._inbox is not None and self._has_inbox else []
                break
            except StoreError as error:
                if self._inbox is None or "locked" not in str(error):
                    raise
                if time.monotonic() >= give_up_at:
                    return False
                time.sleep(_LOCK_POLL)
        if self._inbox is not None and moved:
            self._inbox.forget(moved)
        self._has_inbox = len(moved) > 0  # look once more: there may be more than one move takes
        return True


def _resolve(waiting: Sequence[asyncio.Future[None]], failure: StoreError | None) -> None:
    for done in waiting:
        if done.done():  # the client went away
            continue
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)
