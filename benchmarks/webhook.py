"""Webhooks: how long until one is accepted durably at 200 a second, and until its RMA exists.

The real service runs in a process of its own; the sandbox is the vendor.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from backhaul.sandbox import Sandbox, config_env, config_toml
from backhaul.sandbox.core.faults import Fault
from backhaul.sandbox.loop.hooks import payload, php_json, signature

HUNG = ("hung-one", "hung-two")
_STARTS_WITHIN = 60.0  # seconds


def measure(url: str, folder: Path, rate: int, seconds: float, probes: int) -> dict[str, float]:
    """Accept latencies at `rate` a second, and webhook-to-RMA latencies of `probes` in quiet and under that load; all in milliseconds."""
    with Sandbox(seed=5) as box, _service(box, url, folder) as address:
        quiet = _to_rma(box, probes, pause=0.25)
        accepted, loaded = _load(box, address, rate, seconds, probes)
    return {
        "accepted p50": percentile(accepted, 50),
        "accepted p99": percentile(accepted, 99),
        "webhook to RMA p50": percentile(quiet, 50),
        "webhook to RMA p95": percentile(quiet, 95),
        "webhook to RMA p95 under that load": percentile(loaded, 95),
    }


def measure_hung(url: str, folder: Path, probes: int) -> float:
    """Webhook-to-RMA p95 in milliseconds of a merchant beside two whose vendors answer nothing, and whose events come as often."""
    with Sandbox(seed=6, merchants=("acme", *HUNG)) as box, _service(box, url, folder) as address:
        for merchant in HUNG:
            box.world.subscribe(merchant, address)
            box.world.faults.add(Fault(target="*", kind="hang", times=None, seconds=600, merchant=merchant))
        stopping = threading.Event()
        flooding = threading.Thread(target=_shop_at, args=(box, HUNG, stopping))
        flooding.start()
        try:
            time.sleep(2)  # by now both are waited for
            return percentile(_to_rma(box, probes, pause=0.5), 95)
        finally:
            stopping.set()
            flooding.join()


def _shop_at(box: Sandbox, merchants: Sequence[str], stopping: threading.Event) -> None:
    while not stopping.wait(0.5):
        for merchant in merchants:
            box.world.create_return(merchant)


@contextmanager
def _service(box: Sandbox, url: str, folder: Path) -> Iterator[str]:
    """The service, warm."""
    with running(config_toml(box, store_url=url), config_env(box), folder) as (address, _):
        box.world.subscribe("acme", address)
        first = box.world.create_return("acme", order_number=999)
        _wait_for(partial(_has_rma, box, first.id), _STARTS_WITHIN)
        yield address


@contextmanager
def running(text: str, env: dict[str, str], folder: Path) -> Iterator[tuple[str, int]]:
    """`backhaul serve` in its own process: its address and process id. Ends it with SIGTERM, and says when that did not end it cleanly."""
    config = folder / "backhaul.toml"
    config.write_text(text, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "backhaul"), "--config", str(config), "serve", "--port", str(port)]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | env, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(lambda: _answers(address), _STARTS_WITHIN)
            yield address, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            if process.wait(60) != 0:
                print(f"the service ended with {process.returncode}", file=sys.stderr)


def _to_rma(box: Sandbox, probes: int, pause: float) -> list[float]:
    """The sandbox posts `return.created`; how long until its MasonHub has the RMA."""
    found = []
    for number in range(probes):
        began = time.perf_counter()
        made = box.world.create_return("acme", ("TEE-NAV-M", "OXF-NAV-S"), order_number=5_000 + number)
        _wait_for(partial(_has_rma, box, made.id), _STARTS_WITHIN)
        found.append((time.perf_counter() - began) * 1000)
        time.sleep(pause)
    return found


def _has_rma(box: Sandbox, return_id: int) -> bool:
    return box.world.effects("acme", "masonhub.create", return_id) > 0


def _load(box: Sandbox, address: str, rate: int, seconds: float, probes: int) -> tuple[list[float], list[float]]:
    """Signed events at a steady rate from a process of their own, a tenth of them new returns and the rest changes of them."""
    secret = box.keys["acme"].loop_webhook_secret
    requests = [request("acme", body, signature(secret, body)) for body in _bodies(box, round(rate * seconds))]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(int).result()  # started before the clock is
        sending = pool.submit(send, int(address.rpartition(":")[2]), requests, rate)
        loaded = _to_rma(box, probes, pause=0.2)
        return sending.result()[1], loaded


def request(merchant: str, body: bytes, signed: str) -> bytes:
    """The bytes of a webhook."""
    head = f"POST /webhooks/{merchant}/loop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Loop-Signature: {signed}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def send(port: int, requests: list[bytes], rate: int) -> tuple[float, list[float]]:
    """When the first was due, in seconds since 1970, and the milliseconds of each from when it was due to its answer.

    Bare sockets, so that the sender's own work does not count; a request that finds no free connection waits, and that counts.
    """

    async def run() -> tuple[float, list[float]]:
        free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        for _ in range(40):
            free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
        began, began_at = time.perf_counter(), time.time()

        async def post(number: int, request: bytes) -> float:
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            reader, writer = await free.get()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.split(b"\r\n")[0].decode())
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            free.put_nowait((reader, writer))
            return (time.perf_counter() - due) * 1000

        return began_at, await asyncio.gather(*(post(number, request) for number, request in enumerate(requests)))

    return asyncio.run(run())


def _bodies(box: Sandbox, count: int) -> Iterator[bytes]:
    account, rng = box.world.loop("acme"), random.Random(1)
    made = []
    for number in range(count):
        if number % 10 == 0:
            item = box.world.create_return("acme", ("TEE-NAV-M",), order_number=10_000 + number, is_silent=True)
            made.append(item)
            yield php_json(payload(account, "return", "return.created", item, {}))
        else:
            body = payload(account, "label", "label.updated", rng.choice(made), {})
            yield php_json(body | {"shipment_id": str(number)})


def _wait_for(condition: Callable[[], bool], seconds: float) -> None:
    until = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > until:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.005)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def percentile(values: list[float], share: int) -> float:
    """The value that so many in a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]
