"""One sandbox, served for real on loopback, as new for every test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from backhaul.sandbox import Sandbox
from tests.sandbox.receiver import Receiver


@pytest.fixture(scope="session")
def served() -> Iterator[Sandbox]:
    with Sandbox(seed=7, merchants=("acme", "bolt")) as running:
        yield running


@pytest.fixture(autouse=True)
def box(served: Sandbox) -> Sandbox:
    served.world.reset()
    return served


@pytest.fixture(scope="session")
def clients(served: Sandbox) -> Iterator[dict[str, httpx.Client]]:
    """One client for each API of acme: making one takes longer than most tests."""
    keys = served.keys["acme"]
    made = {
        "loop": (served.loop_url("acme"), {"X-Authorization": keys.loop_api_key}),
        "masonhub": (served.masonhub_url("acme"), {"Authorization": f"Bearer {keys.masonhub_token}"}),
        "airhouse": (served.airhouse_url("acme"), {"Authorization": f"Bearer {keys.airhouse_api_key}"}),
        "control": (f"{served.url}/_sandbox", {}),
    }
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=5))
            for name, (url, headers) in made.items()
        }


@pytest.fixture
def loop(clients: dict[str, httpx.Client]) -> httpx.Client:
    return clients["loop"]


@pytest.fixture
def masonhub(clients: dict[str, httpx.Client]) -> httpx.Client:
    return clients["masonhub"]


@pytest.fixture
def airhouse(clients: dict[str, httpx.Client]) -> httpx.Client:
    return clients["airhouse"]


@pytest.fixture
def control(clients: dict[str, httpx.Client]) -> httpx.Client:
    return clients["control"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()
