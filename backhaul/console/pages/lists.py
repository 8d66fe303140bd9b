"""The lists: each a table of what is filtered by and shown; one function answers for all of them, as a page, CSV or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from backhaul.connectors.registry import WAREHOUSES
from backhaul.console.desk import as_file, desk_of, respond
from backhaul.domain.deliveries import GIVEN_UP
from backhaul.domain.words import DecisionKind, DeliveryKind, DeliveryState, ExceptionKind, Guard
from backhaul.store import desk as listings
from backhaul.store.desk import COUNTED, Listing


@dataclass(frozen=True, slots=True)
class Filter:
    """One field of a list's form. `choices` makes it a menu; `kind` is the field's type otherwise."""

    name: str
    label: str
    choices: tuple[str, ...] = ()
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Shown:
    """One column of the table: `how` names the macro of `cells.html` that writes it; `order` is what its heading sorts by."""

    name: str
    title: str
    how: str = "text"
    order: str = ""


@dataclass(frozen=True, slots=True)
class ListPage:
    """One list. `noun` is what it counts; `usual` are filters that hold until others are chosen; `acts` are an operator's,
    `beside` others that the items of the first are good for."""

    title: str
    noun: str
    lead: str
    listing: Listing
    filters: tuple[Filter, ...]
    shown: tuple[Shown, ...]
    usual: tuple[tuple[str, str], ...] = ()
    acts: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


STAGES = ("unannounced", "announced", "receiving", "held", "decided", "processed", "flagged", "ended", "exception", "history")
_MERCHANT = Filter("merchant", "Merchant", ("merchants",))
_WHO = Shown("merchant", "Merchant", "merchant")
_RUN = Shown("run_id", "Run", "run")

LISTS: dict[str, ListPage] = {
    "/returns": ListPage(
        "Returns",
        "return",
        "Every return of every merchant, newest first: where it stands at Loop and at the warehouse.",
        listings.RETURNS,
        (
            _MERCHANT,
            Filter("warehouse", "Warehouse", tuple(WAREHOUSES)),
            Filter("stage", "Stage", STAGES),
            Filter("decision", "Decision", tuple(DecisionKind)),
            Filter("sku", "SKU"),
            Filter("from", "Started from", kind="date"),
            Filter("to", "until", kind="date"),
        ),
        (
            Shown("order_name", "Order", "order"),
            _WHO,
            Shown("stage", "Stage", "state"),
            Shown("decision", "Decision", "decision"),
            Shown("expected_units", "Units", "units"),
            Shown("return_total", "Value", "money"),
            Shown("value_at_risk", "At risk", "risk", "value_at_risk"),
            Shown("created_at", "Started", "time", "created_at"),
        ),
    ),
    "/exceptions": ListPage(
        "Exceptions",
        "exception",
        "What needs a person, oldest first: why, and what to do about it.",
        listings.EXCEPTIONS,
        (
            Filter("kind", "Kind", (*ExceptionKind, "quarantined")),
            _MERCHANT,
            Filter("age", "At least days old", kind="number"),
            Filter("value", "At least worth", kind="number"),
            Filter("assigned", "Whose (or nobody)"),
        ),
        (
            Shown("kind", "Kind", "kind"),
            Shown("return_id", "Order", "about"),
            _WHO,
            Shown("why", "Why, and what to do", "why"),
            Shown("value", "Value", "money", "value"),
            Shown("opened_at", "Open since", "time", "opened_at"),
            Shown("assigned_to", "Whose"),
        ),
        acts=("resolve",),
        beside=("assign",),
    ),
    "/quarantine": ListPage(
        "Quarantine",
        "record",
        "Records that broke a critical rule, kept whole until a version that passes takes their place.",
        listings.QUARANTINE,
        (_MERCHANT, Filter("source", "Source", ("loop", *WAREHOUSES)), Filter("state", "Show", ("held", "released", "all"))),
        (
            Shown("record_key", "Record", "record"),
            _WHO,
            Shown("reason", "Rule, and the field it broke", "rule"),
            Shown("quarantined_at", "Since", "time", "quarantine_id"),
            Shown("released_at", "Released", "time"),
        ),
        usual=(("state", "held"),),
    ),
    "/deliveries": ListPage(
        "Deliveries",
        "delivery",
        "The outbox: every write we owe or owed a vendor, and what the vendor answered.",
        listings.DELIVERIES,
        (
            _MERCHANT,
            Filter("kind", "Kind", tuple(DeliveryKind)),
            Filter("state", "State", ("open", *DeliveryState)),
            Filter("return", "Return id"),
        ),
        (
            Shown("kind", "What", "duty"),
            Shown("return_id", "Return", "return"),
            _WHO,
            Shown("state", "State", "state"),
            Shown("attempts", "Attempts", "number"),
            Shown("message", "Answer", "answer"),
            Shown("created_at", "Owed since", "time", "delivery_id"),
        ),
        acts=("retry", "release"),
    ),
    "/events": ListPage(
        "Events",
        "event",
        "What vendors told us, by webhook, when asked, or in a file; and what could not be taken in as it came.",
        listings.EVENTS,
        (
            _MERCHANT,
            Filter("source", "Source", ("loop", *WAREHOUSES)),
            Filter("channel", "Channel", ("webhook", "poll", "file")),
            Filter("outcome", "State", ("waiting", "unreadable", "unknown_return", "never_shown")),
        ),
        (
            Shown("topic", "Topic"),
            Shown("source", "From", "source"),
            _WHO,
            Shown("record_key", "About", "record"),
            Shown("outcome", "State", "outcome"),
            Shown("received_at", "Received", "time", "event_id"),
            Shown("handled_at", "Taken in", "time"),
        ),
    ),
    "/runs": ListPage(
        "Runs",
        "run",
        "Each run of a flow, with counts that add up: in = loaded + unchanged + quarantined.",
        listings.RUNS,
        (
            _MERCHANT,
            Filter("flow", "Flow", ("sync", "events", "deliver", "reconcile", "backfill", "audit", "replay", "retry", "import")),
            Filter("state", "State", ("running", "completed", "failed")),
        ),
        (
            Shown("flow", "Flow", "flow"),
            _WHO,
            Shown("state", "State", "state"),
            Shown("records_in", "In", "number"),
            Shown("records_out", "Loaded", "number"),
            Shown("unchanged", "Unchanged", "number"),
            Shown("quarantined", "Quarantined", "number"),
            Shown("delivered", "Delivered", "number"),
            Shown("duration_s", "Took", "seconds"),
            Shown("started_at", "Started", "time", "started_at"),
        ),
    ),
}


def act_on(page: ListPage, row: Mapping[str, Any]) -> tuple[str, str] | None:
    """What an operator may do to a row, and the item that says which it is; None where nothing is to be done by hand."""
    if "resolve" in page.acts and row["kind"] != "quarantined":
        return "resolve", f"{row['merchant']}|{row['kind']}|{row['subject']}"
    if "retry" in page.acts:
        item = f"{row['merchant']}|{row['kind']}|{row['return_id']}"
        if row["state"] in GIVEN_UP:
            return "retry", item
        if row["held_by"] in tuple(Guard):
            return "release", item
    return None


def endpoint(path: str) -> Callable[[Request], Response]:
    """The function that answers for a list."""
    page = LISTS[path]

    def answer(request: Request) -> Response:
        return _answer(request, page)

    return answer


def _answer(request: Request, page: ListPage) -> Response:
    query = request.query_params
    chosen = dict(page.usual) | {one.name: query[one.name].strip() for one in page.filters if query.get(one.name, "").strip()}
    order = query.get("sort") if query.get("sort") in page.listing.orders else page.listing.default
    how: dict[str, Any] = {"order": order, "is_turned": query.get("way") == "turned"}
    if query.get("format") in ("csv", "json"):
        listings.check(page.listing, chosen)  # before the answer begins: a bad filter is a 400, not half a file
        answer = as_file(request, page.title.lower(), [one.name for one in page.listing.columns], _every(request, page, chosen, how))
        assert answer is not None  # noqa: S101
        return answer
    with desk_of(request).store.read() as connection:
        found = listings.page(connection, page.listing, chosen, after=query.get("after"), **how)
    counted = f"more than {COUNTED:,}" if found.total > COUNTED else f"{found.total:,}"
    return respond(
        request, "list.html", title=page.title, page=page, found=found, counted=counted, chosen=chosen, order=order, act_on=act_on
    )


def _every(request: Request, page: ListPage, chosen: dict[str, str], how: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with desk_of(request).store.read() as connection:
        yield from listings.every(connection, page.listing, chosen, **how)
