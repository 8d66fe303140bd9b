"""The HTTP side that all simulated vendors share: operations as data, and one endpoint that counts, admits, strikes and answers."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from backhaul.sandbox.core.faults import Fault
from backhaul.sandbox.core.ground import Account, Ground, Merchant
from backhaul.sandbox.core.journal import CallRecord

LOGIN_PAGE = b'<!DOCTYPE html><html><body><a href="/login">Found</a></body></html>'


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read. `query` keeps the last value of each name, `pairs` all of them."""

    merchant: str
    operation: str
    base_url: str
    path: dict[str, str]
    query: dict[str, str]
    pairs: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The decoded body. Raises msgspec.DecodeError when it is not JSON."""
        return msgspec.json.decode(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. The body is serialised already."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay: float = 0.0  # real seconds


def as_json(value: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON answer."""
    return Reply(msgspec.json.encode(value), status, {name.replace("_", "-"): text for name, text in headers.items()})


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint of a vendor: the name that faults and counters use, and the handler. `scope` is what the key must have."""

    name: str
    method: str
    path: str
    handler: Callable[[Ground, Call], Reply]
    scope: str = ""
    is_write: bool = False


@dataclass(frozen=True, slots=True)
class Vendor:
    """One simulated vendor: all that the sandbox has to know of it, and a row of its table of vendors.

    `name` is also the name of its config section; `secrets` (of a seed and a merchant) and `settings` are the lines of that section.
    """

    name: str
    prefix: str  # of every path; may hold a {version}
    base_path: str  # what a client's base URL ends in
    operations: Sequence[Operation]
    admit: Callable[[Ground, Call, Operation], Reply | None]
    secrets: Callable[[int, str], dict[str, str]]
    open_account: Callable[[Ground, Merchant], Account]
    point_hooks: Callable[[Ground, Merchant, str], object]  # at a URL, as a person would in the vendor's admin
    count_records: Callable[[Merchant], dict[str, Any]]
    show_record: Callable[[Merchant, str], Any]  # by our key, as the vendor writes it; None when there is none
    settings: Mapping[str, str] = field(default_factory=dict)  # TOML values by name
    mode: str = "live"  # in which a merchant of it begins


class Connections:
    """The sockets in use by client address, so that a fault can break one off, and the event that ends all waiting."""

    def __init__(self) -> None:
        self.transports: dict[tuple[str, int], asyncio.Transport] = {}
        self.stopping = asyncio.Event()

    def abort(self, client: tuple[str, int] | None) -> None:
        """Reset a connection. Raises ConnectionResetError when it is not one of ours (an in-process transport)."""
        transport = self.transports.get(client) if client else None
        if transport is None:
            raise ConnectionResetError("the sandbox broke off the connection, as asked")
        sock = transport.get_extra_info("socket")
        # With a linger of zero the close is a reset, as from a crashed proxy, not a polite end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


class Dropped(Response):
    """No answer: the connection is reset."""

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        self._connections.abort((client[0], client[1]) if client else None)
        await asyncio.sleep(0.001)  # lets the server see that the client is gone


def build(ground: Ground, vendors: Sequence[Vendor], control: Sequence[Route], connections: Connections) -> Starlette:
    """The whole ASGI application."""
    routes = list(control)
    for vendor in vendors:
        for operation in vendor.operations:
            endpoint = _endpoint(ground, vendor, operation, connections)
            routes.append(Route(f"/{{merchant}}{vendor.prefix}{operation.path}", endpoint, methods=[operation.method]))
    return Starlette(routes=routes)


def _endpoint(ground: Ground, vendor: Vendor, operation: Operation, connections: Connections) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        call = await _read(request, operation)
        text = f"{request.url.path}?{request.url.query} {call.body.decode('utf-8', 'replace')}"
        with ground.lock:
            ground.clock.run_due()
            fault = ground.faults.take(operation.name, call.merchant, text)
            reply = None
            if fault is None or fault.is_after_effect:
                reply = _answer(ground, vendor, operation, call)
            final = reply if fault is None else _struck(fault, reply)
            _record(ground, operation, call, request, final, fault)
            told_at = format_datetime(ground.clock.now, usegmt=True)  # the vendor's own clock, as a server tells it
        wait = fault.seconds if fault is not None and fault.kind in ("hang", "slow") else reply.delay if reply is not None else 0.0
        if (wait := max(wait, ground.latency)) > 0:
            await _wait(connections, wait)
        if final is None:
            return Dropped(connections)
        return Response(final.body, final.status, {"Date": told_at} | final.headers, final.content_type)

    return endpoint


async def _read(request: Request, operation: Operation) -> Call:
    path = dict(request.path_params)
    pairs = [(name, value) for name, value in request.query_params.multi_items()]
    return Call(
        merchant=path.pop("merchant"),
        operation=operation.name,
        base_url=f"{request.url.scheme}://{request.url.netloc}",
        path={name: str(value) for name, value in path.items()},
        query=dict(pairs),
        pairs=pairs,
        headers=dict(request.headers),
        body=await request.body(),
    )


def _answer(ground: Ground, vendor: Vendor, operation: Operation, call: Call) -> Reply:
    refused = vendor.admit(ground, call, operation)
    return refused if refused is not None else operation.handler(ground, call)


def _struck(fault: Fault, reply: Reply | None) -> Reply | None:
    """What the client gets instead; None breaks the connection off."""
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.kind.isdigit():
        message = {429: "Too Many Attempts.", 503: "Service unavailable"}.get(int(fault.kind), "Something went wrong.")
        return Reply(msgspec.json.encode({"message": message}), int(fault.kind), headers)
    if fault.kind == "html":
        return Reply(LOGIN_PAGE, 200, headers, "text/html; charset=utf-8")
    if fault.kind == "redirect":
        return Reply(LOGIN_PAGE, 302, {"Location": "/login"}, "text/html; charset=utf-8")
    if fault.kind == "malformed":
        whole = reply.body if reply is not None else b'{"message":"Something went wrong."}'
        return Reply(whole[: max(1, len(whole) // 2)], 200, headers)
    return reply if fault.kind == "slow" else None


async def _wait(connections: Connections, seconds: float) -> None:
    try:
        await asyncio.wait_for(connections.stopping.wait(), seconds)
    except TimeoutError:
        return


def _record(ground: Ground, operation: Operation, call: Call, request: Request, reply: Reply | None, fault: Fault | None) -> None:
    body: Any = None
    if operation.is_write and call.body:
        try:
            body = call.json()
        except msgspec.DecodeError:
            body = call.body.decode("utf-8", "replace")
    record = CallRecord(
        at=ground.clock.now,
        merchant=call.merchant,
        operation=operation.name,
        method=request.method,
        path=request.url.path,
        params=call.query,
        body=body,
        status=None if reply is None else reply.status,
        fault=None if fault is None else fault.kind,
        is_write=operation.is_write,
        version=call.path.get("version"),
    )
    ground.journal.record(record)
