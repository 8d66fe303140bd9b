"""The real process: it serves, works, and ends when told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import sqlalchemy as sa

from backhaul.sandbox import Sandbox, config_env, config_toml

from .conftest import MERCHANT

COMMAND = str(Path(sys.executable).parent / "backhaul")


def _until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_it_announces_a_new_return_and_at_sigterm_answers_what_is_under_way_then_ends(tmp_path: Path, sqlite_url: str) -> None:
    with Sandbox(seed=12, merchants=(MERCHANT,)) as box:
        config, log = tmp_path / "backhaul.toml", tmp_path / "log"
        config.write_text(config_toml(box, store_url=sqlite_url), encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [COMMAND, "--config", str(config), "serve", "--port", str(port)], env=os.environ | config_env(box), stderr=stream
            )
        try:
            _until(lambda: _answers(address))
            box.world.subscribe(MERCHANT, address)
            first = box.world.create_return(MERCHANT, ("TEE-NAV-M",))
            _until(lambda: box.world.effects(MERCHANT, "masonhub.create", first.id) == 1)

            second = box.world.create_return(MERCHANT, ("TEE-NAV-S",), order_number=1002)
            _until(lambda: box.world.effects(MERCHANT, "masonhub.create", second.id) == 1)

            posting = box.world.courier.postings[-1]
            with socket.create_connection(("127.0.0.1", port)) as half:  # a request that is under way when the signal comes
                third = posting.body.replace(b"return.created", b"return.updated")
                head = _head(box, third)
                half.sendall(head + third[:50])
                time.sleep(0.2)
                process.send_signal(signal.SIGTERM)
                time.sleep(0.2)
                half.sendall(third[50:])
                assert half.recv(4096).startswith(b"HTTP/1.1 200")
            assert process.wait(300) == 0
        finally:
            process.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"receiving", "kept", "events taken in", "stopped"} <= {line["message"] for line in lines}
    assert "Example Street" not in log.read_text() and "Traceback" not in log.read_text()
    engine = sa.create_engine(sqlite_url)
    with engine.connect() as connection:
        kept = connection.execute(sa.text("SELECT topic FROM events WHERE channel = 'webhook' ORDER BY event_id")).scalars().all()
    engine.dispose()
    assert kept == ["return.created", "return.created", "return.updated"]


def _head(box: Sandbox, body: bytes) -> bytes:
    from backhaul.sandbox.loop.hooks import signature

    signed = signature(box.keys[MERCHANT].loop_webhook_secret, body)
    lines = [f"POST /webhooks/{MERCHANT}/loop HTTP/1.1", "Host: x", "Content-Type: application/json", f"X-Loop-Signature: {signed}"]
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode()
