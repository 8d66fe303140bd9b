"""What Loop posts to a webhook: PHP-style JSON, signed over those very bytes (docs/vendors/loop.md 7; quirks 10 and 11)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from backhaul.sandbox.loop.state import LoopAccount, Return
from backhaul.sandbox.loop.wire import FIRST_ORDER, FIRST_PROVIDER_ORDER, iso_ms, list_record, offset, shopper, spaced

TOPICS = ("return", "return.processing", "label", "label.request", "restock", "giftcard", "happy.returns.shipment")
TRIGGERS = (
    "return.created",
    "return.updated",
    "return.closed",
    "return.processing.failed",
    "label.created",
    "label.updated",
    "label.request.issued",
    "label.request.cancelled",
    "restock.requested",
    "giftcard.requested",
    "shipment.processed",
)
USUAL = (
    ("return", "return.created"),
    ("return", "return.updated"),
    ("return", "return.closed"),
    ("return.processing", "return.processing.failed"),
    ("label", "label.updated"),
)


def php_json(value: Any) -> bytes:
    """Compact JSON as PHP writes it: slashes escaped, all of it ASCII."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/").encode()


def signature(secret: str, body: bytes) -> str:
    """X-Loop-Signature: base64 of HMAC-SHA256 over the raw body."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def payload(account: LoopAccount, topic: str, trigger: str, item: Return, details: dict[str, Any]) -> dict[str, Any]:
    """The body of one delivery. The topic picks its shape; a topic that does not fit the trigger gives an empty one."""
    if topic == "return" and trigger.startswith(("return.", "label.")) and trigger != "return.processing.failed":
        return _return(account, trigger, item)
    if topic == "label" and trigger.startswith("label."):
        return _label(account, trigger, item)
    if topic == "return.processing" and trigger == "return.processing.failed":
        return {"topic": topic, "trigger": trigger, "return_id": item.id, **details}
    return {}


def _return(account: LoopAccount, trigger: str, item: Return) -> dict[str, Any]:
    """No `updated_at`; dates with an offset, except the lines', which are spaced."""
    record, person = list_record(item), shopper(item.shopper)
    for absent in ("updated_at", "multi_currency", "refund_before_inspection", "was_processed", "outcomes_processed_at", "type"):
        record.pop(absent, None)
    for absent in ("origin_country", "origin_country_code", "shopify_refund_object", "label_url", "label_rate", "outcome"):
        record.pop(absent, None)
    for line in record["line_items"]:
        line["returned_at"] = line["returned_at"] and spaced(item.created_at + 1)
        for absent in ("refund_item", "refund_tax", "condition", "disposition", "consolidation_tracking"):
            line.pop(absent, None)
    if item.tracking_number is None:
        record.update(carrier="", label_status="pending")
    refunds = []
    if item.processed_at is not None and "refund" in item.outcome:
        refunds = [{"gateway": "manual", "amount": float(record["refund"]), "currency": item.currency, "provider_refund_id": item.id * 10}]
    return {
        "topic": "return",
        "trigger": trigger,
        "shop_id": account.shop_id,
        **record,
        "created_at": offset(item.created_at),
        "edited_at": offset(item.edited_at),
        "label_updated_at": offset(item.label_updated_at),
        "provider_order_number": item.order_number,
        "provider_order_sales_channel": "Example Online Store",
        "customer_detail": {**person, "middle_name": None},
        "address": {
            "name": f"{person['first_name']} {person['last_name']}",
            "company": None,
            "address1": "1 Example Street",
            "address2": "",
            "city": "Columbus",
            "state": "Ohio",
            "zip": 43215,
            "country": "United States",
            "country_code": "US",
            "phone": "+15550000000",
        },
        "is_gift_return": False,
        "refunds": refunds,
        **item.extra,
    }


def _label(account: LoopAccount, trigger: str, item: Return) -> dict[str, Any]:
    return {
        "topic": "label",
        "trigger": trigger,
        "shop_id": account.shop_id,
        "id": item.id,
        "order_id": FIRST_ORDER + item.order_number,
        "provider_order_id": FIRST_PROVIDER_ORDER + item.order_number,
        "carrier": item.carrier,
        "tracking_number": item.tracking_number or "N/A",
        "label_status": item.label_status,
        "label_updated_at": iso_ms(item.label_updated_at),
        "shipment_id": str(6_789_000_000 + item.id),
    }
