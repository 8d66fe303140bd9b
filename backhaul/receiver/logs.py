"""Structured logs: one JSON object a line, ids and counts, never a payload."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

_AT_MOST = 20  # warnings of one place in the code about one merchant
_WITHIN = 10.0  # seconds


class JsonLines(logging.Formatter):
    """A record as one line of JSON. Of an exception only its class and place are told: its text may hold what a vendor sent."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                line["where"] = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        return json.dumps(line, default=str).replace("\x7f", "\\u007f")  # JSON leaves this one control character as it is


class Throttle(logging.Filter):
    """Lets 20 warnings or errors through from one place about one merchant in ten seconds; the next that passes says how many did not.

    Strangers cause warnings as often as they like, and a full disk stops the store.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed: dict[tuple[str, int, Any], tuple[float, int]] = {}  # since when, how many

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        fields = getattr(record, "fields", {})
        place, now = (record.pathname, record.lineno, fields.get("merchant")), self._clock()
        since, count = self._passed.get(place, (now, 0))
        if now - since >= _WITHIN:
            if count > _AT_MOST:
                record.fields = fields | {"left_out": count - _AT_MOST}
            since, count = now, 0
        self._passed[place] = since, count + 1
        return count < _AT_MOST


def set_up(level: str = "INFO") -> None:
    """Send every log of this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(Throttle())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel("WARNING")
    logging.getLogger("backhaul").setLevel(level)
