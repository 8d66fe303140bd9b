"""Loop's endpoints: who is let in, details, return actions, notes, webhooks (docs/vendors/loop.md 1, 2, 5, 6.2 and 6.4 to 6.9).

A refusal of an action comes with HTTP 200 in one of several envelopes, an acceptance is the bare literal `true` (quirk 1).
"""

from __future__ import annotations

from typing import Any

import msgspec

from backhaul.sandbox.core.app import Call, Operation, Reply, as_json
from backhaul.sandbox.core.ground import Ground
from backhaul.sandbox.loop.hooks import TOPICS, TRIGGERS
from backhaul.sandbox.loop.listing import asn_report, list_returns
from backhaul.sandbox.loop.recorded import detailed
from backhaul.sandbox.loop.state import LoopAccount, LoopOptions, Return, Subscription
from backhaul.sandbox.loop.wire import FIRST_PROVIDER_ORDER, iso_ms

UNKNOWN = "No return found with this ID."
MAX_NOTE = 255


def admit(ground: Ground, call: Call, operation: Operation) -> Reply | None:
    """401 for a missing key, a wrong one or one without the scope; 429 over the limit. None lets the call through."""
    merchant = ground.merchants.get(call.merchant)
    options = merchant.account(LoopAccount).options if merchant else LoopOptions()
    scopes = merchant.account(LoopAccount).keys.get(call.headers.get("x-authorization", "")) if merchant else None
    if scopes is None or operation.scope not in scopes:
        if options.unauthorised_form == "errors":
            return as_json({"errors": "Unauthorized."}, 401)
        return as_json({"error": {"code": "401", "http_code": "GEN-UNAUTHORIZED", "message": "Unauthorized."}}, 401)
    wait = ground.over_limit(call.headers["x-authorization"], options.rate_limit, options.rate_window)
    if wait is None:
        return None
    return as_json({"message": "Too Many Attempts."}, 429, Retry_After=str(wait), X_RateLimit_Limit=str(options.rate_limit))


def _refusal(message: str, code: str | None = None) -> Reply:
    return as_json({"errors": {"message": message} | ({"code": code} if code else {})})


def details(ground: Ground, call: Call) -> Reply:
    """GET /warehouse/return/details: one object, integer ids (or an array of it); no match is a 200 with an error inside (envelope 7)."""
    account, query = ground.account(call.merchant, LoopAccount), call.query
    if "return_id" in query:
        item = account.get(query["return_id"])
    else:
        name, provider_id = query.get("order_name", "").lstrip("#"), query.get("order_id", "")
        number = int(name) if name.isdigit() else int(provider_id) - FIRST_PROVIDER_ORDER if provider_id.isdigit() else -1
        item = next(reversed(account.of_order(number)), None)
    if item is None:
        return as_json({"error": {"message": UNKNOWN}})
    return as_json(detailed(item, account.options.surface))


def _accept(ground: Ground, call: Call, item: Return) -> Reply:
    ground.journal.effect(call.merchant, call.operation, str(item.id))
    return Reply(ground.account(call.merchant, LoopAccount).options.success_literal)


def process(ground: Ground, call: Call) -> Reply:
    """POST …/process: queues the work. Closed and flagged are refused with a code, cancelled, expired and review with a bare message."""
    account = ground.account(call.merchant, LoopAccount)
    item = account.get(call.path["return_id"])
    if item is None:
        return _refusal(UNKNOWN)
    text = f"Return is {item.state} and therefore cannot be processed."
    if item.state == "closed":
        return _refusal(text, "UNPROCESSABLE_RETURN")
    if item.is_flagged and not account.options.can_process_flagged:
        return _refusal(text, "UNPROCESSABLE_FLAGGED_RETURN")
    if item.state in ("cancelled", "expired") or (item.state == "review" and not item.is_flagged):
        return as_json({"message": text})
    reply = _accept(ground, call, item)
    account.queue_processing(item)
    return reply


def flag(ground: Ground, call: Call) -> Reply:
    """POST …/flag: refused where nothing can be processed; a second flag changes nothing."""
    account = ground.account(call.merchant, LoopAccount)
    item = account.get(call.path["return_id"])
    if item is None:
        return _refusal(UNKNOWN)
    if item.state in ("closed", "cancelled", "expired"):
        return _refusal(f"Return is {item.state} and therefore cannot be flagged.", "UNPROCESSABLE_RETURN")
    if not item.is_flagged:
        account.flag(item.id)
    return _accept(ground, call, item)


def add_note(ground: Ground, call: Call) -> Reply:
    """POST …/note (singular): content of fewer than 255 characters."""
    account = ground.account(call.merchant, LoopAccount)
    item = account.get(call.path["return_id"])
    if item is None:
        return _refusal(UNKNOWN)
    body = _object(call)
    content = body.get("content")
    if not isinstance(content, str) or not 0 < len(content) < MAX_NOTE:
        return as_json({"errors": {"message": "Content is required and must be less than 255 characters."}}, 422)
    account.add_note(item.id, content)
    return _accept(ground, call, item)


def list_notes(ground: Ground, call: Call) -> Reply:
    """GET …/notes: an array (or an object, by option); a bare `false` with 422 when there are none (envelope 8)."""
    account = ground.account(call.merchant, LoopAccount)
    item = account.get(call.path["return_id"])
    notes = account.notes.get(item.id, []) if item else []
    if not notes:
        return as_json(False, 422)
    wire = [{**note, "created_at": iso_ms(note["created_at"])} for note in notes]
    return as_json({"notes": wire} if account.options.notes_in_object else wire)


def _object(call: Call) -> dict[str, Any]:
    try:
        body = call.json()
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _hook(ground: Ground, call: Call, hook: Subscription) -> dict[str, Any]:
    names = ("id", "topic", "trigger", "url", "status")
    return {"shop_id": ground.account(call.merchant, LoopAccount).shop_id} | {name: getattr(hook, name) for name in names}


def _bad_hook(body: dict[str, Any]) -> Reply | None:
    for name, known in (("topic", TOPICS), ("trigger", TRIGGERS)):
        if body.get(name) not in known:
            return as_json({"message": f"Must be one of the following values:{','.join(known)}", "errors": {name: ["invalid"]}}, 422)
    if not str(body.get("url", "")).startswith(("http://", "https://")):
        return as_json({"message": "The url field is required.", "errors": {"url": ["invalid"]}}, 422)
    return None


def list_webhooks(ground: Ground, call: Call) -> Reply:
    """GET /webhooks: in an object, without secrets."""
    return as_json({"webhooks": [_hook(ground, call, hook) for hook in ground.account(call.merchant, LoopAccount).subscriptions.values()]})


def create_webhook(ground: Ground, call: Call) -> Reply:
    """POST /webhooks: 201 and the webhook."""
    body = _object(call)
    bad = _bad_hook(body)
    if bad is not None:
        return bad
    hook = ground.account(call.merchant, LoopAccount).subscribe(body["topic"], body["trigger"], body["url"], body.get("status"))
    return as_json(_hook(ground, call, hook), 201)


def update_webhook(ground: Ground, call: Call) -> Reply:
    """PUT /webhooks/{id}: 204; topic, trigger and url are required."""
    hook = ground.account(call.merchant, LoopAccount).subscriptions.get(int(call.path["hook_id"]))
    body = _object(call)
    if hook is None:
        return as_json({"errors": {"code": "NOT_FOUND"}}, 404)
    bad = _bad_hook(body)
    if bad is not None:
        return bad
    hook.topic, hook.trigger, hook.url = body["topic"], body["trigger"], body["url"]
    hook.status, hook.failures = body.get("status", hook.status), 0
    return Reply(b"", 204)


_ROOT = "/warehouse/return"
_ONE = _ROOT + "/{return_id:int}"
_HOOK = "/webhooks/{hook_id:int}"
OPERATIONS = (
    Operation("loop.list", "GET", f"{_ROOT}/list", list_returns, "returns"),
    Operation("loop.details", "GET", f"{_ROOT}/details", details, "returns"),
    Operation("loop.asn", "GET", "/warehouse/reporting/asn", asn_report, "returns"),
    Operation("loop.process", "POST", f"{_ONE}/process", process, "returns", is_write=True),
    Operation("loop.flag", "POST", f"{_ONE}/flag", flag, "returns", is_write=True),
    Operation("loop.note", "POST", f"{_ONE}/note", add_note, "returns", is_write=True),
    Operation("loop.notes", "GET", f"{_ONE}/notes", list_notes, "returns"),
    Operation("loop.webhooks.list", "GET", "/webhooks", list_webhooks, "developer_tools"),
    Operation("loop.webhooks.create", "POST", "/webhooks", create_webhook, "developer_tools", is_write=True),
    Operation("loop.webhooks.update", "PUT", _HOOK, update_webhook, "developer_tools", is_write=True),
)
