"""One sandbox a test, served for real on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from backhaul.sandbox import Sandbox

RETURN = "/warehouse/return"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(seed=7, merchants=("acme", "bolt")) as running:
        yield running


@pytest.fixture
def loop(box: Sandbox) -> Iterator[httpx.Client]:
    headers = {"X-Authorization": box.keys["acme"].loop_api_key}
    with httpx.Client(base_url=box.loop_url("acme"), headers=headers, trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def masonhub(box: Sandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {box.keys['acme'].masonhub_token}"}
    with httpx.Client(base_url=box.masonhub_url("acme"), headers=headers, trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def airhouse(box: Sandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {box.keys['acme'].airhouse_api_key}"}
    with httpx.Client(base_url=box.airhouse_url("acme"), headers=headers, trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def control(box: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{box.url}/_sandbox", trust_env=False, timeout=5) as client:
        yield client


class Receiver:
    """A webhook receiver that keeps what it gets; `answers` are the statuses to give, 200 when they run out."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(body) for _, _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()
