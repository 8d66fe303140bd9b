"""A sync that has much to catch up on: its peak memory, and the longest that it holds the store's write lock.

`python -m benchmarks.catch_up [RETURNS]` measures on both databases, 60,000 returns unless told otherwise. A webhook that arrives meanwhile
waits for the lock on SQLite; on PostgreSQL the merchant's other writers do.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.job import Job, Taken, read_job, tell
from benchmarks.pages import serving
from benchmarks.surroundings import DATABASES, ask, folder

RETURNS = 60_000


def measure(count: int) -> dict[str, Taken]:
    """By database: what one sync of `count` returns took; `more` has its peak memory and its longest write."""
    found: dict[str, Taken] = {}
    with serving(count) as pages:
        days = (pages.end - pages.start).days + 1
        for name, database in DATABASES.items():
            with database() as fresh, folder() as path:
                job = pages.job(fresh(path), str(path))
                far = job.config.replace("requests_per_minute", f"first_sync_days = {days}\nrequests_per_minute", 1)
                found[name] = ask(sys.executable, "benchmarks.catch_up", replace(job, config=far))
    return found


def load(job: Job) -> Taken:
    """Sync once, with each write transaction timed from the moment at which it has its lock to the end of its commit."""
    file = Path(job.folder) / "backhaul.toml"
    file.write_text(job.config)
    os.environ.update(job.env)
    from backhaul.store.engine import Store
    from flows.sync import sync

    held: list[tuple[float, float]] = []
    write = Store.write

    @contextmanager
    def timed(self: Store, lock: str | None = None) -> Iterator[Any]:
        with write(self, lock) as connection:
            began, worked = time.perf_counter(), time.thread_time()
            yield connection
        held.append((time.perf_counter() - began, time.thread_time() - worked))

    Store.write = timed  # type: ignore[method-assign]
    Store(job.store).ready().close()
    started, cpu = time.perf_counter(), time.process_time()
    summary = sync.fn("acme", config=str(file), trigger="command")
    taken, cpu = time.perf_counter() - started, time.process_time() - cpu
    longest, worked = (max(column) for column in zip(*held, strict=True))
    more = {"longest_write_s": longest, "longest_write_cpu_s": worked, "writes": float(len(held))}
    more["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Taken(summary.counts.get("records_out", 0), taken, cpu, more)


if __name__ == "__main__":
    if sys.argv[1:] and not sys.argv[1].isdigit():
        tell(load(read_job(sys.argv[1])))
    else:
        for name, taken in measure(int(sys.argv[1]) if sys.argv[1:] else RETURNS).items():
            more, took = taken.more, f"{taken.seconds:.0f} s, {taken.cpu_s:.0f} s of the processor"
            print(
                f"{name}: {taken.returns} returns, {took}; peak {more['peak_mib']:.0f} MiB; {more['writes']:.0f} writes, the longest",
                end=" ",
            )
            print(f"{more['longest_write_s']:.2f} s, {more['longest_write_cpu_s']:.2f} s of the processor", flush=True)
