"""One simulated Airhouse account. No Airhouse API is public: all of it follows the assumed contract (docs/vendors/airhouse.md 3)."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from backhaul.sandbox.core.clock import Clock
from backhaul.sandbox.core.courier import Posting
from backhaul.sandbox.core.ground import Units, Warehouse
from backhaul.sandbox.core.parcels import apportion, outcome_units

TOPICS = ("return.created", "return.delivered", "return.processed", "return.closed", "return.cancelled", "return.updated")
BETA_NAMES = {"requested": "Requested", "delivered": "Delivered", "processed": "Processed", "closed": "Closed", "cancelled": "Cancelled"}


@dataclass(slots=True)
class AirhouseReturn:
    """One return at Airhouse. `items` are in wire form; `request` is the body that made it, to recognise a repeat."""

    id: str
    external_id: str | None
    request: dict[str, Any]
    items: list[dict[str, Any]]
    requested_at: datetime
    updated_at: datetime
    status: str = "requested"
    tracking_number: str | None = None
    carrier: str | None = None
    delivered_at: datetime | None = None
    received_at: datetime | None = None
    closed_at: datetime | None = None
    notes: str | None = None


@dataclass(slots=True)
class AirhouseOptions:
    """How the simulated Airhouse behaves (docs/vendors/airhouse.md 3.8)."""

    has_beta_names: bool = False  # the older dashboard's words for statuses
    known_skus: frozenset[str] | None = None  # None: every SKU is known
    has_bad_signatures: bool = False


@dataclass(slots=True)
class Hook:
    """One webhook; no topics means all."""

    id: str
    url: str
    topics: list[str]
    secret: str


def rfc3339(moment: datetime | None) -> str | None:
    """2026-03-09T16:20:11.123456Z: fine enough to page by."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def sign(secret: str, at: datetime, body: bytes) -> str:
    """X-Airhouse-Signature: HMAC-SHA256 over the unix time, a dot and the raw body."""
    stamp = str(int(at.timestamp()))
    return f"t={stamp},v1={hmac.new(secret.encode(), stamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


@dataclass(slots=True)
class AirhouseAccount(Warehouse):
    """The state of one merchant's Airhouse; `post` takes its webhooks."""

    merchant: str
    clock: Clock
    api_key: str
    post: Callable[[Posting], None]
    options: AirhouseOptions = field(default_factory=AirhouseOptions)
    returns: dict[str, AirhouseReturn] = field(default_factory=dict)
    hooks: dict[str, Hook] = field(default_factory=dict)
    keyed: dict[str, str] = field(default_factory=dict)  # Idempotency-Key -> id
    by_external: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def new_id(self, prefix: str) -> str:
        """An id that is the same in every run."""
        self.count += 1
        return f"{prefix}_{uuid.uuid5(uuid.NAMESPACE_URL, f'{self.merchant}/{self.count}').hex[:12]}"

    def find(self, external_id: str) -> AirhouseReturn | None:
        """The return with this external id."""
        key = self.by_external.get(external_id)
        return None if key is None else self.returns[key]

    def waiting(self) -> list[str]:
        """The keys of the returns that have not arrived."""
        return [item.external_id for item in self.returns.values() if item.status == "requested" and item.external_id]

    def need(self, external_id: str) -> AirhouseReturn:
        """As `find`. Raises KeyError when there is none."""
        found = self.find(external_id)
        if found is None:
            raise KeyError(f"{self.merchant} has no return {external_id} at Airhouse")
        return found

    def create(self, body: dict[str, Any]) -> AirhouseReturn:
        """Keep a new return."""
        now = self.clock.now
        item = AirhouseReturn(self.new_id("ret"), body.get("external_id"), body, self.items_of(body["items"]), now, now)
        item.tracking_number, item.carrier = body.get("tracking_number"), body.get("carrier")
        self.returns[item.id] = item
        if item.external_id is not None:
            self.by_external[item.external_id] = item.id
        self.tell("return.created", item)
        return item

    def items_of(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Requested lines, with nothing received yet."""
        return [self._item(each["sku"], each["expected_quantity"], each) for each in wanted]

    def _item(self, sku: str, expected: int, asked: Mapping[str, Any]) -> dict[str, Any]:
        known = {"external_line_id": asked.get("external_line_id"), "sku": sku, "expected_quantity": expected}
        counts = {"received_quantity": 0, "restocked_quantity": 0}
        rest = {"return_reason": asked.get("return_reason"), "note": None, "unexpected": expected == 0}
        return {"id": self.new_id("rit"), **known, **counts, **rest}

    def wire(self, item: AirhouseReturn) -> dict[str, Any]:
        """The return object of 3.2."""
        return {
            "id": item.id,
            "external_id": item.external_id,
            "order_number": item.request.get("order_number"),
            "rma_number": None,
            "source": item.request.get("source", "loop"),
            "type": item.request.get("type", "customer_return"),
            "status": BETA_NAMES[item.status] if self.options.has_beta_names else item.status,
            "warehouse_code": item.request.get("warehouse_code"),
            "carrier": item.carrier,
            "tracking_number": item.tracking_number,
            "requested_at": rfc3339(item.requested_at),
            "delivered_at": rfc3339(item.delivered_at),
            "received_at": rfc3339(item.received_at),
            "closed_at": rfc3339(item.closed_at),
            "updated_at": rfc3339(item.updated_at),
            "notes": item.notes,
            "items": item.items,
        }

    def move(self, item: AirhouseReturn, status: str) -> None:
        """A new status, and the webhook that tells of it."""
        now = self.clock.now
        item.status, item.updated_at = status, now
        if status == "delivered":
            item.delivered_at = now
        elif status == "processed":
            item.received_at, item.delivered_at = now, item.delivered_at or now
        elif status == "closed":
            item.closed_at = now
        self.tell(f"return.{status}", item)

    def receive(self, external_id: str, units: Units | str = "all", *, status: str | None = None) -> AirhouseReturn:
        """Units arrive: all are received, the available ones restocked. May be repeated, as a correction."""
        item = self.need(external_id)
        item.items = [each for each in item.items if not each["unexpected"]]
        expected = [(each["sku"], int(each["expected_quantity"])) for each in item.items]
        counts = outcome_units(units, expected) if isinstance(units, str) else units
        received, surplus = apportion(expected, counts)
        extra = [self._item(sku, 0, {}) for sku in surplus]
        for each, graded in zip([*item.items, *extra], [*received, *surplus.values()], strict=True):
            each["received_quantity"] = sum(number for key, number in graded.items() if key != "short")
            each["restocked_quantity"] = graded.get("available", 0)
        item.items += extra
        self.move(item, status or "processed")
        return item

    def register(self, url: str, topics: list[str], secret: str) -> Hook:
        """Add a webhook."""
        hook = Hook(self.new_id("wh"), url, topics, secret)
        self.hooks[hook.id] = hook
        return hook

    def tell(self, topic: str, item: AirhouseReturn) -> None:
        """Post an event to every webhook that wants it."""
        now = self.clock.now
        event = {"id": self.new_id("evt"), "topic": topic, "created_at": rfc3339(now), "data": {"return": self.wire(item)}}
        body = msgspec.json.encode(event)
        for hook in self.hooks.values():
            if hook.topics and topic not in hook.topics:
                continue
            signed = sign("wrong" if self.options.has_bad_signatures else hook.secret, now, body)
            headers = {"Content-Type": "application/json", "X-Airhouse-Signature": signed}
            self.post(Posting(self.merchant, "airhouse", topic, item.external_id, hook.url, body, headers))
