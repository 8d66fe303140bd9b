"""One sandbox, served for real on loopback, as new for every test."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from backhaul.sandbox import Sandbox
from tests.sandbox.receiver import Receiver


@pytest.fixture(scope="session")
def served() -> Iterator[Sandbox]:
    with Sandbox(seed=7, merchants=("acme", "bolt")) as running:
        yield running


@pytest.fixture
def box(served: Sandbox) -> Sandbox:
    served.world.reset()
    return served


@pytest.fixture
def loop(box: Sandbox) -> Iterator[httpx.Client]:
    headers = {"X-Authorization": box.keys["acme"].loop_api_key}
    with httpx.Client(base_url=box.loop_url("acme"), headers=headers, trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def masonhub(box: Sandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {box.keys['acme'].masonhub_token}"}
    with httpx.Client(base_url=box.masonhub_url("acme"), headers=headers, trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def airhouse(box: Sandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {box.keys['acme'].airhouse_api_key}"}
    with httpx.Client(base_url=box.airhouse_url("acme"), headers=headers, trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def control(box: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{box.url}/_sandbox", trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()
