"""The console as a Starlette app: its paths, its headers, and what is said when something is not there."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backhaul.console.desk import Desk, acting_of, respond
from backhaul.console.pages import data, lists, merchants, one_return, overview, runs, searching, trends
from backhaul.errors import StoreError
from backhaul.store.desk import BadFilterError

log = logging.getLogger(__name__)

HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        b"base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


class _Guarded:
    """Every answer bears the headers; what a page shows is not kept by anybody on its way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_static = scope.get("path", "").startswith("/static/")
        keeping = (b"cache-control", b"max-age=3600" if is_static else b"no-store")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS, keeping]
            await send(message)

        await self._app(scope, receive, guarded)


HOSTS = ("127.0.0.1", "localhost", "[::1]")


def make_app(desk: Desk) -> Starlette:
    """The app. Only requests that name this machine, or the config's address, are answered, so that no page of another site reads it."""
    routes = [
        Route("/healthz", _alive),
        Route("/", overview.overview),
        Route("/search", searching.find),
        *(Route(path, lists.endpoint(path)) for path in lists.LISTS),
        Route("/returns/{merchant}/{return_id:path}", one_return.one_return),
        Route("/runs/{run_id}", runs.one_run),
        Route("/trends", trends.trends),
        Route("/merchants/{merchant}", merchants.one_merchant),
        Route("/data", data.data),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    if desk.operator is not None:
        routes.append(Route("/acts/{act}", _act, methods=["GET", "POST"]))
    handlers: dict[Any, Any] = {HTTPException: _refused, BadFilterError: _bad_filter, StoreError: _store_down, Exception: _broken}
    middleware = [Middleware(_Guarded)]
    hosts = list(HOSTS)
    if desk.sign_in is not None:
        routes += desk.sign_in.routes()
        middleware += desk.sign_in.middleware()
        hosts.append(urlsplit(desk.sign_in.settings.url).hostname or "")
    middleware.insert(1, Middleware(TrustedHostMiddleware, allowed_hosts=hosts))
    app = Starlette(routes=routes, exception_handlers=handlers, middleware=middleware)
    app.state.desk = desk
    return app


def _alive(request: Request) -> Response:
    return PlainTextResponse("ok")


async def _act(request: Request) -> Response:
    acting = acting_of(request)
    if acting is None:
        raise HTTPException(403, "Only an operator may do this; your role is to read.")
    answer: Response = await acting.answer(request)
    return answer


def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    told = error.detail if isinstance(error, HTTPException) and error.detail not in ("Not Found",) else "There is no such page."
    return respond(request, "problem.html", status, title="Not here" if status == 404 else "That cannot be done", told=told)


def _bad_filter(request: Request, error: Exception) -> Response:
    return respond(request, "problem.html", 400, title="That filter cannot be used", told=f"{error}.")


def _store_down(request: Request, error: Exception) -> Response:
    log.warning("the store cannot be read: %s", error)
    why = str(error).split(";")[0]
    told = f"{why[:1].upper()}{why[1:]}. Nothing is lost by it; the page is back when the store is."
    return respond(request, "problem.html", 503, title="The store cannot be read", told=told)


def _broken(request: Request, error: Exception) -> Response:
    log.error("a page failed: %s", request.url.path, exc_info=error)
    return respond(request, "problem.html", 500, title="This page failed", told="The console's log has the cause.")
