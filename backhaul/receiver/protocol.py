"""HTTP/1.1 with an end: every wait for a client has a deadline, and there are fewer connections than descriptors.

Uvicorn has a deadline for idle connections alone, and its limit of requests counts none that has not told its head.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

BACKLOG = 128  # connections that the kernel holds for us; asyncio accepts as many at once, before any of them is looked at
_MOST = 256  # each may hold a body of 1 MiB
_OURS = 32  # descriptors of the store, the logs and the worker
_READ_AT_ONCE = 16_384  # bytes; h11 holds a head to its limit only where it does not come whole
_MOST_PIECES = (
    4_000  # of one body: each costs some 20 microseconds of the event loop, and a chunk of one byte is one; 1 MiB has 700 packets
)


def most_connections() -> int:
    """How many connections to hold at once: what the limit of descriptors leaves while as many again as the backlog are let in."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(1, min(_MOST, descriptors - _OURS - BACKLOG)) if descriptors != resource.RLIM_INFINITY else _MOST


class _Connection(h11.Connection):
    """Refuses a body in more pieces than anybody needs."""

    pieces = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Data):
            self.pieces += 1
            if self.pieces > _MOST_PIECES:
                raise h11.RemoteProtocolError("a body in too many pieces")
        elif isinstance(event, h11.Request):
            self.pieces = 0
        return event


class BoundedProtocol(H11Protocol):
    """Ends a connection whose head, body or answer takes longer than `patience` seconds each.

    Beyond `most` connections, the one gives way that has kept us waiting longest for its request; one that is being answered never does.
    """

    patience: ClassVar[float] = 20.0  # longer than the store is waited for; 1 MiB in that time is 52 kB a second
    most: ClassVar[int] = _MOST

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn = _Connection(h11.SERVER)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._phase: tuple[object, object] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._watch()
        if len(self.connections) > self.most:
            _make_room(self.connections)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _READ_AT_ONCE):
            if not self.transport.is_closing():
                super().data_received(data[start : start + _READ_AT_ONCE])

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; where an answer has begun already, only end."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.close()

    def handle_events(self) -> None:
        super().handle_events()
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    @property
    def owes_us_its_request(self) -> bool:
        """Whether the client has still to send what we could answer."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def end(self) -> None:
        """Drop the connection, and what has not been sent."""
        self.connections.discard(self)
        self.transport.abort()

    def _watch(self) -> None:
        """Set the deadline anew when another part of the exchange has begun; bytes that drip in begin none."""
        phase = (self.conn.their_state, self.cycle)
        if phase == self._phase:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._phase, self.since = phase, self.loop.time()
        self._deadline = self.loop.call_later(self.patience, self.end)


def _make_room(connections: set[Any]) -> None:
    waiting = [one for one in connections if one.owes_us_its_request]
    if waiting:
        min(waiting, key=lambda one: one.since).end()
