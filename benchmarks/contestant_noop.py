"""Syncs that find nothing new, on a store that is full already. `python -m benchmarks.contestant_noop JOB`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks.job import Job, Taken, read_job, tell

SYNCS = 7


def load(job: Job) -> Taken:
    """Sync several times; the quickest counts. Raises RuntimeError when one of them found something."""
    os.environ.update(job.env | {"GX_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"})
    from flows.sync import sync

    file, times = Path(job.folder) / "backhaul.toml", []
    for _ in range(SYNCS):
        started, cpu = time.perf_counter(), time.process_time()
        summary = sync.fn("acme", config=str(file), trigger="command")
        times.append((time.perf_counter() - started, time.process_time() - cpu))
        if summary.counts.get("records_out") or summary.counts.get("delivered"):
            raise RuntimeError(f"the sync found something: {summary.counts}")
    return Taken(0, min(each for each, _ in times), min(each for _, each in times))


if __name__ == "__main__":
    tell(load(read_job(sys.argv[1])))
