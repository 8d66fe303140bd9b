"""A small real HTTP server on loopback that answers as it is told, and time that passes only by sleeping."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PAYLOADS = Path(__file__).parent / "payloads"
SECRET = "not-a-real-key-0123456789"


@dataclass
class Request:
    """What the server was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What the server answers. `trick` is one of hang, close, reset, truncate."""

    body: bytes = b"true"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    trick: str | None = None


def said(value: Any, status: int = 200, **headers: str) -> Answer:
    """An answer in JSON."""
    return Answer(json.dumps(value).encode(), status, {name.replace("_", "-"): text for name, text in headers.items()})


class Vendor:
    """The server: answers from a script in order (the last one again and again), or from a function of the request."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: list[Answer] = [Answer()]
        self.respond: Callable[[Request], Answer] | None = None
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers), body)
                vendor.requests.append(request)
                answer = vendor.respond(request) if vendor.respond else vendor.script.pop(0) if len(vendor.script) > 1 else vendor.script[0]
                if answer.trick:
                    self._trick(answer)
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def _trick(self, answer: Answer) -> None:
                self.close_connection = True
                if answer.trick == "hang":
                    time.sleep(0.6)
                elif answer.trick == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif answer.trick == "truncate":
                    self.send_response(200)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b'{"returns": [')
                self.connection.close()

            do_GET = do_POST = do_PUT = do_DELETE = _serve

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None: ...  # the tricks close sockets under the handler

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def says(self, *answers: Answer) -> None:
        """Answer these in order, then the last one for ever."""
        self.script = list(answers)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class FakeTime:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now
