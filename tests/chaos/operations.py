"""Every operation of a scenario, counted, and any one of them made to fail: after SQLite's way of testing that nothing is lost.

| operation | what fails |
|---|---|
| statement | the database does not run it |
| commit | the transaction is not committed |
| committed | it is, and we are not told |
| unsent | a call to a vendor finds no connection |
| busy | the vendor answers 503 and does nothing |
| lost | the vendor does it, and the answer never comes |

`once`: that one operation. `for good`: from that one on everything of its side, the store or that vendor, until it is healed.
`crash`: the program ends there, and nothing of it runs any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from backhaul import points

Mode = Literal["once", "for good", "crash"]
MODES: tuple[Mode, ...] = ("once", "for good", "crash")
LASTING = ("commit", "committed", "unsent", "lost")
_STORE = "store"
_EDGES = {"store.committing": "commit", "store.committed": "committed"}
_CALLS = ("unsent", "busy", "lost")


class Crash(BaseException):
    """The program ends here."""


@dataclass
class Operations:
    """Counts operations, and lets the one numbered `fails` fail."""

    fails: int | None = None
    mode: Mode = "once"
    seen: list[str] = field(default_factory=list)
    down: str | None = None  # the side that fails for good

    def reached(self, kind: str, side: str) -> bool:
        """One operation is at hand; returns whether it fails. Raises Crash."""
        self.seen.append(kind)
        is_the_one = len(self.seen) - 1 == self.fails
        if self.mode == "crash" and self.fails is not None and len(self.seen) > self.fails:
            raise Crash(kind)
        if is_the_one and self.mode == "for good":
            self.down = side
        return is_the_one or self.down == side

    def on_statement(self, cursor: Any, *_: Any) -> None:
        """Before a statement is run."""
        if self.reached("statement", _STORE):
            raise _database_error(cursor)

    def on_point(self, name: str) -> None:
        """At an edge of a transaction."""
        if name in _EDGES and self.reached(_EDGES[name], _STORE):
            raise sa.exc.OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    def on_call(self, send: Any, request: httpx.Request) -> httpx.Response:
        """A call to a vendor: three operations, of which one may fail."""
        side = request.url.path.split("/")[2]
        failing = [kind for kind in _CALLS if self.reached(kind, side)]
        if "unsent" in failing:
            raise httpx.ConnectError("no route to the vendor", request=request)
        if "busy" in failing:
            return answer(503, "Service unavailable")
        response: httpx.Response = send(request)
        if "lost" in failing:
            response.close()
            raise httpx.ReadTimeout("the answer never came", request=request)
        return response


def answer(status: int, message: str) -> httpx.Response:
    """An answer of a vendor, as a transport gives it."""
    stream = httpx.ByteStream(b'{"message": "%s"}' % message.encode())
    return httpx.Response(status, headers={"Content-Type": "application/json"}, stream=stream)


def _database_error(cursor: Any) -> Exception:
    if isinstance(cursor, sqlite3.Cursor):
        return sqlite3.OperationalError("disk I/O error")
    return psycopg.OperationalError("server closed the connection unexpectedly")


@contextmanager
def watched(operations: Operations) -> Iterator[Operations]:
    """While this lasts, every operation of this process is counted, and fails when it is its turn."""
    hooks = {name: lambda cursor, *rest: operations.on_statement(cursor, *rest) for name in ("do_execute", "do_executemany")}
    hooks["do_execute_no_params"] = hooks["do_execute"]
    send = httpx.HTTPTransport.handle_request
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points, "hook", operations.on_point)
        patch.setattr(httpx.HTTPTransport, "handle_request", lambda self, request: operations.on_call(lambda it: send(self, it), request))
        for name, hook in hooks.items():
            sa.event.listen(sa.Engine, name, hook)
        try:
            yield operations
        finally:
            for name, hook in hooks.items():
                sa.event.remove(sa.Engine, name, hook)
