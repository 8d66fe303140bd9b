"""People are told what needs them: once, in digests, over real HTTP and SMTP, and never with a customer's or a vendor's words."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import sqlalchemy as sa

from backhaul import config
from backhaul.domain.words import ExceptionKind
from backhaul.errors import BackhaulError
from backhaul.pipeline import notifying
from backhaul.pipeline.session import utc_now
from backhaul.store import tables
from backhaul.store.exceptions import raise_exception, resolve_exception
from backhaul.store.runs import finish_run, start_run
from backhaul.store.transaction import Transaction
from tests.e2e.house import House

WORDS = "Jane Invented of 12 Example Road said \x1b[31mno"


class Post:
    """A local HTTP server that takes what is posted; `status` is what it answers."""

    def __init__(self) -> None:
        self.taken: list[dict[str, str]] = []
        self.status = 200
        post = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if post.status == 200:
                    post.taken.append(json.loads(body))
                self.send_response(post.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"json://127.0.0.1:{self.server.server_port}/not-a-real-token/"


@pytest.fixture
def post() -> Iterator[Post]:
    opened = Post()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()


@contextmanager
def _mail_server() -> Iterator[tuple[int, list[str]]]:
    """A local SMTP server: its port, and the messages it took."""
    taken: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                word = line.split(b" ")[0].strip().upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    taken.append(b"".join(lines).decode())
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], taken
        server.shutdown()


@pytest.fixture
def told(house: House, post: Post, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose config tells one address."""
    monkeypatch.setenv("TEST_NOTIFY_URL", post.url)
    house.file.write_text(house.file.read_text() + '\n[notify]\nurls = ["env:TEST_NOTIFY_URL"]\n')
    return house


def _raise(house: House, kind: ExceptionKind, subject: str, why: str = WORDS) -> None:
    with house.store.write() as connection:
        raise_exception(Transaction(connection, "acme", "run", utc_now()), kind, subject, why, subject)


def _resolve(house: House, subject: str) -> None:
    with house.store.write() as connection:
        resolve_exception(Transaction(connection, "acme", "run", utc_now()), None, subject)


def _send(house: House, later: timedelta = timedelta()) -> dict[str, int]:
    settings = config.load(house.file)
    return notifying.send_due(house.store, settings, clock=lambda: utc_now() + later)


def _fail_a_run(house: House, error: str | None) -> None:
    finish_run(house.store, start_run(house.store, "sync", "acme", "schedule", utc_now()), utc_now(), error)


def test_what_is_new_is_told_once_by_kind_and_merchant_without_anybodys_words(told: House, post: Post) -> None:
    for number in range(12):
        _raise(told, ExceptionKind.UNKNOWN_CONDITION, f"10{number:02}")
    _raise(told, ExceptionKind.RMA_REFUSED, "Jane Invented \x1b[31m")
    _fail_a_run(told, f"VendorError: {WORDS}")
    assert _send(told) == {"env:TEST_NOTIFY_URL": 14}
    [message] = post.taken
    assert message["title"] == "Backhaul: 14 things need a look at acme"
    said = message["message"]
    assert "- 12 unknown_condition, since" in said and "1000, 1001" in said and "and 4 more" in said
    assert "- 1 rma_refused, since" in said and "- 1 runs that fail" in said and ": sync\n" in said
    assert ExceptionKind.UNKNOWN_CONDITION.remedy in said
    for word in ("Jane", "Road", "\x1b", "not-a-real"):
        assert word not in json.dumps(message)
    assert _send(told) == _send(told, timedelta(hours=1)) == {}
    assert len(post.taken) == 1


def test_what_comes_within_a_quarter_of_an_hour_waits_for_the_next_digest(told: House, post: Post) -> None:
    _raise(told, ExceptionKind.UNKNOWN_CONDITION, "1")
    _send(told)
    _raise(told, ExceptionKind.UNKNOWN_CONDITION, "2")
    _raise(told, ExceptionKind.UNKNOWN_CONDITION, "3")
    _resolve(told, "3")
    assert _send(told, timedelta(minutes=5)) == {}
    assert _send(told, timedelta(minutes=16)) == {"env:TEST_NOTIFY_URL": 1}
    assert ": 2\n" in post.taken[-1]["message"]


def test_what_closed_and_opened_again_is_told_again(told: House, post: Post) -> None:
    _raise(told, ExceptionKind.UNKNOWN_CONDITION, "1")
    _fail_a_run(told, "VendorError")
    assert _send(told) == {"env:TEST_NOTIFY_URL": 2}
    _fail_a_run(told, "VendorError")  # the same failure still
    assert _send(told, timedelta(minutes=16)) == {}
    _resolve(told, "1")
    _raise(told, ExceptionKind.UNKNOWN_CONDITION, "1", "another cause")
    _fail_a_run(told, None)
    _fail_a_run(told, "VendorError")
    assert _send(told, timedelta(minutes=16)) == {"env:TEST_NOTIFY_URL": 2}


def test_an_address_that_does_not_take_it_is_told_the_next_time_and_others_are_not_told_twice(
    told: House, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Post()
    monkeypatch.setenv("TEST_OTHER_URL", other.url)
    told.file.write_text(told.file.read_text().replace('["env:TEST', '["env:TEST_OTHER_URL", "env:TEST'))
    _raise(told, ExceptionKind.UNKNOWN_CONDITION, "1")
    other.status = 500
    with pytest.raises(BackhaulError, match=r"not taken by env:TEST_OTHER_URL; .*sent again") as refused:
        _send(told)
    assert "not-a-real" not in str(refused.value) and len(post.taken) == 1
    other.status = 200
    assert _send(told) == {"env:TEST_OTHER_URL": 1}
    assert len(post.taken) == 1 and len(other.taken) == 1
    other.server.shutdown()


def test_the_command_tells_by_mail_too_and_tries_each_address(told: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with _mail_server() as (port, taken):
        monkeypatch.setenv("TEST_NOTIFY_URL", f"mailto://127.0.0.1:{port}/?to=ops@example.com&from=backhaul@example.com")
        tried = told.command("notify", "--test")
        assert (tried.returncode, tried.stdout) == (0, "env:TEST_NOTIFY_URL took the test message.\n"), tried.stderr
        _raise(told, ExceptionKind.RMA_REFUSED, "77")
        sent = told.command("notify", "--json")
        assert json.loads(sent.stdout) == [{"address": "env:TEST_NOTIFY_URL", "told_of": 1}], sent.stderr
    assert "Subject: Backhaul: a test" in taken[0]
    assert "rma_refused" in taken[1] and "77" in taken[1] and "Jane" not in taken[1]
    away = told.command("notify", "--test")
    assert away.returncode == 1 and away.stderr.count("\n") == 1 and "not taken by env:TEST_NOTIFY_URL" in away.stderr


def test_an_address_that_is_none_is_an_error_that_does_not_tell_it(told: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_NOTIFY_URL", "not-a-real-address")
    done = told.command("notify", "--test")
    assert done.returncode == 2 and "no URL that Apprise knows" in done.stderr and "not-a-real" not in done.stderr
    with told.store.read() as connection:
        assert connection.execute(sa.select(tables.notices)).all() == []
