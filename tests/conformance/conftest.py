"""Every test of the kit runs once for each warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backhaul.domain.rma import RmaDraft, RmaLine
from backhaul.sandbox.server import Sandbox
from tests.conformance.adapters import ADAPTERS, KEY, MERCHANT, Adapter


def draft(return_id: str = KEY, **changes: Any) -> RmaDraft:
    """A return of two tees and a cap."""
    fields: dict[str, Any] = {"order_name": "#1001", "order_number": "1001", "ordinal": 1, "tracking_number": "9400100000000000000001"}
    lines = (RmaLine("TEE-NVY-M", 2, "tooBig", "Too big"), RmaLine("CAP-RED", 1, "other"))
    return RmaDraft(**{"return_id": return_id, "lines": lines} | fields | changes)


@pytest.fixture(params=ADAPTERS, ids=repr)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """One of the warehouses."""
    found: Adapter = request.param
    return found


@pytest.fixture(scope="session")
def served() -> Iterator[Sandbox]:
    with Sandbox(merchants=(MERCHANT,)) as running:
        yield running


@pytest.fixture
def box(served: Sandbox) -> Sandbox:
    """The vendors, without any record."""
    served.world.reset()
    return served


@pytest.fixture
def warehouse(adapter: Adapter, box: Sandbox) -> Iterator[Any]:
    """A client of the warehouse."""
    with adapter.connect(box) as client:
        yield client
