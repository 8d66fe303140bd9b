"""`serve` for 100 merchants, with vendors that take 200 ms an answer: webhook in until RMA made, evenly told and beside one that floods.

The vendors, the service and the sender each have a process of their own. A tenth of the webhooks are new returns, the others change one.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.fleet import LATENCY
from benchmarks.surroundings import DATABASES
from benchmarks.vendors import STORE, Vendors, serving
from benchmarks.webhook import percentile, request, running, send

MERCHANTS = 100
EVEN, FLOODED = 200, 60  # webhooks a second
FLOOD = 0.9  # of them, one merchant's
_A_NEW_ONE_IN = 10
_PATIENCE = 180.0  # seconds for what is still under way when the last was sent
_TICKS = os.sysconf("SC_CLK_TCK")


def measure(database: str, seconds: int, _: int = 1) -> dict[str, Any]:
    """p95 of webhook to RMA in seconds, p99 of acceptance in milliseconds, and the service's processor time a webhook."""
    rng = random.Random(2)
    with tempfile.TemporaryDirectory() as place, DATABASES[database]() as fresh, serving(MERCHANTS, LATENCY) as vendors:
        names = list(vendors.merchants)
        with running(vendors.config.replace(STORE, fresh(Path(place))), vendors.env, Path(place)) as (address, pid):
            _through(vendors, address, names)  # warm
            before = _processor_seconds(pid)
            even = _through(vendors, address, [names[number % MERCHANTS] for number in range(EVEN * seconds)])
            cost = (_processor_seconds(pid) - before) / (EVEN * seconds)
            flooder, *others = names
            flood = [flooder if rng.random() < FLOOD else rng.choice(others) for _ in range(FLOODED * seconds)]
            flooded = _through(vendors, address, flood, rate=FLOODED, but=flooder)
    return {
        "serve_100_rma_p95_s": round(percentile(even["to_rma"], 95), 2),
        "serve_100_accepted_p99_ms": round(percentile(even["accepted"], 99), 1),
        "serve_flooded_others_p95_s": round(percentile(flooded["to_rma"], 95), 2),
        "serve_cpu_webhook_ms": round(cost * 1000, 1),
    }


def _through(vendors: Vendors, address: str, names: list[str], *, rate: int = EVEN, but: str | None = None) -> dict[str, list[float]]:
    """Send webhooks of these merchants, and wait until each new return has its RMA; those of `but` are sent and not measured."""
    told = vendors.ask(tell=names, a_new_one_in=_A_NEW_ONE_IN)
    requests = [request(name, body.encode(), signed) for name, signed, body, _ in told]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        began_at, accepted = pool.submit(send, int(address.rpartition(":")[2]), requests, rate).result()
    due = {new: began_at + place / rate for place, (name, _, _, new) in enumerate(told) if new is not None and name != but}
    give_up_at = time.monotonic() + _PATIENCE
    while not due.keys() <= (made := vendors.ask(announced=True)).keys():
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"{len(due.keys() - made.keys())} of {len(due)} returns have no RMA after {_PATIENCE:g} s")
        time.sleep(0.5)
    return {"to_rma": [made[new] - at for new, at in due.items()], "accepted": accepted}


def _processor_seconds(pid: int) -> float:
    """What a process and its children have used until now."""
    total, waiting = 0, [pid]
    while waiting:
        process = waiting.pop()
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
        waiting += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    return total / _TICKS
