"""A round over many merchants with vendors that take 200 ms an answer: idle, with one new return each, and with one vendor that hangs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.surroundings import DATABASES, ROOT
from benchmarks.vendors import STORE, Vendors, serving

LATENCY = 0.2  # seconds
HANGS = 10.0  # seconds an answer, of the one that hangs


def measure(database: str, merchants: int, _rounds: int = 1) -> dict[str, Any]:
    """Seconds of the clock by round, of the processor by merchant, and the peak of memory; all rounds are one process's."""
    with tempfile.TemporaryDirectory() as place, DATABASES[database]() as fresh, serving(merchants, LATENCY) as vendors:
        folder = Path(place)
        file = folder / "backhaul.toml"
        file.write_text(vendors.config.replace(STORE, fresh(folder)))
        environment = (
            os.environ | vendors.env | {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_LOGGING_LEVEL": "ERROR", "DO_NOT_TRACK": "1"}
        )
        command = [sys.executable, "-m", "benchmarks.fleet", str(file)]
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            found = _rounds_of(process, vendors)
            process.stdin.close()  # type: ignore[union-attr]
    return _numbers(found, merchants)


def _rounds_of(process: subprocess.Popen[str], vendors: Vendors) -> dict[str, dict[str, Any]]:
    def one_round() -> dict[str, Any]:
        print("go", file=process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
        return answer

    found = {"first": one_round(), "idle": one_round()}
    vendors.ask(shop=1)
    found["news"] = one_round()
    vendors.ask(hang=HANGS, merchants=[vendors.merchants[0]])
    found["hung"] = one_round()
    return found


def _numbers(found: dict[str, dict[str, Any]], merchants: int) -> dict[str, Any]:
    idle, news, hung = found["idle"], found["news"], found["hung"]
    others = [seconds for name, seconds in hung["each"].items() if seconds < HANGS]
    return {
        "fleet": {
            "merchants": merchants,
            "idle_s": idle["seconds"],
            "news_s": news["seconds"],
            "hung_s": hung["seconds"],
            "cpu_idle_ms": round(idle["cpu_s"] / merchants * 1000, 1),
            "cpu_news_ms": round(news["cpu_s"] / merchants * 1000, 1),
            "idle_p50_s": round(median(idle["each"].values()), 2),
            "hung_others_p50_s": round(median(others), 2),
            "announced": news["delivered"],
            "peak_mib": round(hung["peak_mib"]),
        }
    }


def _run(config: str) -> None:
    from backhaul.pipeline.rounds import Outcome
    from flows.fleet import FleetError, sync_all

    for _ in sys.stdin:
        began, cpu = time.perf_counter(), time.process_time()
        try:
            outcomes: list[Outcome] = sync_all.fn(config=config, trigger="schedule")
        except FleetError as error:
            outcomes = error.outcomes
        failed = [f"{one.merchant}: {one.error}" for one in outcomes if one.error is not None]
        told = {
            "seconds": round(time.perf_counter() - began, 2),
            "cpu_s": round(time.process_time() - cpu, 3),
            "each": {one.merchant: one.seconds for one in outcomes},
            "failed": len(failed),
            "delivered": sum(one.counts.get("delivered", 0) for one in outcomes),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        if failed:
            print(failed[:3], file=sys.stderr)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    _run(sys.argv[1])
