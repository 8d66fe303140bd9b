"""Limits that hold whatever a vendor does: on the time of a call, the size of an answer, and how long a 429 is waited out."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from backhaul.connectors.http import ANSWER_LONGEST, CALL_DEADLINE, PAUSED_LONGEST, READ_ATTEMPTS, Budget, Http, within
from backhaul.domain.backoff import LEASE
from backhaul.errors import BudgetSpentError, StructuralError, ThrottledError, TransientVendorError
from tests.connectors.vendor_server import Answer, FakeTime, Vendor, said

DRIPS_FOR = 40.0  # seconds; what waits for its end has no deadline
ENOUGH = 30.0  # far more than a deadline of half a second needs
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"


class Dripper:
    """A vendor that answers every call at once, and then a byte at a time without end."""

    def __init__(self, at_once: bytes, byte: bytes) -> None:
        self.calls = 0
        self._at_once, self._byte = at_once, byte
        self._over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/api"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            self.calls += 1
            threading.Thread(target=self._drip, args=(caller,), daemon=True).start()

    def _drip(self, caller: socket.socket) -> None:
        with caller:
            try:
                caller.recv(65_536)
                caller.sendall(self._at_once)
                ends_at = time.monotonic() + DRIPS_FOR
                while not self._over.wait(0.02) and time.monotonic() < ends_at:
                    caller.sendall(self._byte)
            except OSError:
                return

    def stop(self) -> None:
        self._over.set()
        self._listening.close()


@pytest.fixture(params=[(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"), (HEAD, b" ")], ids=["headers", "body"])
def dripper(request: pytest.FixtureRequest) -> Iterator[Dripper]:
    server = Dripper(*request.param)
    yield server
    server.stop()


def test_a_write_that_drips_is_cut_by_the_clock_and_uncertain(dripper: Dripper, connect: Callable[..., Http]) -> None:
    started = time.monotonic()
    with pytest.raises(TransientVendorError, match=r"0\.5 s") as caught:
        connect(dripper.url, timeout=0.5).write("POST", "/x", {})
    assert caught.value.is_certain is False and dripper.calls == 1
    assert 0.4 < time.monotonic() - started < ENOUGH


def test_a_read_that_drips_is_cut_each_time_it_is_tried(dripper: Dripper, connect: Callable[..., Http]) -> None:
    started, http = time.monotonic(), connect(dripper.url, timeout=0.3)
    with pytest.raises(TransientVendorError) as caught:
        http.read("/x")
    assert caught.value.is_certain and http.calls == READ_ATTEMPTS
    assert time.monotonic() - started < ENOUGH


def test_a_read_is_not_tried_again_when_the_deadline_around_it_is_over(dripper: Dripper, connect: Callable[..., Http]) -> None:
    started, http = time.monotonic(), connect(dripper.url)
    with pytest.raises(TransientVendorError), within(0.3):
        http.read("/x")
    assert http.calls == 1 and time.monotonic() - started < ENOUGH


def test_a_connection_that_served_one_call_in_time_is_cut_in_the_next(vendor: Vendor, connect: Callable[..., Http]) -> None:
    http = connect(vendor.url, timeout=0.3)
    vendor.says(said([1]), Answer(trick="hang"))
    assert http.read("/x") == b"[1]"
    with pytest.raises(TransientVendorError):
        http.write("POST", "/x")


def test_a_call_ends_before_the_lease_of_the_delivery_that_it_makes() -> None:
    assert LEASE.total_seconds() > CALL_DEADLINE


def bomb(size: int) -> Answer:
    packer = zlib.compressobj(wbits=31)
    zeros = b" " * 1_000_000
    packed = b"".join(packer.compress(zeros) for _ in range(size // len(zeros))) + packer.flush()
    return Answer(packed, headers={"Content-Encoding": "gzip"})


def test_an_answer_that_inflates_to_four_hundred_megabytes_is_given_up_at_the_limit(vendor: Vendor, connect: Callable[..., Http]) -> None:
    vendor.says(bomb(400_000_000))
    http = connect(vendor.url)
    with pytest.raises(StructuralError, match=f"more than {ANSWER_LONGEST // 1_000_000} MB"):
        http.read("/x")
    assert len(vendor.requests) == 1
    with pytest.raises(TransientVendorError) as caught:
        http.write("POST", "/x")
    assert caught.value.is_certain is False


def test_a_bomb_takes_no_more_memory_than_the_limit_allows(
    vendor: Vendor, connect: Callable[..., Http], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tracemalloc

    from backhaul.connectors import http as module

    monkeypatch.setattr(module, "ANSWER_LONGEST", 1_000_000)
    vendor.says(bomb(400_000_000))
    http = connect(vendor.url)
    tracemalloc.start()
    try:
        with pytest.raises(StructuralError):
            http.read("/x")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_an_answer_too_long_is_refused_when_it_is_not_packed_as_well(
    vendor: Vendor, connect: Callable[..., Http], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backhaul.connectors.http.ANSWER_LONGEST", 1000)
    vendor.says(Answer(b" " * 999 + b"1"), Answer(b" " * 1000 + b"1"))
    http = connect(vendor.url)
    assert http.read("/x").strip() == b"1"
    with pytest.raises(StructuralError):
        http.read("/x")


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate"])
def test_a_packed_answer_is_read(vendor: Vendor, connect: Callable[..., Http], coding: str) -> None:
    packed = zlib.compress(b'{"a": 1}') if coding == "deflate" else gzip.compress(b'{"a": 1}')
    vendor.says(Answer(packed, headers={"Content-Encoding": coding}))
    assert connect(vendor.url).read("/x") == b'{"a": 1}'
    assert vendor.requests[0].headers["Accept-Encoding"] == "gzip"


def test_a_read_waits_out_a_window_of_a_minute_and_says_so(
    vendor: Vendor, connect: Callable[..., Http], fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    free_at = fake_time.now + 59

    vendor.respond = lambda _: said([1]) if fake_time.now >= free_at else said({"message": "Too Many Attempts."}, 429)
    with caplog.at_level(logging.WARNING):
        assert connect(vendor.url).read("/x") == b"[1]"
    assert 59 <= sum(fake_time.slept) < 70
    assert "acme: waiting 16 s until loop takes more calls" in caplog.messages
    assert len(vendor.requests) <= 6


def test_a_vendor_that_never_takes_calls_again_ends_the_read_after_its_window(
    vendor: Vendor, connect: Callable[..., Http], fake_time: FakeTime
) -> None:
    vendor.says(said({}, 429))
    with pytest.raises(ThrottledError):
        connect(vendor.url).read("/x")
    assert 60 <= sum(fake_time.slept) < PAUSED_LONGEST


def test_a_429_uses_up_none_of_the_attempts_that_other_failures_have(vendor: Vendor, connect: Callable[..., Http]) -> None:
    vendor.says(*[said({}, 429)] * 3, *[said({}, 503)] * 4, said([1]))
    assert connect(vendor.url).read("/x") == b"[1]"


def test_a_wait_that_a_deadline_leaves_no_time_for_is_not_begun(vendor: Vendor, connect: Callable[..., Http], fake_time: FakeTime) -> None:
    budget = Budget(1, sleep=fake_time.sleep, clock=fake_time.clock)
    http = connect(vendor.url, budget=budget)
    vendor.says(said({}, 429, Retry_After="50"))
    with within(45):
        with pytest.raises(ThrottledError) as throttled:
            http.read("/x")
        with pytest.raises(BudgetSpentError) as spent:
            http.read("/x")
    assert throttled.value.retry_after == 50 and spent.value.retry_after == 60 and spent.value.is_certain
    assert not fake_time.slept and len(vendor.requests) == 1


def test_a_deadline_inside_another_never_makes_it_longer(dripper: Dripper, connect: Callable[..., Http]) -> None:
    started = time.monotonic()
    with pytest.raises(TransientVendorError), within(0.3), within(100):
        connect(dripper.url).write("POST", "/x")
    assert time.monotonic() - started < ENOUGH
