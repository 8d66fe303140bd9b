"""Serves a world on loopback, in a background thread."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import cast

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from backhaul.sandbox import control
from backhaul.sandbox.core.app import Connections, build
from backhaul.sandbox.core.ground import Keys
from backhaul.sandbox.loop.recorded import DOCUMENTED
from backhaul.sandbox.vendors import VENDORS
from backhaul.sandbox.world import World


def make_app(world: World, connections: Connections | None = None) -> Starlette:
    """The ASGI application of a world."""
    return build(world, list(VENDORS.values()), control.routes(world), connections or Connections())


def _protocol(connections: Connections) -> type[asyncio.Protocol]:
    """uvicorn's HTTP/1.1 protocol, which also lets faults find the socket of a request."""

    class Tracked(H11Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast(asyncio.Transport, transport))
            # asyncio does so only for sockets whose protocol number is set; without it each answer may wait 40 ms for an ACK.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.client is not None:
                connections.transports[self.client] = self.transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                connections.transports.pop(self.client, None)
            super().connection_lost(exc)

    return Tracked


class _Server(uvicorn.Server):
    """uvicorn's server, ended by an event instead of a flag that it looks at ten times a second."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def main_loop(self) -> None:
        await self._stopping.wait()


def _uvicorn(world: World, connections: Connections) -> uvicorn.Server:
    config = uvicorn.Config(
        make_app(world, connections),
        http=_protocol(connections),
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )
    return _Server(config, connections.stopping)


class Sandbox:
    """A world served on 127.0.0.1, from `with` to its end. Webhooks are really posted."""

    def __init__(
        self,
        seed: int = 7,
        merchants: Sequence[str] = ("acme",),
        *,
        start: datetime | None = None,
        is_ticking: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        world: World | None = None,
        surface: str = DOCUMENTED,
    ) -> None:
        self.world = world or World(seed, start, merchants=merchants, is_ticking=is_ticking, surface=surface)
        self._address = (host, port)
        self._connections = Connections()
        self._server = _uvicorn(self.world, self._connections)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)
        self.url = ""

    def start(self) -> Sandbox:
        """Begin to serve. Raises OSError when the port is taken."""
        sock = socket.create_server(self._address)
        self._sock = sock
        self.url = f"http://{self._address[0]}:{sock.getsockname()[1]}"
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.002)
        self.world.courier.start()
        return self

    def _serve(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[self._sock])

    def stop(self) -> None:
        """Stop serving; calls that hang are let go."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._connections.stopping.set)
        self._thread.join(timeout=5)
        self.world.courier.stop()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()

    @property
    def keys(self) -> dict[str, Keys]:
        """Every merchant's secrets."""
        return {name: merchant.keys for name, merchant in self.world.merchants.items()}

    def vendor_url(self, merchant: str, vendor: str) -> str:
        """The base URL of a merchant's account at a vendor."""
        return f"{self.url}/{merchant}{VENDORS[vendor].base_path}"

    def loop_url(self, merchant: str) -> str:
        """The base URL of a merchant's Loop."""
        return self.vendor_url(merchant, "loop")

    def masonhub_url(self, merchant: str) -> str:
        """The base URL of a merchant's MasonHub."""
        return self.vendor_url(merchant, "masonhub")

    def airhouse_url(self, merchant: str) -> str:
        """The base URL of a merchant's Airhouse."""
        return self.vendor_url(merchant, "airhouse")

    def advance(self, step: timedelta) -> datetime:
        """Move the simulated clock on."""
        return self.world.advance(step)

    def drain(self, timeout: float = 5.0) -> bool:
        """Wait until every webhook is delivered or given up."""
        return self.world.courier.drain(timeout)
