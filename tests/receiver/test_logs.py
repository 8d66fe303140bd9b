"""What the service writes about strangers is bounded and printable."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from backhaul.receiver.logs import JsonLines, Throttle


@dataclass
class _Log:
    logger: logging.Logger
    stream: io.StringIO
    now: list[float] = field(default_factory=lambda: [0.0])

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[_Log]:
    stream, logger = io.StringIO(), logging.getLogger("backhaul.test-logs")
    made, handler = _Log(logger, stream), logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    handler.addFilter(Throttle(lambda: made.now[0]))
    logger.addHandler(handler)
    logger.setLevel("INFO")
    logger.propagate = False
    yield made
    logger.removeHandler(handler)


def _warn(log: _Log, times: int, merchant: str | None = None) -> None:
    for _ in range(times):
        log.logger.warning("refused", extra={"fields": {"merchant": merchant} if merchant else {}})


def test_what_a_stranger_causes_a_thousand_times_is_told_twenty_times_and_then_counted(log: _Log) -> None:
    _warn(log, 1000)
    assert len(log.lines()) == 20
    log.now[0] = 10.0
    _warn(log, 1)
    assert log.lines()[-1]["left_out"] == 980
    _warn(log, 30)
    assert len(log.lines()) == 40


def test_one_merchants_trouble_does_not_silence_anothers(log: _Log) -> None:
    _warn(log, 100, "acme")
    _warn(log, 1, "birch")
    assert [line["merchant"] for line in log.lines()] == ["acme"] * 20 + ["birch"]


def test_what_was_kept_is_always_told(log: _Log) -> None:
    for _ in range(100):
        log.logger.info("kept")
    assert len(log.lines()) == 100


def test_a_log_line_is_printable_whatever_it_tells(log: _Log) -> None:
    log.logger.info("kept", extra={"fields": {"topic": "\x1b]0;x\x07\x7f\x9b2J\u202e\ud800\n"}})
    written = log.stream.getvalue()
    assert written.endswith("\n") and written[:-1].isascii() and written[:-1].isprintable()
