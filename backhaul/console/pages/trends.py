"""Charts over the days on which returns were started, each with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from backhaul.connectors.registry import WAREHOUSES
from backhaul.console.charts import Chart, lines, stacked
from backhaul.console.desk import as_file, desk_of, respond
from backhaul.domain.plainly import money, plural
from backhaul.store import trends as asked
from backhaul.store.desk import BadFilterError

_LONGEST = 400  # days
_COLUMNS = ("day", "returns", "processed_returns", "flagged_returns", "open_returns", "available_units", "damaged_units", "missing_units")


def trends(request: Request) -> Response:
    """`/trends`: the last 30 days, a `month` (2026-11), or `from` to `to`."""
    desk = desk_of(request)
    query = request.query_params
    first, last = _span(query.get("month", ""), query.get("from", ""), query.get("to", ""), desk.clock().date())
    chosen = (first, last, query.get("merchant") or None, query.get("warehouse") or None)
    with desk.store.read() as connection:
        rows, values = asked.by_day(connection, *chosen)
    answer = as_file(request, "trends", _COLUMNS, rows)
    if answer is not None:
        return answer
    days = [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]
    return respond(
        request,
        "trends.html",
        title="Trends",
        charts=_charts(days, rows, values),
        warehouses=tuple(WAREHOUSES),
        first=first,
        last=last,
        merchant=chosen[2],
        warehouse=chosen[3],
        month=query.get("month", ""),
    )


def _span(month: str, first: str, last: str, today: date) -> tuple[date, date]:
    try:
        if month:
            start = date.fromisoformat(f"{month}-01")
            return start, (start + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        end = date.fromisoformat(last) if last else today
        start = date.fromisoformat(first) if first else end - timedelta(days=29)
    except ValueError:
        raise BadFilterError("month should be as 2026-11, from and to as 2026-11-24") from None
    if not 0 <= (end - start).days <= _LONGEST:
        raise BadFilterError(f"from should be before to, and at most {_LONGEST} days before it")
    return start, end


def _charts(days: Sequence[str], rows: list[dict[str, Any]], values: list[dict[str, Any]]) -> list[Chart]:
    by_day = {row["day"]: row for row in rows}
    labels = [f"{int(day[8:])} {date.fromisoformat(day):%b}" for day in days]

    def column(name: str) -> list[float]:
        return [float(by_day[day][name]) if day in by_day else 0.0 for day in days]

    totals = {name: int(sum(column(name))) for name in _COLUMNS[1:]}
    found = totals["available_units"] + totals["damaged_units"] + totals["missing_units"]
    charts = [
        stacked(
            "Returns started",
            f"{plural(totals['returns'], 'return')}: {totals['processed_returns']:,} processed, {totals['flagged_returns']:,} flagged, "
            f"{totals['open_returns']:,} open; the rest ended otherwise.",
            labels,
            [("processed", column("processed_returns")), ("flagged", column("flagged_returns")), ("open", column("open_returns"))],
        ),
        stacked(
            "What the warehouse found",
            f"{plural(found, 'unit')} settled: {totals['available_units']:,} available, {totals['damaged_units']:,} damaged, "
            f"{totals['missing_units']:,} missing.",
            labels,
            [("available", column("available_units")), ("damaged", column("damaged_units")), ("missing", column("missing_units"))],
        ),
        lines(
            "Flag rate",
            "The share of decided returns that were flagged for a person, by the day they were started.",
            labels,
            [("flagged", [_share(by_day.get(day)) for day in days])],
            " %",
        ),
    ]
    for currency in sorted({row["currency"] for row in values}):
        amounts = {row["day"]: float(row["value"] or 0) for row in values if row["currency"] == currency}
        total = sum((row["value"] or Decimal(0) for row in values if row["currency"] == currency), Decimal(0))
        told = f"{money(total, currency)} in all."
        charts.append(stacked(f"Value sent back, {currency}", told, labels, [(currency, [amounts.get(day, 0.0) for day in days])]))
    return charts


def _share(row: dict[str, Any] | None) -> float | None:
    decided = row["processed_returns"] + row["flagged_returns"] if row else 0
    return round(100 * row["flagged_returns"] / decided, 1) if row and decided else None
