"""The first page: what needs a person, where returns stand, what is at risk, and whether news still comes."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from backhaul.console.desk import desk_of, respond
from backhaul.store import overview as asked
from backhaul.store.by_hand import held_by_guard
from backhaul.store.pauses import standing_pauses
from backhaul.store.watermarks import all_watermarks

STAGES = ("unannounced", "announced", "receiving", "held", "decided", "flagged", "exception", "processed", "ended", "history")


def overview(request: Request) -> Response:
    """`/`."""
    desk = desk_of(request)
    now = desk.clock()
    with desk.store.read() as connection:
        standing = asked.stages(connection)
        ages = asked.exceptions_by_age(connection)
        backlogs = asked.backlogs(connection)
        values: dict[str, Any] = {
            "news": _by_merchant(asked.last_news(connection, now)),
            "watermarks": _by_merchant([one._asdict() for one in all_watermarks(connection)]),
            "pauses": standing_pauses(connection),
            "held": held_by_guard(connection),
            "failed": asked.failed_runs(connection, now - timedelta(days=7)),
        }
    names = sorted({*desk.settings.merchants, *(row["merchant"] for row in standing)})
    return respond(
        request,
        "overview.html",
        title="Overview",
        backlogs=backlogs,
        stages=[(stage, sum(row["returns"] for row in standing if row["stage"] == stage)) for stage in STAGES],
        at_risk=_at_risk(standing),
        kinds=_kinds(ages),
        exceptions=sum(row["total"] for row in ages),
        quarantined=sum(one.get("quarantined", 0) for one in backlogs.values()),
        owed=sum(one.get("deliveries", 0) for one in backlogs.values()),
        all_merchants=[(name, desk.settings.merchants.get(name)) for name in names],
        returns={name: sum(row["returns"] for row in standing if row["merchant"] == name) for name in names},
        open_exceptions={name: sum(row["total"] for row in ages if row["merchant"] == name) for name in names},
        **values,
    )


def _by_merchant(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for row in rows:
        found[row["merchant"]].append(row)
    return found


def _at_risk(standing: list[dict[str, Any]]) -> list[tuple[str, Decimal]]:
    """Currency and value at risk."""
    risk: dict[str, Decimal] = defaultdict(Decimal)
    for row in standing:
        risk[row["currency"] or ""] += row["at_risk"] or 0
    return sorted(risk.items())


def _kinds(ages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The exceptions of all merchants, by kind and age."""
    found: dict[str, dict[str, Any]] = {}
    for row in ages:
        one = found.setdefault(row["kind"], {"kind": row["kind"], "today": 0, "days": 0, "week": 0, "older": 0, "total": 0})
        for name in ("today", "days", "week", "older", "total"):
            one[name] += row[name]
    return sorted(found.values(), key=lambda one: (-one["total"], one["kind"]))
