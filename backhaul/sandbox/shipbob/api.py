"""ShipBob's endpoints: one return a write, pages by number, refusals without codes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from backhaul.sandbox.core.app import Call, Operation, Reply, as_json
from backhaul.sandbox.core.ground import Ground
from backhaul.sandbox.shipbob.hooks import full, rfc3339, short
from backhaul.sandbox.shipbob.state import CENTER, Return, ShipBobAccount, Variant

VERSIONS = ("2025-07", "2026-01", "2026-07")
PAGE = 250
ACTIONS = ("Default", "Restock", "Quarantine", "Dispose")
CENTERS = ((CENTER, "Cicero (IL)", "America/Chicago"), (8, "Moreno Valley (CA)", "America/Los_Angeles"))
TOPICS = ("return.created", "return.updated", "return.completed")
Refusal = Reply | None


def admit(ground: Ground, call: Call, operation: Operation) -> Refusal:
    """404 for a version that is over, 401 without the right token, 429 over the limit, all without the body that others send."""
    if call.path["version"] not in VERSIONS:
        return _problem(404, "Not Found")
    if call.merchant not in ground.merchants:
        return Reply(b"", 401)
    account = ground.account(call.merchant, ShipBobAccount)
    if call.headers.get("authorization") != f"Bearer {account.token}":
        return Reply(b"", 401)
    wait = ground.over_limit(account.token, account.options.rate_limit, account.options.rate_window)
    if wait is None:
        return None
    said = {"statusCode": 429, "message": f"Rate limit is exceeded. Try again in {wait} seconds."}
    return as_json(said, 429, x_retry_after=str(wait), x_remaining_calls="0")


def _problem(status: int, title: str, detail: str | None = None, **more: Any) -> Reply:
    return as_json({"type": None, "title": title, "status": status, "detail": detail, "instance": None, **more}, status)


def _invalid(field: str, words: str) -> Reply:
    return _problem(400, "One or more validation errors occurred.", errors={field: [words]})


def _unfit(words: str) -> Reply:
    return as_json({"message": "Validation failed", "errors": [words], "details": None, "stackTrace": "at ShipBob.Returns.Api"}, 422)


def _object(call: Call) -> dict[str, Any]:
    try:
        body = call.json()
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _channel(account: ShipBobAccount, call: Call) -> int | Reply:
    given = call.headers.get("shipbob_channel_id", "")
    if not given.isdigit():
        return _invalid("shipbob_channel_id", "The shipbob_channel_id header is required.")
    own = int(given)
    return own if any(scope.endswith("_write") for scope in account.channels.get(own, ())) else Reply(b"", 403)


def _check(account: ShipBobAccount, body: dict[str, Any], *, mine: Return | None = None) -> Refusal:
    reference, lines, center = body.get("reference_id"), body.get("inventory"), body.get("fulfillment_center")
    if not isinstance(reference, str) or not 1 <= len(reference) <= 50:
        return _invalid("reference_id", "must be 1 to 50 characters")
    if not isinstance(lines, list) or not lines:
        return _invalid("inventory", "needs at least one item")
    for each in lines:
        quantity = each.get("quantity")
        if not isinstance(quantity, int) or quantity < 1 or each.get("requested_action") not in ACTIONS:
            return _invalid("inventory", f"the quantity or the action of {each.get('id')} is not valid")
    ids = [each.get("id") for each in lines]
    if len(set(ids)) < len(ids):
        return _invalid("inventory", f"Duplicate inventory id in {ids}")
    unknown = [own for own in ids if account.item(own) is None]
    if unknown:
        return _unfit(f"Inventory {unknown[0]} was not found")
    if not isinstance(center, dict) or center.get("id") not in [own for own, _, _ in CENTERS]:
        return _unfit("The fulfillment center was not found")
    held = account.find(reference)
    return _unfit("Cannot insert return with existing ReferenceId") if held is not None and held is not mine else None


def create_return(ground: Ground, call: Call) -> Reply:
    """POST /return: 201 and the short record. The reference stays taken, also after a cancel."""
    account, body = ground.account(call.merchant, ShipBobAccount), _object(call)
    channel = _channel(account, call)
    refused = channel if isinstance(channel, Reply) else _check(account, body)
    if isinstance(channel, Reply) or refused is not None:
        return refused or Reply(b"", 400)
    item = account.create(body, channel)
    ground.journal.effect(call.merchant, call.operation, item.reference_id)
    return as_json(short(account, item), 201)


def _found(account: ShipBobAccount, call: Call) -> Return | Reply:
    own = call.path["id"]
    item = account.returns.get(int(own)) if own.isdigit() else None
    return item if item is not None else _problem(404, "Not Found")


def update_return(ground: Ground, call: Call) -> Reply:
    """PUT /return/{id}: a whole new body, while nothing has arrived. 2025-07 wants the channel named."""
    account, body = ground.account(call.merchant, ShipBobAccount), _object(call)
    item = _found(account, call)
    if isinstance(item, Reply):
        return item
    channel = _channel(account, call) if call.path["version"] == "2025-07" else item.channel_id
    if isinstance(channel, Reply):
        return channel
    if item.status != "AwaitingArrival":
        return _unfit(f"Return cannot be modified in status {item.status}")
    refused = _check(account, body, mine=item)
    if refused is not None:
        return refused
    account.replace(item, body)
    ground.journal.effect(call.merchant, call.operation, item.reference_id)
    return as_json(short(account, item))


def cancel_return(ground: Ground, call: Call) -> Reply:
    """POST /return/{id}:cancel: an empty object, while nothing has arrived."""
    account = ground.account(call.merchant, ShipBobAccount)
    item = _found(account, call)
    if isinstance(item, Reply):
        return item
    if item.status != "AwaitingArrival":
        return _problem(400, "Bad Request", "Return cannot be cancelled")
    account.move(item, "Cancelled")
    ground.journal.effect(call.merchant, call.operation, item.reference_id)
    return as_json({})


def list_returns(ground: Ground, call: Call) -> Reply:
    """GET /return by key, status and dates. Newest first unless asked otherwise; a page by its number."""
    account = ground.account(call.merchant, ShipBobAccount)
    found = list(account.returns.values())
    if not account.options.is_filter_ignored:
        try:
            found = [item for item in found if _answers(item, call.query)]
        except ValueError:
            return _invalid("date", "is not a date")
    if call.query.get("SortOrder", "Desc") == "Desc":
        found.reverse()
    return _page(account, call, [full(account, item) for item in found], "Limit")


def _answers(item: Return, query: dict[str, str]) -> bool:
    """Whether a return passes every filter of a query. Dates are inclusive."""
    fields = {"ReferenceIds": item.reference_id, "Ids": str(item.id), "Status": item.status, "ReturnTypes": item.return_type}
    if any(name in query and value not in query[name].split(",") for name, value in fields.items()):
        return False
    moments = {"Start": item.inserted_at, "End": item.inserted_at, "CompletedStart": item.reached("Completed")}
    moments["CompletedEnd"] = item.reached("Completed")
    for name, moment in moments.items():
        if f"{name}Date" not in query:
            continue
        edge = datetime.fromisoformat(query[f"{name}Date"]).astimezone(UTC)
        if moment is None or (moment.replace(microsecond=0) < edge if name.endswith("Start") else moment.replace(microsecond=0) > edge):
            return False
    return True


def _page(account: ShipBobAccount, call: Call, found: Sequence[Any], size: str) -> Reply:
    options = account.options
    asked = call.query.get(size, "")
    limit = min(int(asked) if asked.isdigit() and int(asked) else options.default_limit, PAGE, options.page_cap or PAGE)
    cursor = next((value for name, value in call.pairs if name.casefold() == "cursor"), "1")
    if not cursor.isdigit() or cursor == "0":
        return _invalid("Cursor", "is not a page")
    number = int(cursor)
    rows = found[(number - 1) * limit : number * limit]
    if not found and options.empty_is_404:
        return _problem(404, "Not Found")
    following = None
    if number * limit < len(found):
        path = call.operation.removeprefix("shipbob.").partition(".")[0]
        following = f"/{path.title()}?cursor={number + 1}"
        if not options.next_is_path:
            following = f"{call.base_url}/{call.merchant}/shipbob/{call.path['version']}/{path}?Cursor={number + 1}"
    return as_json({"first": None, "items": list(rows), "last": None, "next": following, "prev": None}, Page_Number=str(number))


def list_products(ground: Ground, call: Call) -> Reply:
    """GET /product; SKU=any:A,B finds each of them."""
    account, wanted = ground.account(call.merchant, ShipBobAccount), call.query.get("SKU")
    found = list(account.variants)
    if wanted is not None:
        found = [variant for sku in wanted.removeprefix("any:").split(",") for variant in account.stock(sku)]
    return _page(account, call, [_product(variant) for variant in found], "PageSize")


def _product(variant: Variant) -> dict[str, Any]:
    named = {
        name: None if action is None else {"id": 1, "name": action} for name, action in (("p", variant.primary), ("b", variant.backup))
    }
    preferences = {"primary_action": named["p"], "backup_action": named["b"], "instructions": variant.instructions}
    made = {
        "sku": variant.sku,
        "status": "Active" if variant.is_active else "Inactive",
        "is_digital": variant.is_digital,
        "inventory": None if variant.inventory_id is None else {"inventory_id": variant.inventory_id, "on_hand_qty": 40},
        "bundle_definition": [{"variant_sku": part, "quantity": 1} for part in variant.parts],
        "channel_metadata": [],
        "return_preferences": preferences,
    }
    return {"name": f"Item {variant.sku}", "type": "Bundle" if variant.parts else "Regular", "variants": [made]}


def list_channels(ground: Ground, call: Call) -> Reply:
    """GET /channel: the account's default one may not be written to."""
    account = ground.account(call.merchant, ShipBobAccount)
    found = [{"id": own, "name": f"Channel {own}", "scopes": scopes} for own, scopes in account.channels.items()]
    return _page(account, call, found, "RecordsPerPage")


def list_centers(ground: Ground, call: Call) -> Reply:
    """GET /fulfillment-center: a bare array."""
    return as_json([{"id": own, "name": name, "timezone": zone} for own, name, zone in CENTERS])


def list_webhooks(ground: Ground, call: Call) -> Reply:
    """GET /webhook: without secrets."""
    account = ground.account(call.merchant, ShipBobAccount)
    return _page(account, call, [_hook(account, own) | {"enabled": hook.is_enabled} for own, hook in account.hooks.items()], "PageSize")


def _hook(account: ShipBobAccount, own: str) -> dict[str, Any]:
    hook = account.hooks[own]
    return {"id": own, "url": hook.url, "topics": hook.topics, "description": "", "created_at": rfc3339(hook.created_at)}


def create_webhook(ground: Ground, call: Call) -> Reply:
    """POST /webhook {topics[], url, secret}. There is no call that changes one."""
    account, body = ground.account(call.merchant, ShipBobAccount), _object(call)
    secret, topics = str(body.get("secret", "")), body.get("topics")
    if not secret.startswith("whsec_") or len(secret) != 38 or not isinstance(topics, list) or not set(topics) <= set(TOPICS):
        return _invalid("secret", "the secret or a topic is not valid")
    hook = account.register(str(body.get("url")), topics, secret)
    return as_json(_hook(account, hook.id) | {"secret": secret})


def delete_webhook(ground: Ground, call: Call) -> Reply:
    """DELETE /webhook/{id}."""
    hook = ground.account(call.merchant, ShipBobAccount).hooks.pop(call.path["id"], None)
    return _problem(404, "Not Found") if hook is None else Reply(b"", 204)


OPERATIONS = (
    Operation("shipbob.create", "POST", "/return", create_return, is_write=True),
    Operation("shipbob.return.list", "GET", "/return", list_returns),
    Operation("shipbob.update", "PUT", "/return/{id}", update_return, is_write=True),
    Operation("shipbob.cancel", "POST", "/return/{id}:cancel", cancel_return, is_write=True),
    Operation("shipbob.product.list", "GET", "/product", list_products),
    Operation("shipbob.channel.list", "GET", "/channel", list_channels),
    Operation("shipbob.centers", "GET", "/fulfillment-center", list_centers),
    Operation("shipbob.webhook.list", "GET", "/webhook", list_webhooks),
    Operation("shipbob.webhooks.create", "POST", "/webhook", create_webhook, is_write=True),
    Operation("shipbob.webhooks.delete", "DELETE", "/webhook/{id}", delete_webhook, is_write=True),
)
