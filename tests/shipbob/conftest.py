"""A simulated ShipBob served for real, a client of it, and documented payloads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backhaul.connectors.base import ReceiptBatch
from backhaul.connectors.shipbob.client import ShipBob
from backhaul.connectors.shipbob.normalise import normalise
from backhaul.connectors.shipbob.settings import ShipBobSettings
from backhaul.domain.rma import RmaDraft, RmaLine
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.shipbob.state import CENTER, CHANNEL, ShipBobAccount

PAYLOADS = Path(__file__).parent / "payloads"
KEY = "50000001"
Row = dict[str, Any]

_budgets = count(20_000)  # a limit of its own gives a client a call budget of its own, whatever other tests have used up


def payload(name: str) -> Any:
    """A documented payload."""
    return json.loads((PAYLOADS / f"{name}.json").read_bytes())


def told(*records: Any) -> ReceiptBatch:
    """Records as receipts; a name is that of a documented payload."""
    return normalise([json.dumps(payload(one) if isinstance(one, str) else one).encode() for one in records])


def receipt(batch: ReceiptBatch, place: int = 0) -> Row:
    """One receipt of a batch."""
    return {str(name): value for name, value in batch.receipts.iloc[place].items()}


def units(batch: ReceiptBatch) -> list[tuple[str, str, str, int]]:
    """SKU, ShipBob's word, condition and units of every receipt line."""
    return [(line["sku"], line["inventory_status"], line["condition"], line["units"]) for line in batch.lines.to_dict("records")]


def draft(return_id: str = KEY, **changes: Any) -> RmaDraft:
    """A return of two tees and a cap."""
    fields: Row = {"return_id": return_id, "order_name": "#1001", "order_number": "1001", "ordinal": 1, "tracking_number": "1Z01"}
    lines = (RmaLine("TEE-BLU-M", 1, "tooBig", "Too big"), RmaLine("TEE-BLU-M", 1, "other"), RmaLine("CAP-RED", 1, "other"))
    return RmaDraft(**fields | {"lines": lines} | changes)


def settings(url: str, **changes: Any) -> ShipBobSettings:
    """The settings of an account at `url`."""
    fields = {"base_url": url, "token": "env:KEY", "channel_id": CHANNEL, "fulfillment_center_id": CENTER}
    return ShipBobSettings.model_validate(fields | {"requests_per_minute": next(_budgets)} | changes)


Connect = Callable[..., ShipBob]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(merchants=("acme",)) as running:
        yield running


@pytest.fixture
def account(box: Sandbox) -> ShipBobAccount:
    """The merchant's account, empty."""
    box.world.reset()
    return box.world.account("acme", ShipBobAccount)


@pytest.fixture
def connect(box: Sandbox, account: ShipBobAccount) -> Iterator[Connect]:
    """Clients of the account, each with items of its own."""
    from backhaul.connectors.shipbob.items import Items

    made: list[ShipBob] = []

    def _connect(token: str = account.token, mode: str = "shadow", **changes: Any) -> ShipBob:
        mine = settings(f"{box.url}/acme/shipbob", **changes)
        made.append(ShipBob.connect(mine, merchant="acme", token=SecretStr(token), mode=mode))
        made[-1].items = Items()
        return made[-1]

    yield _connect
    for client in made:
        client.close_connections()


@pytest.fixture
def shipbob(connect: Connect) -> ShipBob:
    return connect()
