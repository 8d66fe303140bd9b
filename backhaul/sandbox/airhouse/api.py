"""Airhouse's endpoints, as assumed (docs/vendors/airhouse.md 3.3 and 3.4)."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import msgspec

from backhaul.sandbox.airhouse.state import AirhouseAccount, AirhouseReturn
from backhaul.sandbox.core.app import Call, Operation, Reply, as_json
from backhaul.sandbox.core.ground import Ground


def _error(status: int, code: str, message: str, details: list[dict[str, str]] | None = None, **extra: str) -> Reply:
    error = {"code": code, "message": message, "details": details or [], **extra, "request_id": "req_1"}
    return as_json({"error": error}, status)


def admit(ground: Ground, call: Call, operation: Operation) -> Reply | None:
    """401 without the right key."""
    merchant = ground.merchants.get(call.merchant)
    if merchant is None or call.headers.get("authorization") != f"Bearer {merchant.account(AirhouseAccount).api_key}":
        return _error(401, "unauthorized", "The API key is not known.")
    return None


def _object(call: Call) -> dict[str, Any] | None:
    try:
        body = call.json()
    except msgspec.DecodeError:
        return None
    return body if isinstance(body, dict) else None


def _check_items(account: AirhouseAccount, items: Any) -> Reply | None:
    if not isinstance(items, list) or not items:
        return _error(422, "quantity_invalid", "A return needs at least one item.")
    known = account.options.known_skus
    unknown, wrong = [], []
    for index, each in enumerate(items):
        if known is not None and each.get("sku") not in known:
            unknown.append({"field": f"items[{index}].sku", "code": "unknown_sku", "message": str(each.get("sku"))})
        quantity = each.get("expected_quantity")
        if not each.get("sku") or not isinstance(quantity, int) or quantity < 1:
            wrong.append({"field": f"items[{index}].expected_quantity", "code": "quantity_invalid", "message": str(quantity)})
    if unknown:
        return _error(422, "unknown_sku", "One or more SKUs are not known", unknown)
    return _error(422, "quantity_invalid", "One or more quantities are not valid", wrong) if wrong else None


def create_return(ground: Ground, call: Call) -> Reply:
    """POST /returns: 201; the same again is 200; another body under the same external_id, or the same key, is 409."""
    account, body = ground.account(call.merchant, AirhouseAccount), _object(call)
    if body is None:
        return _error(400, "malformed", "The body is not a JSON object.")
    key, external_id = call.headers.get("idempotency-key"), body.get("external_id")
    keyed = account.returns[account.keyed[key]] if key is not None and key in account.keyed else None
    if keyed is not None and keyed.request == body:
        return as_json(account.wire(keyed))
    if keyed is not None and keyed.external_id != external_id:
        return _error(409, "idempotency_key_reused", "Idempotency-Key already used for another return", existing_id=keyed.id)
    refused = _check_items(account, body.get("items"))
    if refused is not None:
        return refused
    held = account.find(external_id) if isinstance(external_id, str) else None
    if held is not None and held.request == body:
        return as_json(account.wire(held))
    if held is not None:
        taken = [{"field": "external_id", "code": "taken", "message": str(external_id)}]
        return _error(409, "duplicate_external_id", "external_id already used", taken, existing_id=held.id)
    item = account.create(body)
    if key is not None:
        account.keyed[key] = item.id
    ground.journal.effect(call.merchant, call.operation, str(item.external_id))
    return as_json(account.wire(item), 201)


def _found(ground: Ground, call: Call) -> AirhouseReturn | Reply:
    item = ground.account(call.merchant, AirhouseAccount).returns.get(call.path["id"])
    return item if item is not None else _error(404, "not_found", "There is no such return.")


def list_returns(ground: Ground, call: Call) -> Reply:
    """GET /returns, ordered by (updated_at, id); the cursor holds both."""
    account, query = ground.account(call.merchant, AirhouseAccount), call.query
    limit = query.get("limit", "50")
    try:
        since = datetime.fromisoformat(query["updated_since"]) if "updated_since" in query else None
        after = tuple(msgspec.json.decode(base64.urlsafe_b64decode(query["cursor"]))) if "cursor" in query else ("", "")
        if not limit.isdigit() or not 1 <= int(limit) <= 100 or (since is not None and since.tzinfo is None):
            raise ValueError
    except (ValueError, msgspec.DecodeError):
        return _error(400, "malformed", "A parameter is not valid.")
    wanted = {name: query[name] for name in ("external_id", "order_number", "status") if name in query}
    found = []
    for item in account.returns.values():
        wire = account.wire(item)
        is_wanted = all(wire[name] == value for name, value in wanted.items()) and (since is None or item.updated_at >= since)
        if is_wanted and (wire["updated_at"], wire["id"]) > after:
            found.append(wire)
    found.sort(key=lambda wire: (wire["updated_at"], wire["id"]))
    page, cursor = found[: int(limit)], None
    if len(found) > len(page):
        cursor = base64.urlsafe_b64encode(msgspec.json.encode([page[-1]["updated_at"], page[-1]["id"]])).decode()
    return as_json({"data": page, "next_cursor": cursor})


def patch_return(ground: Ground, call: Call) -> Reply:
    """PATCH /returns/{id}: tracking and items, only while `requested`."""
    account, item, body = ground.account(call.merchant, AirhouseAccount), _found(ground, call), _object(call)
    if isinstance(item, Reply):
        return item
    if body is None:
        return _error(400, "malformed", "The body is not a JSON object.")
    if item.status != "requested":
        return _error(409, "invalid_state", f"A return that is {item.status} cannot be changed.")
    if "items" in body:
        refused = _check_items(account, body["items"])
        if refused is not None:
            return refused
        item.items = account.items_of(body["items"])
    item.tracking_number = body.get("tracking_number", item.tracking_number)
    item.carrier = body.get("carrier", item.carrier)
    item.updated_at = account.clock.now
    account.tell("return.updated", item)
    ground.journal.effect(call.merchant, call.operation, str(item.external_id))
    return as_json(account.wire(item))


def _move(ground: Ground, call: Call, allowed: str, status: str) -> Reply:
    account, item = ground.account(call.merchant, AirhouseAccount), _found(ground, call)
    if isinstance(item, Reply):
        return item
    if item.status == "closed" and status == "closed":
        return as_json(account.wire(item))  # closing is idempotent
    if item.status != allowed:
        return _error(409, "invalid_state", f"A return that is {item.status} cannot become {status}.")
    account.move(item, status)
    ground.journal.effect(call.merchant, call.operation, str(item.external_id))
    return as_json(account.wire(item))


def cancel_return(ground: Ground, call: Call) -> Reply:
    """POST /returns/{id}/cancel, from `requested` only."""
    return _move(ground, call, "requested", "cancelled")


def close_return(ground: Ground, call: Call) -> Reply:
    """POST /returns/{id}/close, from `processed`."""
    return _move(ground, call, "processed", "closed")


OPERATIONS = (
    Operation("airhouse.create", "POST", "/returns", create_return, is_write=True),
    Operation("airhouse.list", "GET", "/returns", list_returns),
    Operation("airhouse.update", "PATCH", "/returns/{id}", patch_return, is_write=True),
    Operation("airhouse.cancel", "POST", "/returns/{id}/cancel", cancel_return, is_write=True),
    Operation("airhouse.close", "POST", "/returns/{id}/close", close_return, is_write=True),
)
