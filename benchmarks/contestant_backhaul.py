"""Backhaul on the same pages: its own backfill flow, as the command runs it. `python -m benchmarks.contestant_backhaul JOB [WORKERS]`."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

from benchmarks.job import Job, Taken, read_job, tell

WORKERS = 2


def load(job: Job, workers: int = WORKERS) -> Taken:
    """Backfill the job's range. Imports are not counted, nor are dlt's."""
    file = Path(job.folder) / "backhaul.toml"
    file.write_text(job.config)
    os.environ.update(job.env | {"GX_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"})
    from backhaul.store.engine import Store
    from flows.backfill import backfill

    Store(job.store).ready().close()
    started, cpu = time.perf_counter(), time.process_time()
    start, end = (f"{moment.replace(' ', 'T')}+00:00" for moment in (job.start, job.end))
    summary = backfill.fn("acme", start, end, workers=workers, config=str(file), trigger="command")
    taken, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Taken(summary.counts.get("records_out", 0), taken, cpu, {"peak_mib": peak})


if __name__ == "__main__":
    tell(load(read_job(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else WORKERS))
