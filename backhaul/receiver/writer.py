"""Durable before the answer, at the price of one commit for many: one thread writes what waits, all of it in one transaction."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from backhaul.errors import StoreError
from backhaul.store import events
from backhaul.store.engine import Store
from backhaul.store.events import NewEvent

_AT_ONCE = 40  # requests in one transaction; below 50 rows PostgreSQL needs no staging table
_LOCK_POLL = 0.002  # seconds; SQLite's own waiting sleeps up to 100 ms at a time
_LOCK_PATIENCE = 10.0  # seconds
_LONGEST_QUEUE = 2_000  # ten seconds of the highest load; beyond it the vendor is asked to come back

log = logging.getLogger(__name__)

_Waiter = tuple[Sequence[NewEvent], asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Writer:
    """Keeps events. `start` it before use; `stop` writes what waits."""

    def __init__(self, store: Store, on_kept: Callable[[], None] = lambda: None) -> None:
        self._store = store
        if store.is_sqlite:
            sa.event.listen(store.engine, "connect", _wait_for_no_lock)
            store.engine.dispose()  # connections made before know nothing of it
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
            failure = self._write([arrived for arrived, _, _ in group])
            by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
            for _, loop, done in group:
                by_loop.setdefault(loop, []).append(done)
            for loop, waiting in by_loop.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_resolve, waiting, failure)
            if failure is None:
                self.on_kept()

    def _next_group(self) -> list[_Waiter]:
        with self._wake:
            while not self._queue and not self._is_stopping:
                self._wake.wait()
            return [self._queue.popleft() for _ in range(min(_AT_ONCE, len(self._queue)))]

    def _write(self, group: Sequence[Sequence[NewEvent]]) -> StoreError | None:
        give_up_at = time.monotonic() + _LOCK_PATIENCE
        while True:
            try:
                with self._store.write() as connection:
                    events.keep(connection, [event for arrived in group for event in arrived])
                return None
            except (StoreError, sa.exc.SQLAlchemyError, OSError) as error:
                if self._store.is_sqlite and "locked" in str(error) and time.monotonic() < give_up_at:
                    time.sleep(_LOCK_POLL)
                    continue
                log.error("events not stored", extra={"fields": {"requests": len(group), "error": error.__class__.__name__}})
                return StoreError("the store cannot be used")


def _wait_for_no_lock(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA busy_timeout=0")


def _resolve(waiting: Sequence[asyncio.Future[None]], failure: StoreError | None) -> None:
    for done in waiting:
        if done.done():  # the client went away
            continue
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)
