"""The simulated ShipBob's records in their two forms, its secrets, and its webhooks, signed as Standard Webhooks are."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any

import msgspec

from backhaul.sandbox.core.courier import Courier, Posting
from backhaul.sandbox.shipbob.state import Hook, Return, ShipBobAccount

_SHORT_ONLY_LINE = ("id", "name", "quantity", "action_requested", "action_taken", "bundle_parent_sku")
_WITHOUT = (
    "arrived_date",
    "awaiting_arrival_date",
    "processing_date",
    "cancelled_date",
    "status_history",
    "shipment_tracking_number",
    "invoice",
)
_SPACED = {"AwaitingArrival": "Awaiting Arrival", "ReturnToSender": "RTS"}


def token_of(seed: int, merchant: str) -> str:
    """A merchant's made-up token."""
    return hashlib.sha256(f"{seed}/{merchant}/shipbob".encode()).hexdigest()


def secret_of(seed: int, merchant: str) -> str:
    """A merchant's made-up webhook secret: whsec_ and 24 bytes."""
    return "whsec_" + base64.b64encode(hashlib.sha256(f"{seed}/{merchant}/shipbob-hook".encode()).digest()[:24]).decode()


def rfc3339(moment: datetime | None) -> str | None:
    """2026-11-02T09:15:04Z."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def full(account: ShipBobAccount, item: Return) -> dict[str, Any]:
    """A return as GET gives it."""
    is_spaced = account.options.has_spaced_words
    status = _SPACED.get(item.status, item.status) if is_spaced else item.status
    return {
        "id": item.id,
        "reference_id": item.reference_id,
        "status": status,
        "return_type": _SPACED.get(item.return_type, item.return_type) if is_spaced else item.return_type,
        "channel": {"id": item.channel_id, "name": "Privileged Access Token"},
        "fulfillment_center": {"id": item.center_id, "name": "Cicero (IL)"},
        "customer_name": "Invented Shopper",
        "tracking_number": item.tracking_number,
        "shipment_tracking_number": None,
        "original_shipment_id": None,
        "store_order_id": None,
        "insert_date": rfc3339(item.inserted_at),
        "awaiting_arrival_date": rfc3339(item.reached("AwaitingArrival")),
        "arrived_date": rfc3339(item.reached("Arrived")),
        "processing_date": rfc3339(item.reached("Processing")),
        "completed_date": rfc3339(item.reached("Completed")),
        "cancelled_date": rfc3339(item.reached("Cancelled")),
        "status_history": [{"status": name, "timestamp": rfc3339(at)} for name, at in item.history],
        "inventory": item.lines,
        "invoice": {"amount": 3.0 if item.reached("Completed") else None, "currency_code": "USD"},
        "transactions": [],
    }


def short(account: ShipBobAccount, item: Return) -> dict[str, Any]:
    """A return as a write answers it: without SKUs, most dates, and the invoice."""
    record = {name: value for name, value in full(account, item).items() if name not in _WITHOUT}
    record["inventory"] = [{name: line[name] for name in _SHORT_ONLY_LINE} for line in item.lines]
    return record | {"invoice_amount": None}


def signature(secret: str, message_id: str, stamp: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over id, time and body, keyed with what stands after `whsec_`, decoded."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, b".".join((message_id.encode(), stamp.encode(), body)), hashlib.sha256).digest()).decode()


def tell(courier: Courier, account: ShipBobAccount, topic: str, item: Return) -> None:
    """Post an event to every webhook that is on and wants it."""
    for hook in account.hooks.values():
        if hook.is_enabled and topic in hook.topics:
            courier.post(_posting(account, hook, topic, item))


def _posting(account: ShipBobAccount, hook: Hook, topic: str, item: Return) -> Posting:
    body = msgspec.json.encode(_body(account, item))
    stamp = str(int(account.clock.now.timestamp()))
    message_id = f"msg_{hashlib.sha256(f'{hook.id}/{topic}/{item.id}/{len(item.history)}'.encode()).hexdigest()[:27]}"
    secret = "whsec_" + "A" * 32 if account.options.has_bad_signatures else hook.secret
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": signature(secret, message_id, stamp, body),
        "x-webhook-topic": topic,
    }

    def done(is_delivered: bool) -> None:
        hook.failures = 0 if is_delivered else hook.failures + 1
        limit = account.options.disable_hooks_after
        hook.is_enabled = limit is None or hook.failures <= limit

    return Posting(account.merchant, "shipbob", topic, item.reference_id, hook.url, body, headers, done=done)


def _body(account: ShipBobAccount, item: Return) -> dict[str, Any]:
    kind = account.options.hook_body
    if kind == "id":
        return {"id": item.id}
    if kind == "wrapped":
        return {"data": short(account, item)}
    return short(account, item) if kind == "short" else full(account, item)
