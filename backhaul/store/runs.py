"""Run history: one row for each execution of a flow, written when it starts and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from backhaul.domain.windows import Window
from backhaul.store.engine import Store
from backhaul.store.indexed import IS_RUNNING
from backhaul.store.prepared import Parameter, prepared
from backhaul.store.processes import is_gone, this_process
from backhaul.store.tables import runs

_LONGEST_RUN = timedelta(days=1)
_INSERT = sa.insert(runs)
_FINISH = sa.update(runs).where(runs.c.run_id == sa.bindparam("which"))
_NAMED = ("records_in", "records_out", "unchanged", "quarantined", "delivered", "refused")


@dataclass(slots=True)
class Run:
    """A run under way. Steps add to its counts; `window` is what was asked of Loop."""

    run_id: str
    flow: str
    merchant: str
    trigger: str
    started_at: datetime
    flow_run_id: str | None = None
    window: Window | None = None
    counts: dict[str, int] = field(default_factory=dict)
    _counting: Lock = field(default_factory=Lock, repr=False, compare=False)

    def add(self, name: str, count: int = 1) -> None:
        """Count something that this run did. Thread-safe."""
        if count:
            with self._counting:
                self.counts[name] = self.counts.get(name, 0) + count

    def count(self, name: str) -> int:
        """How many of something this run did."""
        return self.counts.get(name, 0)


def start_run(store: Store, flow: str, merchant: str, trigger: str, now: datetime, flow_run_id: str | None = None) -> Run:
    """Write a run's first row, before it does anything."""
    run = Run(str(uuid4()), flow, merchant, trigger, now, flow_run_id)
    with store.write() as connection:
        _close_the_killed(connection, merchant, now)
        first = dict.fromkeys(_NAMED, 0) | {"counts": {}, "state": "running", "started_at": now}
        key = {"run_id": run.run_id, "flow": flow, "merchant": merchant, "trigger": trigger, "flow_run_id": flow_run_id}
        key["process"] = this_process()
        connection.execute(_INSERT, key | first)
    return run


def _close_the_killed(connection: sa.Connection, merchant: str, now: datetime) -> None:
    """Say of runs whose process is gone that they were killed: nothing of theirs is half done, but they could not say so themselves."""
    gone = [row.run_id for row in _running(connection, merchant=merchant) if row.started_at < now - _LONGEST_RUN or is_gone(row.process)]
    if gone:
        values = {"state": "failed", "error": "the program ended before the run did"}
        connection.execute(sa.update(runs).where(runs.c.run_id.in_(gone)).values(values))


@prepared
def _running(merchant: Parameter) -> sa.Select[Any]:
    return sa.select(runs.c.run_id, runs.c.process, runs.c.started_at).where(runs.c.merchant == merchant, IS_RUNNING.of(runs))


def finish_run(store: Store, run: Run, now: datetime, error: str | None = None) -> None:
    """Write how a run ended."""
    values: dict[str, Any] = {name: run.count(name) for name in _NAMED}
    values["counts"] = {name: count for name, count in sorted(run.counts.items()) if name not in _NAMED}
    values |= {"state": "failed" if error else "completed", "finished_at": now, "error": error}
    values["duration_s"] = round((now - run.started_at).total_seconds(), 3)
    if run.window is not None:
        values |= {"window_start": run.window.start, "window_end": run.window.end}
    with store.write() as connection:
        connection.execute(_FINISH, values | {"which": run.run_id})


@contextmanager
def kept_to_its_end(store: Store, run: Run, clock: Callable[[], datetime]) -> Iterator[None]:
    """Write a run's last row whatever happens: completed, or failed with the first line of the error."""
    try:
        yield
    except BaseException as error:
        first_line = (str(error).splitlines() or [""])[0][:500]
        finish_run(store, run, clock(), f"{error.__class__.__name__}: {first_line}".rstrip(": "))
        raise
    finish_run(store, run, clock())


def latest_runs(connection: sa.Connection, merchant: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest runs, newest first."""
    query = sa.select(runs).order_by(runs.c.started_at.desc(), runs.c.run_id).limit(limit)
    if merchant is not None:
        query = query.where(runs.c.merchant == merchant)
    return [dict(row._mapping) for row in connection.execute(query)]


def running_since(connection: sa.Connection) -> dict[tuple[str, str], datetime]:
    """By merchant and flow, since when the oldest run that has not ended goes on."""
    query = sa.select(runs.c.merchant, runs.c.flow, sa.func.min(runs.c.started_at)).where(IS_RUNNING.of(runs))
    return {(merchant, flow): since for merchant, flow, since in connection.execute(query.group_by(runs.c.merchant, runs.c.flow))}


class Ended(NamedTuple):
    """How a run ended, or that it has not yet."""

    state: str
    finished_at: datetime | None
    error: str | None


def last_of_flow(connection: sa.Connection, merchant: str, flow: str) -> tuple[Ended | None, Ended | None]:
    """A merchant's last run of a flow that completed, and its newest one."""
    query = sa.select(runs.c.state, runs.c.finished_at, runs.c.error).where(runs.c.merchant == merchant, runs.c.flow == flow).limit(1)
    completed = connection.execute(query.where(runs.c.state == "completed").order_by(runs.c.finished_at.desc())).one_or_none()
    newest = connection.execute(query.order_by(runs.c.started_at.desc())).one_or_none()
    return (Ended(*completed) if completed is not None else None), (Ended(*newest) if newest is not None else None)
