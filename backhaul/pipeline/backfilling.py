"""Backfill: any range of Loop's past, with the warehouse's side of it, in windows that several threads, runs and machines share.

| what                | how it is bounded                                                                                     |
|---------------------|-------------------------------------------------------------------------------------------------------|
| a window            | `SPAN` on a fixed grid, so that ranges that overlap share windows; under `RETURNS.max_window`         |
| memory              | a window is read in batches of `intake.BATCH` returns; while one is stored, the next is read, and no more     |
| who does a window   | one run at a time, by a lease (`store/windows.py`); a window left by a dead run is taken over          |
| what a rerun does   | the windows that are not completed; what it meets again is no news                                     |
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from backhaul.connectors.base import ReturnBatch
from backhaul.domain.windows import Window
from backhaul.errors import BackhaulError, StoreError
from backhaul.pipeline import intake, receiving
from backhaul.pipeline.deciding import decide_due
from backhaul.pipeline.session import Session
from backhaul.store import windows
from backhaul.store.transaction import Transaction
from backhaul.store.windows import Scope, Standing

SPAN = timedelta(days=7)
_CALLS_A_GROUP = 20  # warehouse look-ups between two stores, and between two looks at whether to stop
_RENEW_EVERY = windows.LEASE.total_seconds() / 3
_WAITS = (1, 2, 4, 8, 16)  # seconds between attempts to write what a database that is away did not take
_EPOCH = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday

log = logging.getLogger(__name__)

T = TypeVar("T")
Proof = dict[str, Any]
DoWindow = Callable[[Session, Window], Proof | None]  # what it returns is kept with the window


class WindowsFailedError(BackhaulError):
    """Some windows failed; the others are done. The message names each with its error, and the way out."""


class StoppedError(BackhaulError):
    """The run was told to stop between two batches; what it has stored stays, its window is left to the next run."""


def cut(whole: Window, span: timedelta = SPAN) -> list[Window]:
    """The range in windows of at most `span` on a fixed grid, in order, without gap or overlap."""
    pieces: list[Window] = []
    start = whole.start
    while start < whole.end:
        end = min(_EPOCH + ((start - _EPOCH) // span + 1) * span, whole.end)
        pieces.append(Window(start, end))
        start = end
    return pieces


def lay_out(session: Session, scope: Scope, *, is_forced: bool, span: timedelta = SPAN) -> tuple[int, int]:
    """Write the windows that are to be done; returns how many those are, and how many are done already."""
    with session.write() as tx:
        todo, done = windows.lay_out(tx, scope, cut(scope.whole, span), is_forced=is_forced)
    session.run.add("windows_planned", todo)
    session.run.add("windows_done_before", done)
    return todo, done


def load_window(session: Session, window: Window, *, acts: bool, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Take one window in: its returns in every state, what the warehouse knows of them, and the decisions that follow.

    The warehouse's side is stored before the returns, so that no decision is taken on half of the facts.
    """
    pull = intake.Pull(session, window)
    with closing(_one_ahead(pull.next)) as batches:
        for batch in batches:
            _pull_warehouse_side(session, batch, should_stop)
            news = intake.keep_news(session, batch, "list", is_history=not acts, pull=pull)
            intake.load(session, intake.check(session, news), is_history=not acts)
            _stop_if(session, should_stop)
    decide_due(session)


def _one_ahead(give: Callable[[], T | None]) -> Generator[T, None, None]:
    """What `give` gives until None; a thread gets the next while one is worked on, and what goes wrong is raised in its turn."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = pool.submit(copy_context().run, give)
        while (item := coming.result()) is not None:
            coming = pool.submit(copy_context().run, give)
            yield item


def _pull_warehouse_side(session: Session, batch: ReturnBatch, should_stop: Callable[[], bool]) -> None:
    by_warehouse: defaultdict[str, list[str]] = defaultdict(list)
    for return_id, destination_id in zip(batch.returns["return_id"], batch.returns["destination_id"], strict=True):
        if return_id is not None:
            by_warehouse[session.settings.warehouse_for(destination_id)].append(return_id)
    for name, return_ids in by_warehouse.items():
        warehouse = session.warehouses.get(name)
        if warehouse is None:  # its results come by file
            continue
        at_once = _CALLS_A_GROUP * warehouse.batch_size
        for first in range(0, len(return_ids), at_once):
            asked = return_ids[first : first + at_once]
            receiving.take_in(session, name, warehouse.find(asked))
            session.run.add("polled", len(asked))
            _stop_if(session, should_stop)


def _stop_if(session: Session, should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise StoppedError(f"{session.merchant}: the run was stopped; the same command goes on where it ended")


class Work:
    """One run's share of a scope's windows: several threads take windows until all are settled, by them or by other runs."""

    def __init__(self, session: Session, scope: Scope, do_window: DoWindow, workers: int) -> None:
        self.session, self.scope, self.workers = session, scope, workers
        self._do_window = do_window
        self._stop = threading.Event()
        self._counting, self._claiming = threading.Lock(), threading.Lock()
        self._in_hand: set[Window] = set()

    def should_stop(self) -> bool:
        """Whether this run is being ended."""
        return self._stop.is_set()

    def through(self, on_tick: Callable[[Standing], None] = lambda _: None) -> Standing:
        """Work until every window of the scope is completed or has failed; `on_tick` is told about once a second where they stand."""
        renewed = time.monotonic()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="window") as pool:
            # Each thread gets a copy of the context, so that a task knows the flow run that it belongs to.
            threads: list[Future[None]] = [pool.submit(copy_context().run, self._take_windows) for _ in range(self.workers)]
            try:
                while wait(threads, timeout=1, return_when=FIRST_EXCEPTION).not_done and not any(
                    t.done() and t.exception() for t in threads
                ):
                    try:
                        if time.monotonic() - renewed > _RENEW_EVERY:
                            renewed = time.monotonic()
                            with self.session.write(alone=False) as tx:
                                windows.renew(tx, self.scope)
                        on_tick(self.standing())
                    except StoreError as error:  # the threads meet the same and say so, window by window
                        log.warning("the windows could not be looked at: %s", error)
                for thread in threads:
                    if thread.done():
                        thread.result()
            finally:
                self._stop.set()
        return self.standing()

    def standing(self) -> Standing:
        """Where the windows stand."""
        with self.session.store.read() as connection:
            return windows.standing(connection, self.scope)

    def _take_windows(self) -> None:
        while not self.should_stop():
            window = self._claim()
            if window is not None:
                try:
                    self._do(window)
                finally:
                    self._in_hand.discard(window)
                continue
            states = self._written(lambda tx: windows.standing(tx.connection, self.scope)).states
            if not states[windows.RUNNING] and not states[windows.PENDING]:
                return
            self._stop.wait(0.5)  # others hold what is left: wait until they are through, or their lease has run out

    def _claim(self) -> Window | None:
        with self._claiming:
            window = self._written(lambda tx: windows.claim(tx, self.scope, tuple(self._in_hand)))
            if window is not None:
                self._in_hand.add(window)
        return window

    def _written(self, do: Callable[[Transaction], T]) -> T:
        """`do` in a transaction of its own, tried for a while: a database that restarts must not end a run of hours."""
        for seconds in _WAITS:
            try:
                with self.session.write(alone=False) as tx:
                    return do(tx)
            except StoreError as error:
                log.warning("%s; tried again in %s s", error, seconds)
                self._stop.wait(seconds)
        with self.session.write(alone=False) as tx:
            return do(tx)

    def _do(self, window: Window) -> None:
        aside = _aside(self.session)
        error: str | None = None
        proof: Proof | None = None
        try:
            proof = self._do_window(aside, window)
        except StoppedError:
            with self.session.write(alone=False) as tx:
                windows.give_back(tx, self.scope)
            raise
        except BackhaulError as failure:
            error = str(failure)
        except Exception as failure:  # a defect met in one window must not stop the others
            log.exception("a window failed")
            error = f"{failure.__class__.__name__}: {failure}"
        self._written(lambda tx: windows.settle(tx, self.scope, window, aside.run.counts, error=error, proof=proof))
        with self._counting:
            for name, count in aside.run.counts.items():
                self.session.run.add(name, count)


def _aside(session: Session) -> Session:
    """The same session with counts of its own, so that each window's can be told apart."""
    run = replace(session.run, counts={})
    return Session(session.store, session.merchant, session.settings, run, session.loop, session.warehouses, session.clock)


def conclude(session: Session, standing: Standing) -> None:
    """Count the windows. Raises WindowsFailedError when some failed."""
    session.run.add("windows_completed", standing.states[windows.COMPLETED])
    session.run.add("windows_failed", len(standing.failed))
    if standing.failed:
        named = "; ".join(f"{window}: {error}" for window, error in standing.failed[:5])
        more = f"; and {len(standing.failed) - 5} more" if len(standing.failed) > 5 else ""
        raise WindowsFailedError(
            f"{session.merchant}: {len(standing.failed)} of {standing.total} windows failed ({named}{more}); "
            "all others are done, and the same command again does only these"
        )
