"""One simulated MasonHub account: RMAs, their receiving, callbacks (docs/vendors/masonhub.md 4, 5.1, 6)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from backhaul.sandbox.core.clock import Clock
from backhaul.sandbox.core.ground import Units, Warehouse
from backhaul.sandbox.core.parcels import apportion, outcome_units

CARRIER_EVENTS = ("tendered", "inTransit", "delivered", "undeliverable")


@dataclass(slots=True)
class Rma:
    """One RMA. `lines` are in wire form, receiving included; a null `customer_identifier` marks one that the warehouse made."""

    id: str
    customer_identifier: str | None
    return_type: str
    package_id: str | None
    lines: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime
    visible_at: datetime
    manifest_id: str | None = None
    customer_instructions: str | None = None
    address: dict[str, Any] = field(default_factory=dict)
    return_label_url: str | None = None
    status: str = "open"
    notes: str | None = None
    received_at: datetime | None = None
    delivered_at: datetime | None = None
    deleted_at: datetime | None = None
    version: int = 1


@dataclass(slots=True)
class Callback:
    """One registered callback."""

    id: str
    url: str
    message_type: str
    api_version: str
    token: str | None


@dataclass(slots=True)
class MasonHubOptions:
    """How one simulated MasonHub behaves where the contract leaves it open (docs/vendors/masonhub.md 9 and 10)."""

    link: str = "url"  # or "uri", or "both"
    message_shape: str = "documented"  # fields on create and update, strings on delete; or "fields", "mapping", "strings"
    status_case: str = "lower"  # or "title", or "mixed": failures in title case
    results_in_array: bool = False
    empty_is_404: bool = False
    visible_after: timedelta = timedelta()  # of a new RMA, in simulated time
    label_seconds: float = 0.0  # how long a label takes, in real time
    known_skus: frozenset[str] | None = None  # None: every SKU is known
    orders: dict[str, dict[str, int]] | None = None  # order -> SKU -> units; None: every order is known
    rate_limit: int | None = None
    rate_window: float = 60.0
    token_in_body: bool = False
    callback_version: str = "2.0"  # or "1.0": of a callback that a person registers


Announce = Callable[[str, Rma], None]


class MasonHubAccount(Warehouse):
    """The state of one merchant's MasonHub. `announce` is told of every event."""

    def __init__(self, merchant: str, clock: Clock, token: str, seed: int, announce: Announce) -> None:
        self.merchant = merchant
        self.clock = clock
        self.token = token
        self.options = MasonHubOptions()
        self.rmas: list[Rma] = []  # in order of creation
        self.callbacks: dict[str, Callback] = {}
        self._by_id: dict[str, Rma] = {}
        self._by_cid: dict[str, list[Rma]] = {}
        self._announce = announce
        self._namespace = uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox:{seed}:{merchant}")
        self._count = 0

    def new_id(self) -> str:
        """A uuid that is the same in every run with this seed."""
        self._count += 1
        return str(uuid.uuid5(self._namespace, str(self._count)))

    def add(self, rma: Rma) -> Rma:
        """Keep a new RMA."""
        self.rmas.append(rma)
        self._by_id[rma.id] = rma
        if rma.customer_identifier is not None:
            self._by_cid.setdefault(rma.customer_identifier, []).append(rma)
        return rma

    def create(self, body: Mapping[str, Any]) -> Rma:
        """Make an RMA from a request that passed the checks."""
        now = self.clock.now
        blank = Rma(self.new_id(), body["customer_identifier"], body["return_type"], None, [], now, now, now + self.options.visible_after)
        self.fill(blank, body)
        return self.add(blank)

    def fill(self, rma: Rma, body: Mapping[str, Any]) -> None:
        """Take over every field of a request: an update replaces the whole record."""
        rma.return_type, rma.package_id, rma.manifest_id = body["return_type"], body.get("package_id"), body.get("manifest_id")
        rma.customer_instructions = body.get("customer_instructions")
        rma.address = {name: value for name, value in body.items() if name.startswith("customer_address_")}
        rma.lines = [_blank_line(line) for line in body["line_items"]]
        rma.updated_at = self.clock.now

    def all_of(self, cid: str) -> list[Rma]:
        """Every RMA that ever had this customer_identifier."""
        return self._by_cid.get(cid, [])

    def by_id(self, rma_id: str) -> Rma | None:
        """One RMA by MasonHub's own id."""
        return self._by_id.get(rma_id)

    def find(self, cid: str) -> Rma | None:
        """The RMA that now holds this customer_identifier; a deleted one holds none."""
        return next((rma for rma in reversed(self.all_of(cid)) if rma.status != "deleted"), None)

    def waiting(self) -> list[str]:
        """The keys of the open RMAs."""
        return [rma.customer_identifier for rma in self.rmas if rma.status == "open" and rma.customer_identifier]

    def need(self, cid: str) -> Rma:
        """As `find`. Raises KeyError when there is none."""
        found = self.find(cid) or self.by_id(cid)
        if found is None:
            raise KeyError(f"{self.merchant} has no RMA {cid} at MasonHub")
        return found

    def touch(self, rma: Rma) -> None:
        """A change: new version, new time."""
        rma.version += 1
        rma.updated_at = self.clock.now

    def delete(self, rma: Rma) -> None:
        """Soft: it stays readable, as `deleted`."""
        self.touch(rma)
        rma.status, rma.deleted_at = "deleted", self.clock.now

    def carrier(self, cid: str, event: str) -> Rma:
        """The carrier tells of the parcel; the record's status stays as it is."""
        rma = self.need(cid)
        if event == "delivered":
            rma.delivered_at = self.clock.now
        self._announce(event, rma)
        return rma

    def start_receiving(self, cid: str, event: str = "receivingStarted") -> Rma:
        """The parcel is opened (`receivingStarted`), or only on the dock (`onDock`)."""
        rma = self.need(cid)
        if event == "receivingStarted":
            self.touch(rma)
            rma.status = "in-receiving"
        self._announce(event, rma)
        return rma

    def receive(self, cid: str, units: Units | str = "all", *, status: str | None = None) -> Rma:
        """Units arrive, by SKU and inventory status, or as a named outcome. Replaces what was received before; may be repeated.

        An unexpected line says `quantity_received: 0` beside its graded units (quirk Q3).
        """
        rma = self.need(cid)
        expected = [(line["customer_sku_id"], int(line["quantity"])) for line in rma.lines if not line["not_on_original_rma"]]
        counts = outcome_units(units, expected) if isinstance(units, str) else units
        status = "in-receiving" if units == "partial" else status or "received"
        received, surplus = apportion(expected, counts)
        rma.lines = [line for line in rma.lines if not line["not_on_original_rma"]]
        for line, graded in zip(rma.lines, received, strict=True):
            line["receiving_details"] = _details(graded)
            line["quantity_received"] = sum(number for key, number in graded.items() if key != "short")
        order = rma.lines[0].get("customer_order_id") if rma.lines else None
        rma.lines += [_unexpected(sku, graded, order, counted=0) for sku, graded in surplus.items()]
        self.touch(rma)
        rma.status = status
        if status == "received":
            rma.received_at = self.clock.now
        self._announce("receivingStarted" if status == "in-receiving" else "received", rma)
        return rma

    def blind(self, units: Units, package_id: str) -> Rma:
        """A parcel that nobody announced: the warehouse makes the RMA, without a customer_identifier, received at once (quirk Q12)."""
        now = self.clock.now
        lines = [_unexpected(sku, graded, None, counted=sum(graded.values())) for sku, graded in units.items()]
        rma = Rma(self.new_id(), None, "rma_created_by_distribution_center", package_id, lines, now, now, now, status="received")
        rma.received_at = now
        self.add(rma)
        self._announce("received", rma)
        return rma

    def register(self, url: str, message_type: str, api_version: str = "1.0", token: str | None = None) -> Callback:
        """One URL a message type: a second registration replaces the first."""
        old = next((each for each in self.callbacks.values() if each.message_type == message_type), None)
        callback = Callback(old.id if old else self.new_id(), url, message_type, api_version, token)
        self.callbacks[callback.id] = callback
        return callback


def _blank_line(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "customer_order_id": line.get("customer_order_id"),
        "customer_sku_id": line["customer_sku_id"],
        "quantity": line["quantity"],
        "return_reason_code": line["return_reason_code"],
        "return_notes": line.get("return_notes"),
        "return_inventory_status": line.get("return_inventory_status", "qc"),
        "quantity_received": 0,
        "not_on_original_rma": False,
        "receiving_details": {},
    }


def _details(graded: Mapping[str, int]) -> dict[str, list[dict[str, Any]]]:
    return {key: [{"notes": "", "quantity": number}] for key, number in graded.items() if number}


def _unexpected(sku: str, graded: Mapping[str, int], order: str | None, *, counted: int) -> dict[str, Any]:
    total = sum(graded.values())
    request = {"customer_order_id": order, "customer_sku_id": sku, "quantity": total, "return_reason_code": "other"}
    graded_line = {"quantity_received": counted, "not_on_original_rma": True, "receiving_details": _details(graded)}
    return _blank_line(request) | graded_line
