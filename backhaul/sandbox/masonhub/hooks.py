"""MasonHub's callbacks (docs/vendors/masonhub.md 5.2, 5.3; quirks Q5, Q6, Q13).

v1 is a flat RMA, v2 wraps it in `details`; a carrier's event has `event_type` and no details.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from backhaul.sandbox.core.courier import Posting
from backhaul.sandbox.masonhub.state import CARRIER_EVENTS, Callback, MasonHubAccount, Rma
from backhaul.sandbox.masonhub.wire import record, rfc3339

_EASTERN = timezone(timedelta(hours=-5))


def as_of(moment: datetime) -> str:
    """MasonHub's event times have microseconds and its own offset: 2026-03-05T08:48:32.284951-05:00."""
    return moment.astimezone(_EASTERN).isoformat(timespec="microseconds")


def _v1(event: str, rma: Rma) -> dict[str, Any]:
    return {
        "id": rma.id,
        "customer_identifier": rma.customer_identifier,
        "manifest_id": rma.manifest_id,
        "package_id": rma.package_id,
        "return_type": rma.return_type,
        "status": event,
        "received_at": rfc3339(rma.received_at),
        "notes": rma.notes,
        "customer_instruction": rma.customer_instructions,
        "line_items": [] if event in CARRIER_EVENTS else rma.lines,
    }


def _v2(event: str, rma: Rma, now: datetime) -> dict[str, Any]:
    head = {"id": rma.id, "customer_identifier": rma.customer_identifier}
    if event in CARRIER_EVENTS:
        return {**head, "event_type": event, "as_of": as_of(now)}
    details = record(rma)
    details["customer_instruction"] = details.pop("customer_instructions")
    details["processed_at"] = details.pop("received_at")
    details |= {"version": str(rma.version), "delivered_at": rfc3339(rma.delivered_at), "warehouse_id": "dc-1"}
    return {**head, "status": event, "as_of": as_of(now), "details": details}


def posting(account: MasonHubAccount, callback: Callback, event: str, rma: Rma) -> Posting:
    """One callback, ready to send. The token travels as a bearer token, or in the body by option."""
    now = account.clock.now
    data = _v2(event, rma, now) if callback.api_version == "2.0" else _v1(event, rma)
    body: dict[str, Any] = {
        "callback_url": callback.url,
        "message_type": "rmaEvent",
        "message_id": account.new_id(),
        "api_version": callback.api_version,
        "data": [data],
    }
    headers = {"Content-Type": "application/json"}
    if callback.token is not None and account.options.token_in_body:
        body["token"] = callback.token
    elif callback.token is not None:
        headers["Authorization"] = f"Bearer {callback.token}"
    return Posting(account.merchant, "masonhub", event, rma.customer_identifier, callback.url, msgspec.json.encode(body), headers)
