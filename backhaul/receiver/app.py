"""The routes (docs/architecture.md, The receiver): verify, keep durably, answer. Nothing here waits for a vendor or for a run.

| answer | when | stored |
|---|---|---|
| 200 | kept, or kept before | yes |
| 400 | proven, but no JSON object that the vendor could have sent | no |
| 401 | unknown merchant, no secret, or a wrong proof: all the same | no |
| 413 | over 1 MiB, or proven, but over 1,000 records | no |
| 415 | proven, but compressed, or not JSON by its content type | no |
| 503 | the store is away: come back later | no |
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from backhaul.connectors.readings import TooManyRecordsError
from backhaul.connectors.registry import VENDORS
from backhaul.errors import StoreError, StructuralError
from backhaul.pipeline.session import Clock
from backhaul.receiver.admission import Door
from backhaul.receiver.entrances import Entrances
from backhaul.receiver.metrics import Metrics
from backhaul.receiver.readings import as_events
from backhaul.receiver.worker import Worker
from backhaul.receiver.writer import Writer
from backhaul.store import events
from backhaul.store.engine import DATABASE_ERRORS, Store
from backhaul.store.events import NewEvent

LONGEST_BODY = 1 << 20  # bytes
_READERS = 2  # bodies read at once; more would only fight over the interpreter with the event loop
_STORE_PATIENCE = 10.0  # seconds; Loop retries, so a store that hangs is soon answered with 503
_COME_BACK = {"Retry-After": "30"}

log = logging.getLogger(__name__)


class _Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.message, self.headers = status, message, headers


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that the routes use."""

    store: Store
    door: Door
    writer: Writer
    metrics: Metrics
    clock: Clock
    oldest_allowed: timedelta
    worker: Worker | None = None
    entrances: Entrances | None = None


def make_app(service: Service) -> Starlette:
    """The ASGI application. Its lifespan starts the writer and the worker, and at the end drains both."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        service.writer.start()
        if service.worker is not None:
            service.worker.start()
        stopping = asyncio.Event()
        telling = None if service.entrances is None else asyncio.create_task(service.entrances.keep_telling(stopping))
        log.info("receiving", extra={"fields": {"entrances": len(service.door.entrances)}})
        yield
        stopping.set()
        await run_in_threadpool(service.writer.stop)
        if service.worker is not None:
            await run_in_threadpool(service.worker.stop)
        if telling is not None:
            await telling
        log.info("stopped")

    routes = [
        Route("/webhooks/{merchant}/{source}", _webhook(service), methods=["POST"]),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", _readyz(service), methods=["GET"]),
        Route("/metrics", _metrics(service), methods=["GET"]),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False  # a vendor's POST follows no redirect
    return app


def _webhook(service: Service) -> Callable[[Request], object]:
    readers = anyio.CapacityLimiter(_READERS)

    async def endpoint(request: Request) -> Response:
        merchant, source = request.path_params["merchant"], request.path_params["source"]
        if source not in VENDORS:
            return _answer(404, "no such source")
        began = time.perf_counter()
        try:
            raw = await _body(request)
            began = time.perf_counter()
            now = service.clock()
            arrived = await anyio.to_thread.run_sync(_read, service.door, merchant, source, request.headers, raw, now, limiter=readers)
            await _keep(service, merchant, source, arrived)
            response = _answer(200, "kept")
        except _Refusal as refusal:
            response = _answer(refusal.status, refusal.message, refusal.headers)
            if service.entrances is not None:
                service.entrances.note_refusal(merchant, source, refusal.status)
        service.metrics.requests.labels(source, str(response.status_code)).inc()
        service.metrics.seconds.observe(time.perf_counter() - began)
        return response

    return endpoint


async def _body(request: Request) -> bytes:
    """The raw body. Refuses what is too long, before it is read where its length is told."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and len(told) < 20 and int(told) > LONGEST_BODY:
        raise _Refusal(413, "the body is over 1 MiB")
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > LONGEST_BODY:
                raise _Refusal(413, "the body is over 1 MiB")
    except ClientDisconnect:
        raise _Refusal(400, "the body was cut off") from None
    return bytes(raw)


def _read(door: Door, merchant: str, source: str, headers: Headers, raw: bytes, now: datetime) -> list[NewEvent]:
    """The events of a body, once it is proven. In a thread: no body, however strange, keeps the event loop from answering others."""
    if not door.admits(merchant, source, headers, raw, now):
        log.warning("refused", extra={"fields": {"source": source, "bytes": len(raw)}})
        raise _Refusal(401, "unauthorized")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise _Refusal(415, "send application/json")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise _Refusal(415, "send it uncompressed")
    fields = {"merchant": merchant, "source": source, "bytes": len(raw)}
    try:
        return as_events(merchant, source, raw, now, headers)
    except TooManyRecordsError as error:
        log.warning("too many records", extra={"fields": fields})
        raise _Refusal(413, str(error)) from None
    except StructuralError:
        log.warning("not readable", extra={"fields": fields})
        raise _Refusal(400, "not a webhook's JSON") from None


async def _keep(service: Service, merchant: str, source: str, arrived: list[NewEvent]) -> None:
    try:
        async with asyncio.timeout(_STORE_PATIENCE):
            await service.writer.keep(arrived)
    except (StoreError, TimeoutError):
        raise _Refusal(503, "the store is away, come back later", _COME_BACK) from None
    service.metrics.events.labels(merchant, source).inc(len(arrived))
    for event in arrived:
        fields = {"merchant": merchant, "source": source, "topic": event.topic, "record": event.record_key}
        log.info("kept", extra={"fields": fields})


async def _healthz(_: Request) -> Response:
    return Response(b'{"status":"alive"}', media_type="application/json")


def _readyz(service: Service) -> Callable[[Request], object]:
    async def endpoint(_: Request) -> Response:
        try:
            async with asyncio.timeout(_STORE_PATIENCE):
                backlog = await run_in_threadpool(_backlog, service)
        except (*DATABASE_ERRORS, TimeoutError):
            return _json(503, {"status": "red", "store": "away"})
        now = service.clock()
        ages = {one.merchant: round((now - one.oldest_at).total_seconds(), 1) for one in backlog}
        late = {name: age for name, age in ages.items() if age > service.oldest_allowed.total_seconds()}
        is_working = service.worker is None or service.worker.is_alive
        is_ready = is_working and 2 * len(late) <= len(
            {merchant for merchant, _ in service.door.entrances}
        )  # a few late ones are their vendors' trouble, not ours
        found: dict[str, object] = {"status": "ready" if is_ready else "red", "store": "up", "waiting": sum(one.waiting for one in backlog)}
        found |= {"oldest_seconds": max(ages.values(), default=0.0)} | ({"late": late} if late else {})
        return _json(200 if is_ready else 503, found | {"worker": "alive" if is_working else "dead"})

    return endpoint


def _backlog(service: Service) -> list[events.Backlog]:
    with service.store.read() as connection:
        return events.backlog(connection, service.clock())


def _metrics(service: Service) -> Callable[[Request], object]:
    async def endpoint(_: Request) -> Response:
        return Response(await run_in_threadpool(service.metrics.text), media_type="text/plain; version=0.0.4; charset=utf-8")

    return endpoint


def _answer(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return _json(status, {"status" if status == 200 else "error": message}, headers)


def _json(status: int, value: Mapping[str, object], headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")
