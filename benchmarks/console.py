"""What the console costs on a store of a million returns: every page, the search, its start, its memory, and the weight of a page.

`python -m benchmarks.console [RETURNS]`: a real `backhaul console` on the store that `views` fills, asked over HTTP, each page in turn.
Beside wall time stands the processor time of the console itself, which others on the machine do not change.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from backhaul.store.engine import Store
from backhaul.store.search import search
from benchmarks.surroundings import DATABASES, folder
from benchmarks.views import MERCHANT, fill

PORT = 8791
_STARTS_WITHIN = 60.0  # seconds
_TICK = os.sysconf("SC_CLK_TCK")


def measure(database: str, count: int, rounds: int) -> dict[str, Any]:
    """Milliseconds by page and kind of search, and what the console costs besides."""
    with DATABASES[database]() as fresh, folder() as path:
        url = fresh(path)
        store = Store(url).ready()
        fill(store, count)
        searches = {words: _searched(store, words, rounds) for words in _searches(count)}
        store.close()
        with _console(url, path) as (client, process, started_in):
            pages = {page: _asked(client, process, page, rounds) for page in _pages(count)}
            memory = _resident(process)
    walls = sorted(wall for page, took in pages.items() for wall in took["walls_ms"] if not page.startswith("/trends"))
    trends = sorted(wall for page, took in pages.items() for wall in took["walls_ms"] if page.startswith("/trends"))
    return {
        "pages_1m_p95_ms": _p95(walls),
        "trends_1m_p95_ms": _p95(trends),
        "search_1m_p95_ms": _p95(sorted(wall for took in searches.values() for wall in took)),
        "console": {
            "returns": count,
            "start_s": round(started_in, 2),
            "memory_mb": round(memory / 1e6),
            "heaviest_kb": round(max(took["kb"] for took in pages.values()), 1),
            "pages": {page: {name: value for name, value in took.items() if name != "walls_ms"} for page, took in pages.items()},
            "searches_ms": {words: round(statistics.median(took), 1) for words, took in searches.items()},
        },
    }


def _pages(count: int) -> list[str]:
    """Each page of the desk, its filters and its orders, and a page from deep within."""
    day, month = (f"{datetime.now(UTC) - timedelta(days=75):{form}}" for form in ("%Y-%m-%d", "%Y-%m"))
    middle = count // 2
    return [
        "/",
        "/returns",
        f"/returns?merchant={MERCHANT}&stage=flagged",
        "/returns?stage=held",
        "/returns?stage=processed&way=turned",
        "/returns?decision=wait",
        "/returns?sku=SKU-7",
        "/returns?sku=none",
        "/returns?warehouse=masonhub",
        f"/returns?from={day}&to={day}",
        f"/returns?from={month}-01",
        "/returns?sort=value_at_risk",
        f"/returns?sort=value_at_risk&stage=exception&merchant={MERCHANT}",
        f"/returns?after={day}T00:00:00%2B00:00%7C{MERCHANT}%7C{middle}",
        f"/returns/{MERCHANT}/{middle}",
        f"/returns/{MERCHANT}/{middle + 80}",
        "/exceptions",
        "/exceptions?kind=delivery_refused&value=50&age=3",
        "/exceptions?sort=value",
        f"/exceptions?merchant={MERCHANT}&way=turned",
        "/quarantine",
        "/quarantine?state=all",
        "/quarantine?state=released&source=loop",
        "/deliveries",
        "/deliveries?state=open",
        "/deliveries?state=confirmed&kind=rma.create",
        "/deliveries?state=dead",
        f"/deliveries?return={middle}",
        "/events",
        "/events?outcome=waiting",
        "/events?outcome=unreadable",
        "/events?channel=webhook&source=masonhub",
        "/runs",
        "/runs?state=failed",
        f"/runs?flow=audit&merchant={MERCHANT}",
        "/runs/run-7",
        f"/merchants/{MERCHANT}",
        "/search?q=SKU-7",
        f"/search?q={middle}",
        "/search?q=%23123",
        "/data",
        "/data?question=standing",
        "/trends",
        f"/trends?month={month}",
        f"/trends?merchant={MERCHANT}&warehouse=masonhub",
    ]


def _searches(count: int) -> list[str]:
    """An order, an id, its beginning, a tracking number, a SKU that thousands have, and nothing."""
    middle = str(count // 2)
    return [f"#{middle}", middle, middle[:3], f"1Z{middle}", "SKU-7", "SKU", "nobody"]


def _searched(store: Store, words: str, rounds: int) -> list[float]:
    took = []
    for _ in range(rounds):
        began = time.monotonic()
        with store.read() as connection:
            search(connection, words)
        took.append((time.monotonic() - began) * 1000)
    return took


def _asked(client: httpx.Client, process: subprocess.Popen[bytes], page: str, rounds: int) -> dict[str, Any]:
    """A page once to be warm, then some times. Raises RuntimeError where it does not answer as a page."""
    answer = client.get(page)
    if answer.status_code >= 400:
        raise RuntimeError(f"{page}: {answer.status_code}")
    walls, before = [], _processor(process)
    for _ in range(rounds):
        began = time.monotonic()
        client.get(page)
        walls.append((time.monotonic() - began) * 1000)
    cost = (_processor(process) - before) * 1000 / rounds
    return {"walls_ms": walls, "median_ms": round(statistics.median(walls), 1), "cpu_ms": round(cost, 1), "kb": len(answer.content) / 1000}


@contextmanager
def _console(url: str, path: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes], float]]:
    """A console of its own process; how long it took to answer its first page."""
    config = path / "backhaul.toml"
    config.write_text(_CONFIG.format(merchant=MERCHANT), encoding="utf-8")
    environment = os.environ | {"BENCH_STORE_URL": url, "BENCH_KEY": "an-invented-key-not-a-real-one"}
    command = [str(Path(sys.executable).with_name("backhaul")), "--config", str(config), "console", "--port", str(PORT)]
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=120) as client:
            while not _answers(client):
                if process.poll() is not None or time.monotonic() - began > _STARTS_WITHIN:
                    raise RuntimeError("the console did not start")
                time.sleep(0.02)
            yield client, process, time.monotonic() - began
    finally:
        process.terminate()
        process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.TransportError:
        return False


def _processor(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor time that a process has used."""
    parts = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / _TICK


def _resident(process: subprocess.Popen[bytes]) -> int:
    """The most bytes of memory that a process has held."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _p95(walls: list[float]) -> float:
    return round(walls[min(len(walls) - 1, int(len(walls) * 0.95))], 1)


_CONFIG = """
[store]
url = "env:BENCH_STORE_URL"
[merchants.{merchant}]
warehouse = "masonhub"
[merchants.{merchant}.loop]
base_url = "https://api.loopreturns.com/api/2026-07"
api_key = "env:BENCH_KEY"
webhook_secret = "env:BENCH_KEY"
[merchants.{merchant}.masonhub]
base_url = "https://app.masonhub.co/{merchant}/api/v1"
token = "env:BENCH_KEY"
callback_token = "env:BENCH_KEY"
"""


def show(database: str, numbers: dict[str, Any]) -> None:
    """Print what was measured, the slowest page first."""
    console = numbers["console"]
    print(database, {name: value for name, value in numbers.items() if name != "console"})
    print({name: value for name, value in console.items() if name not in ("pages", "searches_ms")}, console["searches_ms"])
    for page, took in sorted(console["pages"].items(), key=lambda one: -one[1]["median_ms"]):
        print(f"  {page:<60} {took['median_ms']:>8.1f} ms {took['cpu_ms']:>8.1f} ms of processor {took['kb']:>7.1f} kB")


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    for name in sys.argv[2:] or DATABASES:
        show(name, measure(name, size, 7))
