"""What the conformance kit has to know of each warehouse: one class a warehouse, one line in `ADAPTERS`.

An adapter says how to connect, how to make the simulated vendor act, and how the vendor writes a record. What it says of words (conditions,
statuses) is copied from the vendor's documents, never taken from the connector, or the kit would only compare the code with itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, ClassVar

from pydantic import SecretStr

from backhaul.connectors.airhouse import normalise as airhouse
from backhaul.connectors.airhouse import wire as airhouse_wire
from backhaul.connectors.airhouse.client import Airhouse
from backhaul.connectors.airhouse.settings import AirhouseSettings
from backhaul.connectors.base import ReceiptBatch
from backhaul.connectors.masonhub import normalise as masonhub
from backhaul.connectors.masonhub import wire as masonhub_wire
from backhaul.connectors.masonhub.client import MasonHub
from backhaul.connectors.masonhub.settings import MasonHubSettings
from backhaul.connectors.shipbob import normalise as shipbob
from backhaul.connectors.shipbob import wire as shipbob_wire
from backhaul.connectors.shipbob.client import ShipBob
from backhaul.connectors.shipbob.items import Items
from backhaul.connectors.shipbob.settings import ShipBobSettings
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.shipbob.state import CENTER, CHANNEL, ShipBobAccount

MERCHANT, KEY, CREDENTIAL = "acme", "50000001", "env:ACME_WAREHOUSE_KEY"
Row = dict[str, Any]
Units = Sequence[tuple[str, str | None, Any]]  # SKU, the vendor's word for the condition, how many

_budgets = count(40_000)  # a limit of its own gives a client a call budget of its own, whatever other tests have used up


class Adapter:
    """One warehouse, as the kit meets it."""

    name: ClassVar[str]
    create: ClassVar[str]  # the sandbox's names for the writes
    update: ClassVar[str]
    cancel: ClassVar[str]
    must_close: ClassVar[bool] = False
    conditions: ClassVar[dict[str, str]]  # the vendor's word for units that arrived -> our condition
    unknown_word: ClassVar[str | None] = None  # a word for a condition that the vendor has never used; None where it tells figures only
    statuses: ClassVar[dict[str, bool]]  # the vendor's words for a record -> whether nothing more will arrive
    unknown_status: ClassVar[str]
    gone: ClassVar[frozenset[str]]  # statuses of a record that was withdrawn
    fields: ClassVar[frozenset[str]]  # the names that the connector takes from a record
    broken: ClassVar[Row]  # what makes a record undecodable

    def __repr__(self) -> str:
        return self.name

    def connect(self, box: Sandbox, token: str | None = None) -> Any:
        """A client of the merchant's account, to be used in a `with`."""
        raise NotImplementedError

    def normalise(self, records: Sequence[bytes]) -> ReceiptBatch:
        """Records as the connector reads them."""
        raise NotImplementedError

    def record(self, units: Units = (), *, key: Any = KEY, status: str | None = None, **fields: Any) -> Row:
        """A whole record as the vendor writes it, finished unless `status` says otherwise."""
        raise NotImplementedError

    def announced(self, box: Sandbox, key: str) -> dict[str, int]:
        """What the vendor has been told to expect, by SKU."""
        raise NotImplementedError

    def tracking(self, box: Sandbox, key: str) -> str | None:
        """The tracking number that the vendor has."""
        raise NotImplementedError

    def arrive(self, box: Sandbox, key: str) -> None:
        """Receiving begins."""
        raise NotImplementedError

    def receive(self, box: Sandbox, key: str, outcome: str = "all") -> None:
        """Receiving ends, with one of the sandbox's outcomes."""
        raise NotImplementedError

    def know_only(self, box: Sandbox, *skus: str) -> None:
        """The vendor knows these SKUs alone."""
        raise NotImplementedError

    def blind(self, box: Sandbox) -> str:
        """A parcel that nobody announced is received; gives the vendor's own id."""
        raise NotImplementedError


class MasonHubAdapter(Adapter):
    """MasonHub: thirty RMAs a call, the truth in each record's result."""

    name, create, update, cancel = "masonhub", "masonhub.create", "masonhub.update", "masonhub.delete"
    conditions: ClassVar = {
        "available": "available",
        "damaged": "damaged",
        "disposed": "damaged",
        "qc": "pending",
        "quality-control": "pending",
        "quarantine": "pending",
        "under-investigation": "pending",
        "refurbishing": "pending",
    }
    unknown_word = "awaiting-authentication"
    statuses: ClassVar = {"open": False, "in-receiving": False, "received": True, "deleted": False}
    unknown_status, gone = "audited", frozenset({"deleted"})
    fields, broken = masonhub_wire.WANTED, {"line_items": 7}

    def connect(self, box: Sandbox, token: str | None = None) -> MasonHub:
        fields = {"base_url": box.masonhub_url(MERCHANT), "token": CREDENTIAL, "requests_per_minute": next(_budgets)}
        key = SecretStr(token or box.keys[MERCHANT].masonhub_token)
        return MasonHub.connect(MasonHubSettings.model_validate(fields), merchant=MERCHANT, token=key)

    def normalise(self, records: Sequence[bytes]) -> ReceiptBatch:
        return masonhub.normalise(records)

    def record(self, units: Units = (), *, key: Any = KEY, status: str | None = None, **fields: Any) -> Row:
        lines = [
            {"customer_sku_id": sku, "quantity": 1, "receiving_details": {word or "": [{"quantity": number, "notes": "as it came"}]}}
            for sku, word, number in units
        ]
        head = {"id": "6f1b", "customer_identifier": key, "status": status or "received", "package_id": "9400100000000000000001"}
        times = {"updated_at": "2026-03-09T16:20:11Z", "received_at": "2026-03-09T16:20:11Z"}
        return head | times | {"line_items": lines} | fields

    def announced(self, box: Sandbox, key: str) -> dict[str, int]:
        found = box.world.masonhub(MERCHANT).find(key)
        return {} if found is None else {line["customer_sku_id"]: line["quantity"] for line in found.lines}

    def tracking(self, box: Sandbox, key: str) -> str | None:
        return box.world.masonhub(MERCHANT).need(key).package_id

    def arrive(self, box: Sandbox, key: str) -> None:
        box.world.masonhub(MERCHANT).start_receiving(key)

    def receive(self, box: Sandbox, key: str, outcome: str = "all") -> None:
        box.world.masonhub(MERCHANT).receive(key, outcome)

    def know_only(self, box: Sandbox, *skus: str) -> None:
        box.world.masonhub(MERCHANT).options.known_skus = frozenset(skus)

    def blind(self, box: Sandbox) -> str:
        return box.world.blind_return(MERCHANT, {"TEE-NVY-M": {"available": 1}}).id


class AirhouseAdapter(Adapter):
    """Airhouse: one return a call, figures instead of words."""

    name, create, update, cancel = "airhouse", "airhouse.create", "airhouse.update", "airhouse.cancel"
    must_close = True
    conditions: ClassVar = {"restocked": "available", "received": "damaged"}
    statuses: ClassVar = {
        "requested": False,
        "delivered": False,
        "processed": True,
        "closed": True,
        "cancelled": False,
        "Waiting for Carrier": False,
        "Received - Damaged": True,
    }
    unknown_status, gone = "audited", frozenset({"cancelled"})
    fields, broken = airhouse_wire.WANTED, {"items": 7}

    def connect(self, box: Sandbox, token: str | None = None) -> Airhouse:
        fields = {"base_url": box.airhouse_url(MERCHANT), "api_key": CREDENTIAL, "assumed_contract": True}
        key = SecretStr(token or box.keys[MERCHANT].airhouse_api_key)
        made = AirhouseSettings.model_validate(fields | {"requests_per_minute": next(_budgets)})
        return Airhouse.connect(made, merchant=MERCHANT, api_key=key)

    def normalise(self, records: Sequence[bytes]) -> ReceiptBatch:
        return airhouse.normalise(records)

    def record(self, units: Units = (), *, key: Any = KEY, status: str | None = None, **fields: Any) -> Row:
        items = [
            {"sku": sku, "expected_quantity": 1, "received_quantity": number, "restocked_quantity": number if word == "restocked" else 0}
            for sku, word, number in units
        ]
        head = {"id": "ret_6f1b", "external_id": key, "status": status or "processed", "tracking_number": "9400100000000000000001"}
        return head | {"updated_at": "2026-03-09T16:20:11Z", "received_at": "2026-03-09T16:20:11Z", "items": items} | fields

    def announced(self, box: Sandbox, key: str) -> dict[str, int]:
        found = box.world.airhouse(MERCHANT).find(key)
        return {} if found is None else {item["sku"]: item["expected_quantity"] for item in found.items}

    def tracking(self, box: Sandbox, key: str) -> str | None:
        return box.world.airhouse(MERCHANT).need(key).tracking_number

    def arrive(self, box: Sandbox, key: str) -> None:
        account = box.world.airhouse(MERCHANT)
        account.move(account.need(key), "delivered")

    def receive(self, box: Sandbox, key: str, outcome: str = "all") -> None:
        box.world.airhouse(MERCHANT).receive(key, outcome)

    def know_only(self, box: Sandbox, *skus: str) -> None:
        box.world.airhouse(MERCHANT).options.known_skus = frozenset(skus)

    def blind(self, box: Sandbox) -> str:
        account = box.world.airhouse(MERCHANT)
        made = account.create({"items": [{"sku": "TEE-NVY-M", "expected_quantity": 1}]})
        account.move(made, "processed")
        return made.id


class ShipBobAdapter(Adapter):
    """ShipBob: one return a call, read by key and by status. A word here is what was done with a unit of which a restock was asked."""

    name, create, update, cancel = "shipbob", "shipbob.create", "shipbob.update", "shipbob.cancel"
    conditions: ClassVar = {"Restock": "available", "Quarantine": "damaged", "Dispose": "damaged"}
    unknown_word = "Donate"
    statuses: ClassVar = {
        "AwaitingArrival": False,
        "Awaiting Arrival": False,
        "Arrived": False,
        "Processing": False,
        "Completed": True,
        "Cancelled": False,
    }
    unknown_status, gone = "Pending Approval", frozenset({"Cancelled"})
    fields, broken = shipbob_wire.WANTED, {"inventory": 7}

    def connect(self, box: Sandbox, token: str | None = None) -> ShipBob:
        fields = {"base_url": f"{box.url}/{MERCHANT}/shipbob", "token": CREDENTIAL, "channel_id": CHANNEL, "fulfillment_center_id": CENTER}
        made = ShipBobSettings.model_validate(fields | {"requests_per_minute": next(_budgets)})
        client = ShipBob.connect(made, merchant=MERCHANT, token=SecretStr(token or self._account(box).token), mode="shadow")
        client.items = Items()
        return client

    def normalise(self, records: Sequence[bytes]) -> ReceiptBatch:
        return shipbob.normalise(records)

    def record(self, units: Units = (), *, key: Any = KEY, status: str | None = None, **fields: Any) -> Row:
        inventory = [
            {
                "id": 9_500_001,
                "sku": sku,
                "quantity": 1,
                "action_requested": {"action": "Restock", "action_type": "Override", "instructions": None},
                "action_taken": [{"action": word, "quantity_processed": number, "action_reason": "as it came"}],
            }
            for sku, word, number in units
        ]
        head = {"id": 3_300_001, "reference_id": key, "status": status or "Completed", "tracking_number": "9400100000000000000001"}
        times = {"insert_date": "2026-03-01T00:00:00Z", "completed_date": "2026-03-09T16:20:11Z"}
        return head | times | {"return_type": "Regular", "inventory": inventory} | fields

    def announced(self, box: Sandbox, key: str) -> dict[str, int]:
        found = self._account(box).find(key)
        return {} if found is None else {line["sku"]: line["quantity"] for line in found.lines}

    def tracking(self, box: Sandbox, key: str) -> str | None:
        return self._account(box).need(key).tracking_number

    def arrive(self, box: Sandbox, key: str) -> None:
        self._account(box).move(self._account(box).need(key), "Arrived")

    def receive(self, box: Sandbox, key: str, outcome: str = "all") -> None:
        self._account(box).receive(key, outcome)

    def know_only(self, box: Sandbox, *skus: str) -> None:
        self._account(box).options.known_skus = frozenset(skus)

    def blind(self, box: Sandbox) -> str:
        return str(self._account(box).blind({"TEE-NVY-M": {"available": 1}}).id)

    @staticmethod
    def _account(box: Sandbox) -> ShipBobAccount:
        return box.world.account(MERCHANT, ShipBobAccount)


ADAPTERS: tuple[Adapter, ...] = (MasonHubAdapter(), AirhouseAdapter(), ShipBobAdapter())
