"""Clients of the real vendor connectors, talking to a small server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backhaul.connectors.http import Budget, Http
from backhaul.connectors.loop.client import LoopClient
from backhaul.connectors.masonhub.client import MasonHub
from tests.connectors.vendor_server import PAYLOADS, SECRET, FakeTime, Vendor


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = Vendor()
    yield server
    server.stop()


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def connect(fake_time: FakeTime) -> Iterator[Callable[..., Http]]:
    made: list[Http] = []

    def _connect(url: str, *, name: str = "loop", headers: dict[str, str] | None = None, budget: Budget | None = None, **more: Any) -> Http:
        limits = budget or Budget(10_000, sleep=fake_time.sleep, clock=fake_time.clock)
        sent = {"X-Authorization": SECRET} if headers is None else headers
        http = Http(
            url,
            sent,
            vendor=name,
            merchant="acme",
            budget=limits,
            credential="env:ACME_KEY",
            scope="returns",
            sleep=fake_time.sleep,
            clock=fake_time.clock,
            **more,
        )
        made.append(http)
        return http

    yield _connect
    for http in made:
        http.close()


@pytest.fixture
def loop(vendor: Vendor, connect: Callable[..., Http]) -> LoopClient:
    return LoopClient(connect(vendor.url))


@pytest.fixture
def masonhub(vendor: Vendor, connect: Callable[..., Http]) -> MasonHub:
    return MasonHub(connect(vendor.url, name="masonhub", headers={"Authorization": f"Bearer {SECRET}"}))


@pytest.fixture
def payload() -> Callable[[str], bytes]:
    """The bytes of a documented body, such as `loop/return-details.json`."""
    return lambda name: (PAYLOADS / name).read_bytes()
