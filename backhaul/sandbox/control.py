"""The sandbox's own JSON API under /_sandbox: see the state, move the clock, act as a shopper or a warehouse, ask for faults.

GET   state, calls, writes, deliveries (the last three filter by ?merchant= and ?operation=)
POST  advance {days, hours, minutes, seconds}; faults {a fault, or a list}; reset
POST  {merchant}/{action}, and {merchant}/returns/{id}/{action}: the tables below
DELETE faults
A mistake is 400 {"message"}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backhaul.sandbox import scenarios
from backhaul.sandbox.core.faults import Fault
from backhaul.sandbox.loop.wire import list_record
from backhaul.sandbox.masonhub.wire import record
from backhaul.sandbox.vendors import VENDORS
from backhaul.sandbox.world import World

Body = dict[str, Any]

MERCHANT_ACTIONS: dict[str, Callable[[World, str, Body], Any]] = {
    "returns": lambda world, name, body: list_record(world.create_return(name, **_dated(body))),  # skus, reasons, order_number, at, …
    "populate": lambda world, name, body: asdict(scenarios.populate(world, name, **body)),
    "bulk": lambda world, name, body: {"returns": scenarios.bulk(world, name, **body).count},
    "shop": lambda world, name, body: {"return_ids": scenarios.shop(world, name, **body)},
    "receive_some": lambda world, name, body: scenarios.receive_some(world, name, **body),
    "blind": lambda world, name, body: record(world.blind_return(name, **body)),  # units, package_id
    "subscribe": lambda world, name, body: {"webhooks": len(world.subscribe(name, **body))},  # receiver_url
    "options": lambda world, name, body: _set_options(world, name, body),  # {a vendor, or courier: {option: value}}
}
RETURN_ACTIONS: dict[str, Callable[[World, str, str, Body], Any]] = {
    "edit": lambda world, name, key, body: world.edit_return(name, key, body["skus"]),
    "cancel": lambda world, name, key, body: world.cancel_return(name, key),
    "expire": lambda world, name, key, body: world.expire_return(name, key),
    "close": lambda world, name, key, body: world.close_return(name, key),
    "flag": lambda world, name, key, body: world.flag_return(name, key),
    "unflag": lambda world, name, key, body: world.loop(name).unflag(key),
    "review": lambda world, name, key, body: world.loop(name).review(key),
    "tracking": lambda world, name, key, body: world.set_tracking(name, key, **body),  # number, carrier, status
    "fail": lambda world, name, key, body: world.fail_processing(name, key, **body),  # message
    "receive": lambda world, name, key, body: world.receive(name, key, **body),  # units (SKU -> condition -> units, or an outcome), status
    "carrier": lambda world, name, key, body: world.masonhub(name).carrier(key, body["event"]),
    "receiving": lambda world, name, key, body: world.masonhub(name).start_receiving(key, **body),
}


def _dated(body: Body) -> Body:
    return body | ({"at": datetime.fromisoformat(body["at"])} if "at" in body else {})


def _set_options(world: World, name: str, body: Body) -> dict[str, Any]:
    """Set options by name; durations are seconds."""
    targets: Mapping[str, Any] = {**world.merchants[name].accounts, "courier": world.courier}
    for part, values in body.items():
        options = targets[part].options
        known = {field.name for field in fields(options)}
        for option, value in values.items():
            if option not in known:
                raise ValueError(f"unknown option {part}.{option}: one of {', '.join(sorted(known))}")
            old = getattr(options, option)
            setattr(options, option, timedelta(seconds=value) if isinstance(old, timedelta) else _as_kind(old, value))
    return {part: _shown(asdict(targets[part].options)) for part in body}


def _as_kind(old: Any, value: Any) -> Any:
    if isinstance(old, bytes):
        return str(value).encode()
    return frozenset(value) if isinstance(value, list) else value


def _shown(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value.total_seconds() if isinstance(value, timedelta) else value for key, value in options.items()}


def state(world: World) -> dict[str, Any]:
    """Everything in numbers."""
    merchants = {
        name: {vendor.name: vendor.count_records(merchant) for vendor in VENDORS.values()} for name, merchant in world.merchants.items()
    }
    calls, effects = world.journal.counts(), world.journal.effect_table()
    pending = [asdict(fault) for fault in world.faults.pending]
    return {"now": world.now, "seed": world.seed, "merchants": merchants, "calls": calls, "effects": effects, "faults": pending}


def _reset(world: World) -> dict[str, Any]:
    world.reset()
    return state(world)


def _deliveries(world: World, merchant: str | None) -> list[dict[str, Any]]:
    names = ("merchant", "source", "event", "key", "url", "statuses", "was_lost")
    return [{name: getattr(each, name) for name in names} for each in list(world.courier.postings) if merchant in (None, each.merchant)]


def routes(world: World) -> list[Route]:
    """The control routes of a world."""

    async def run(request: Request) -> Response:
        try:
            raw = await request.body()
            body = msgspec.json.decode(raw) if raw else {}
            with world.lock:
                answer = _run(world, request, body)
        except (KeyError, ValueError, TypeError, msgspec.DecodeError) as error:
            text = error.args[0] if isinstance(error, KeyError) and error.args else error
            return Response(msgspec.json.encode({"message": str(text)}), 400, media_type="application/json")
        return Response(msgspec.json.encode(answer, enc_hook=str), media_type="application/json")

    return [
        Route("/_sandbox/{what}", run, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/{merchant}/{action}", run, methods=["POST"]),
        Route("/_sandbox/{merchant}/returns/{key}/{action}", run, methods=["POST"]),
    ]


def _run(world: World, request: Request, body: Any) -> Any:
    path, query = request.path_params, request.query_params
    if "key" in path:
        RETURN_ACTIONS[path["action"]](world, path["merchant"], path["key"], body)
        return _shown_return(world, path["merchant"], path["key"])
    if "action" in path:
        return MERCHANT_ACTIONS[path["action"]](world, path["merchant"], body)
    operation, merchant = query.get("operation"), query.get("merchant")
    actions: dict[tuple[str, str], Callable[[], Any]] = {
        ("GET", "state"): lambda: state(world),
        ("GET", "calls"): lambda: world.journal.calls(operation, merchant),
        ("GET", "writes"): lambda: world.journal.writes(operation, merchant),
        ("GET", "deliveries"): lambda: _deliveries(world, merchant),
        ("POST", "advance"): lambda: {"now": world.advance(timedelta(**body))},
        ("POST", "faults"): lambda: _add_faults(world, body),
        ("DELETE", "faults"): lambda: _add_faults(world, [], is_fresh=True),
        ("POST", "reset"): lambda: _reset(world),
    }
    return actions[request.method, path["what"]]()


def _shown_return(world: World, merchant: str, key: str) -> dict[str, Any]:
    """A return as each vendor has it."""
    return {vendor.name: vendor.show_record(world.merchants[merchant], key) for vendor in VENDORS.values()}


def _add_faults(world: World, body: Any, *, is_fresh: bool = False) -> dict[str, Any]:
    if is_fresh:
        world.faults.clear()
    for each in body if isinstance(body, list) else [body]:
        each = {**each, "kind": str(each.get("kind"))}
        world.faults.add(msgspec.convert(each, Fault))
    return {"faults": [asdict(fault) for fault in world.faults.pending]}
