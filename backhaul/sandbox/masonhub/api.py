"""MasonHub's endpoints (docs/vendors/masonhub.md 2, 4, 5.1, 6, 7): arrays in, 200 always, the truth in each record's result.

Quirks Q1, Q2, Q8 to Q12 of docs/vendors/masonhub.md, 9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from backhaul.sandbox.core.app import Call, Operation, Reply, as_json
from backhaul.sandbox.core.ground import Ground
from backhaul.sandbox.masonhub.checks import Problem, check, does_not_exist, is_not_open, is_taken
from backhaul.sandbox.masonhub.state import MasonHubAccount, Rma
from backhaul.sandbox.masonhub.wire import record, summary

BATCH = 30
STATUSES = ("all", "open", "in-receiving", "received", "deleted")
MESSAGE_TYPES = (
    "skuInventoryChange",
    "orderEvent",
    "orderUpdateResolution",
    "orderCancelResolution",
    "inboundShipmentEvent",
    "rmaEvent",
    "snapshotReady",
)
Result = tuple[object, list[Problem], dict[str, Any] | None]  # key, problems, additional data


def admit(ground: Ground, call: Call, operation: Operation) -> Reply | None:
    """401 without the right bearer token; 429 over the limit, where one is set."""
    merchant = ground.merchants.get(call.merchant)
    account = merchant.account(MasonHubAccount) if merchant else None
    if account is None or call.headers.get("authorization") != f"Bearer {account.token}":
        return as_json({"message": "The access token provided is missing or invlid."}, 401)
    wait = ground.over_limit(account.token, account.options.rate_limit, account.options.rate_window)
    if wait is None:
        return None
    return as_json({"message": "Rate limit exceeded"}, 429, Retry_After=str(wait))


def _bad(message: str = "One or more parameters were bad.") -> Reply:
    return as_json({"message": message}, 400)


def _batch(call: Call) -> list[Any] | None:
    """The body's array of at most 30 records; None when it is anything else."""
    try:
        body = call.json()
    except msgspec.DecodeError:
        return None
    return body if isinstance(body, list) and 0 < len(body) <= BATCH else None


def _each(ground: Ground, call: Call, one: Callable[[MasonHubAccount, dict[str, Any]], Result], *, is_delete: bool = False) -> Reply:
    """Run a batch record by record: one that fails does not stop the others."""
    account, batch = ground.account(call.merchant, MasonHubAccount), _batch(call)
    if batch is None:
        return _bad()
    results: list[Result] = []
    for body in batch:
        done = one(account, body) if isinstance(body, dict) else (None, [("", "300: is not an object")], None)
        if not done[1]:
            ground.journal.effect(call.merchant, call.operation, str(done[0]))
        results.append(done)
    labels = sum(extra is not None for _, _, extra in results)
    return _envelope(call, account, results, is_delete=is_delete, delay=labels * account.options.label_seconds)


def _envelope(call: Call, account: MasonHubAccount, results: Sequence[Result], *, is_delete: bool, delay: float = 0.0) -> Reply:
    options = account.options
    shape = options.message_shape if options.message_shape != "documented" else "strings" if is_delete else "fields"
    wire = []
    for key, problems, extra in results:
        word = "failure" if problems else "success"
        is_title = options.status_case == "title" or (options.status_case == "mixed" and bool(problems))
        row: dict[str, Any] = {"customer_identifier": key, "status": word.title() if is_title else word}
        if problems:
            row["messages"] = _messages(problems, shape)
        else:
            link = f"{call.base_url}/{call.merchant}/masonhub/api/v1/rmas?cid={key}"
            row |= {name: link for name in ("url", "uri") if options.link in (name, "both")}
        if extra is not None:
            row["additional_data"] = extra
        wire.append(row)
    failed = sum(bool(problems) for _, problems, _ in results)
    counts = {"records_submitted": len(wire), "records_processed": len(wire), "records_failed": failed}
    envelope = {**counts, "records_succeeded": len(wire) - failed, "results": wire}
    return Reply(msgspec.json.encode([envelope] if options.results_in_array else envelope), delay=delay)


def _messages(problems: Sequence[Problem], shape: str) -> list[Any]:
    if shape == "strings":
        return [text for _, text in problems]
    if shape == "mapping":
        return [{name: [text]} for name, text in problems]
    return [{"field_name": name, "errors": [text]} for name, text in problems]


def _label(account: MasonHubAccount, rma: Rma, body: dict[str, Any]) -> dict[str, Any] | None:
    """A label is made unless the request says otherwise, and its number becomes the parcel's."""
    if not body.get("generate_return_label", True):
        return None
    number = int(rma.id[:8], 16)
    rma.package_id = f"9302020{number:015d}"
    rma.return_label_url = f"https://labels.example.com/return-labels/{rma.id}.pdf"
    return {"return_label_url": rma.return_label_url, "return_tracking_number": rma.package_id}


def _create(account: MasonHubAccount, body: dict[str, Any]) -> Result:
    cid = body.get("customer_identifier")
    problems = check(account, body)
    if isinstance(cid, str) and account.find(cid) is not None:
        problems.insert(0, is_taken(cid))
    if problems:
        return cid, problems, None
    rma = account.create(body)
    return cid, [], _label(account, rma, body)


def _update(account: MasonHubAccount, body: dict[str, Any]) -> Result:
    cid = body.get("customer_identifier")
    rma = account.find(cid) if isinstance(cid, str) else None
    if rma is None:
        return cid, [does_not_exist(cid)], None
    problems = check(account, body)
    if rma.status != "open":
        problems.insert(0, is_not_open(str(cid)))
    if problems:
        return cid, problems, None
    account.fill(rma, body)
    account.touch(rma)
    return cid, [], _label(account, rma, body)


def _delete(account: MasonHubAccount, body: dict[str, Any]) -> Result:
    cid = body.get("customer_identifier")
    rma = account.find(cid) if isinstance(cid, str) else None
    if rma is None:
        return cid, [does_not_exist(cid)], None
    if rma.status != "open":
        return cid, [is_not_open(str(cid))], None
    account.delete(rma)
    return cid, [], None


def create_rmas(ground: Ground, call: Call) -> Reply:
    """POST /rmas."""
    return _each(ground, call, _create)


def update_rmas(ground: Ground, call: Call) -> Reply:
    """PUT /rmas: the entire record, only while `open`."""
    return _each(ground, call, _update)


def delete_rmas(ground: Ground, call: Call) -> Reply:
    """DELETE /rmas, with a body; only while `open`; soft."""
    return _each(ground, call, _delete, is_delete=True)


def _names(call: Call, name: str) -> list[str]:
    return [part for key, value in call.pairs if key == name for part in value.split(",") if part]


def list_rmas(ground: Ground, call: Call) -> Reply:
    """GET /rmas by cid, id, status and creation date. No total, no next link."""
    account, query = ground.account(call.merchant, MasonHubAccount), call.query
    cids, ids, status = _names(call, "cid"), _names(call, "id"), query.get("status", "all")
    limit, offset, kind = query.get("limit", "30"), query.get("offset", "0"), query.get("list_type", "detail")
    try:
        start, end = (datetime.fromisoformat(query[name]) if name in query else None for name in ("sdt", "edt"))
    except ValueError:
        return _bad()
    is_number = limit.isdigit() and offset.isdigit() and 1 <= int(limit) <= 100
    is_aware = all(moment is None or moment.tzinfo is not None for moment in (start, end))
    if not is_number or not is_aware or status not in STATUSES or kind not in ("detail", "summary") or max(len(cids), len(ids)) > BATCH:
        return _bad()
    found = _matching(account, cids, ids, status, start, end)[int(offset) : int(offset) + int(limit)]
    if not found and account.options.empty_is_404:
        return as_json({"message": "The record or records you are looking for could not be found."}, 404)
    if kind == "summary":
        return as_json(summary(found))
    criteria: dict[str, Any] = {"status": status, "sdt": query.get("sdt"), "edt": query.get("edt")}
    criteria |= ({"cids": cids} if cids else {}) | ({"ids": ids} if ids else {})
    envelope = {"search_criteria": criteria, "limit": int(limit), "offset": int(offset), "list_type": "detail", "include_counts": False}
    return as_json({**envelope, "data": [record(rma) for rma in found]})


def _matching(
    account: MasonHubAccount, cids: list[str], ids: list[str], status: str, start: datetime | None, end: datetime | None
) -> list[Rma]:
    """In order of creation. The dates are those of creation (quirk Q11); a new record may not show yet."""
    now, pool = account.clock.now, account.rmas
    if cids:
        pool = [rma for cid in cids for rma in account.all_of(cid)]
    if ids:
        pool = [rma for rma_id in ids if (rma := account.by_id(rma_id)) is not None and (not cids or rma in pool)]
    return [
        rma
        for rma in pool
        if status in ("all", rma.status)
        and rma.visible_at <= now
        and (start is None or rma.created_at >= start)
        and (end is None or rma.created_at <= end)
    ]


def list_callbacks(ground: Ground, call: Call) -> Reply:
    """GET /callbacks: a bare array."""
    wanted = call.query.get("message_type", "all")
    found = [each for each in ground.account(call.merchant, MasonHubAccount).callbacks.values() if wanted in ("all", each.message_type)]
    names = ("id", "url", "message_type", "api_version")
    return as_json([{name: getattr(each, name) for name in names} | ({"token": each.token} if each.token else {}) for each in found])


def create_callbacks(ground: Ground, call: Call) -> Reply:
    """POST /callbacks: one URL a message type, a second one replaces the first. A bare array of results with string messages."""
    account, batch = ground.account(call.merchant, MasonHubAccount), _batch(call)
    if batch is None:
        return _bad()
    results = []
    for body in batch:
        kind, url = body.get("message_type"), str(body.get("url", ""))
        if kind not in MESSAGE_TYPES or not 1 <= len(url) <= 250:
            results.append({"message_type": kind, "status": "Failure", "messages": [f"300: '{kind}' or its url is not accepted"]})
            continue
        callback = account.register(url, kind, str(body.get("api_version", "1.0")), body.get("token"))
        link = f"{call.base_url}/{call.merchant}/masonhub/api/v1/callbacks?message_type={kind}"
        said = ["Callback url updated successfuly."]
        results.append({"message_type": kind, "id": callback.id, "status": "Success", "url": link, "messages": said})
    return as_json(results)


OPERATIONS = (
    Operation("masonhub.list", "GET", "/rmas", list_rmas),
    Operation("masonhub.create", "POST", "/rmas", create_rmas, is_write=True),
    Operation("masonhub.update", "PUT", "/rmas", update_rmas, is_write=True),
    Operation("masonhub.delete", "DELETE", "/rmas", delete_rmas, is_write=True),
    Operation("masonhub.callbacks.list", "GET", "/callbacks", list_callbacks),
    Operation("masonhub.callbacks.create", "POST", "/callbacks", create_callbacks, is_write=True),
)
