"""A round over many merchants with vendors that take 200 ms an answer: idle, with one new return each, and with one vendor that hangs.

And the same idle round shared by three processes on PostgreSQL, as `sync-share` has it, against one.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.surroundings import DATABASES, ROOT
from benchmarks.vendors import STORE, Vendors, serving

LATENCY = 0.2  # seconds
THREADS_SHARED = 8  # a process, where three share a round: what waits for vendors is what can be shared, two cores cannot


def measure(database: str, merchants: int, hangs: int) -> dict[str, Any]:
    """Seconds of the clock by round, of the processor by merchant, and the peak of memory; all rounds are one process's.

    In the last of them one vendor takes `hangs` seconds more an answer.
    """
    with ExitStack() as stack:
        vendors, config = stack.enter_context(_ground(database, merchants))
        worker = stack.enter_context(_worker(config, vendors))
        worker.round()
        idle = worker.round()
        vendors.ask(shop=1)
        news = worker.round()
        vendors.ask(hang=hangs, merchants=[vendors.merchants[0]])
        hung = worker.round()
    if (made := news["delivered"]) != merchants:
        raise RuntimeError(f"{made} of {merchants} new returns were announced")
    others = [seconds for name, seconds in hung["each"].items() if name != vendors.merchants[0]]
    return {
        "fleet_merchants": merchants,
        "fleet_idle_500_s": idle["seconds"],
        "fleet_news_500_s": news["seconds"],
        "fleet_idle_p50_s": round(median(idle["each"].values()), 2),
        "fleet_hung_others_p50_s": round(median(others), 2),
        "fleet_cpu_idle_ms": round(idle["cpu_s"] / merchants * 1000, 1),
        "fleet_cpu_news_ms": round(news["cpu_s"] / merchants * 1000, 1),
        "fleet_peak_mib": round(hung["peak_mib"]),
    }


def measure_shared(merchants: int) -> dict[str, Any]:
    """How many times as fast three processes are through an idle round as one, each with `THREADS_SHARED` threads; and who did how many."""
    with ExitStack() as stack:
        vendors, config = stack.enter_context(_ground("postgresql", merchants))
        workers = [stack.enter_context(_worker(config, vendors, THREADS_SHARED)) for _ in range(3)]
        workers[0].round()  # the first sync of all is longer
        for other in workers[1:]:
            other.round(since=datetime(2000, 1, 1, tzinfo=UTC))  # finds all done, and is warm
        one = workers[0].round()["seconds"]
        since, began = datetime.now(UTC), time.perf_counter()  # the database's clock is this machine's
        for worker in workers:
            worker.ask(since)
        told = [worker.answer() for worker in workers]
        three = time.perf_counter() - began
    done = [name for answer in told for name in answer["each"]]
    if sorted(done) != sorted(vendors.merchants):
        raise RuntimeError(f"{len(done)} runs of {len(set(done))} merchants, where {merchants} were to be done once")
    shares = [len(answer["each"]) for answer in told]
    return {"three_workers_fleet": round(one / three, 2), "three_workers": {"one_s": one, "three_s": round(three, 2), "merchants": shares}}


@contextmanager
def _ground(database: str, merchants: int) -> Iterator[tuple[Vendors, Path]]:
    with tempfile.TemporaryDirectory() as place, DATABASES[database]() as fresh, serving(merchants, LATENCY) as vendors:
        config = Path(place) / "backhaul.toml"
        config.write_text(vendors.config.replace(STORE, fresh(Path(place))))
        yield vendors, config


class _Worker:
    """A process that runs rounds when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def round(self, since: datetime | None = None) -> dict[str, Any]:
        self.ask(since)
        return self.answer()

    def ask(self, since: datetime | None) -> None:
        print(json.dumps(None if since is None else since.isoformat()), file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._process.stdout.readline())  # type: ignore[union-attr]
        if found["failed"]:
            raise RuntimeError(f"{len(found['failed'])} merchants failed: {found['failed'][0]}")
        return found


@contextmanager
def _worker(config: Path, vendors: Vendors, threads: int = 0) -> Iterator[_Worker]:
    own = {"PREFECT_HOME": str(config.parent / "prefect"), "PREFECT_LOGGING_LEVEL": "ERROR", "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-m", "benchmarks.fleet", str(config), str(threads)]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | vendors.env | own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield _Worker(process)
        process.stdin.close()  # type: ignore[union-attr]


def _run(config: str, threads: int) -> None:
    from backhaul.pipeline import rounds
    from flows.fleet import FleetError, sync_all

    if threads:
        rounds.SYNC = replace(rounds.SYNC, at_once=threads)
    for line in sys.stdin:
        since = json.loads(line)
        began, cpu = time.perf_counter(), time.process_time()
        try:
            outcomes = sync_all.fn(config=config, trigger="schedule", since=since and datetime.fromisoformat(since))
        except FleetError as error:
            outcomes = error.outcomes
        told = {
            "seconds": round(time.perf_counter() - began, 2),
            "cpu_s": round(time.process_time() - cpu, 3),
            "each": {one.merchant: one.seconds for one in outcomes if not one.is_left},
            "failed": [f"{one.merchant}: {one.error}" for one in outcomes if one.error is not None],
            "delivered": sum(one.counts.get("delivered", 0) for one in outcomes),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    _run(sys.argv[1], int(sys.argv[2]))
