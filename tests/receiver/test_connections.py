"""Connections that never say what they want: they end, and they keep nobody else out."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backhaul.receiver.protocol import BoundedProtocol
from backhaul.sandbox import Sandbox, config_env, config_toml

from .conftest import MERCHANT
from .test_service import COMMAND, _answers, _head, _until

DESCRIPTORS = 256
BEGINNINGS = (
    b"",
    b"POST /webhooks/acme/loop HTTP/1.1\r\nHost: x\r\n",
    b"POST /webhooks/acme/loop HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
    b"POST /webhooks/acme/loop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
)


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


def test_idle_and_half_sent_requests_keep_nobody_out_and_fill_no_log(tmp_path: Path, sqlite_url: str) -> None:
    with Sandbox(seed=13, merchants=(MERCHANT,)) as box, contextlib.ExitStack() as opened:
        config, log = tmp_path / "backhaul.toml", tmp_path / "log"
        config.write_text(config_toml(box, store_url=sqlite_url), encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [COMMAND, "--config", str(config), "serve", "--port", str(port)],
                env=os.environ | config_env(box),
                stderr=stream,
                preexec_fn=_few_descriptors,
            )
        try:
            _until(lambda: _answers(address))
            for number in range(DESCRIPTORS):
                connection = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
                with contextlib.suppress(OSError):  # one that has been ended already
                    connection.sendall(BEGINNINGS[number % len(BEGINNINGS)])
            body = b'{"topic":"label","trigger":"label.updated","id":5}'
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
                    one.sendall(_head(box, body) + body)
                    assert one.recv(4096).startswith(b"HTTP/1.1 200")
            assert httpx.get(f"{address}/readyz", timeout=10).status_code == 200
        finally:
            process.terminate()
            assert process.wait(300) == 0
    assert log.stat().st_size < 100_000


class _Hasty(BoundedProtocol):
    patience = 0.4
    most = 8


async def _echo(request: Request) -> Response:
    return Response(await request.body())


class _Patient(BoundedProtocol):
    patience = 3.0


@contextlib.contextmanager
def _serving(protocol: type[BoundedProtocol]) -> Iterator[int]:
    routes = [Route("/{rest:path}", _echo, methods=["GET", "POST"])]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, http=protocol, ws="none", log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    _until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def port() -> Iterator[int]:
    """A server with the receiver's protocol, whose deadlines are short and whose connections are few."""
    with _serving(_Hasty) as port:
        yield port


def _is_ended(connection: socket.socket) -> bool:
    connection.settimeout(30)
    try:
        return connection.recv(4096) == b""
    except ConnectionResetError:
        return True


def _send_on_and_on(connection: socket.socket, data: bytes, times: int, pause: float = 0.0) -> None:
    for _ in range(times):
        connection.sendall(data)
        time.sleep(pause)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_request_that_does_not_come_is_not_waited_for(port: int, beginning: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(beginning)
        assert _is_ended(connection)


@pytest.mark.parametrize("beginning", BEGINNINGS[1:3])
def test_a_request_that_drips_is_not_waited_for_either(port: int, beginning: bytes) -> None:
    drip = b"x" if beginning.endswith(b"half") else b"a: b\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(beginning)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            _send_on_and_on(connection, drip, times=90, pause=0.05)  # of 96 bytes that are owed, or of a head that may be 16 kB long


@pytest.mark.parametrize("pieces", [b"1\r\na\r\n", b"5;ext\r\nabcde\r\n"])
def test_a_body_in_a_hundred_thousand_pieces_is_refused_and_costs_the_others_little(pieces: bytes) -> None:
    with _serving(_Patient) as port, socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(OSError):  # it is ended before all of it is sent
            connection.sendall(pieces * 100_000 + b"0\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_a_head_of_ten_thousand_lines_is_refused_also_when_it_comes_at_once(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Line: a\r\n" * 10_000 + b"\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_what_is_no_http_after_an_early_answer_ends_the_connection_without_a_trace(caplog: pytest.LogCaptureFixture) -> None:
    with _serving(_Patient) as port, socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        told = b""
        while not told.endswith(b"Method Not Allowed"):
            told += connection.recv(4096)
        connection.sendall(b"no chunk\r\n")
        assert _is_ended(connection)
    assert [record for record in caplog.records if record.exc_info] == []


def test_one_that_is_idle_after_an_answer_is_ended(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert _is_ended(connection)


def test_one_that_reads_no_answers_is_ended(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        body = b"x" * 60_000
        connection.settimeout(30)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            _send_on_and_on(connection, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + body, times=2_000)


def test_requests_one_after_the_other_outlive_the_deadline_of_each() -> None:
    with _serving(_Patient) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        ports = set()
        for _ in range(40):
            answer = client.post("/", content=b"ab")
            ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
            time.sleep(0.1)
    assert len(ports) == 1


def test_beyond_the_limit_the_one_that_kept_us_waiting_longest_gives_way(port: int) -> None:
    with contextlib.ExitStack() as opened:
        waiting = [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(_Hasty.most * 3)]
        waiting[-1].sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
        assert waiting[-1].recv(4096).startswith(b"HTTP/1.1 200")
        assert _is_ended(waiting[0])
