"""Commands that set aside what is over, let go what is past its time, and forget a customer."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from typing import Annotated

import typer

from backhaul.cli.app import As, Json, Merchant, Why, app, operator, settings, store
from backhaul.cli.output import print_json, print_rows, say
from backhaul.pipeline import retaining
from backhaul.pipeline.session import utc_now
from backhaul.store.runs import kept_to_its_end, start_run

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([hdw])", text.strip().lower())
    if found is None:
        raise typer.BadParameter("write it as 30d, 12h or 8w")
    return timedelta(**{_UNITS[found.group(2)]: int(found.group(1))})


@app.command()
def archive(
    older_than: Annotated[str, typer.Option("--older-than", help="How long nothing has happened to them: 30d, 12h, 8w.")],
    merchant: Merchant = None,
    why: Why = None,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Set aside returns that are over, so that open work stands out in recon_open; nothing is deleted."""
    age, chosen = _age(older_than), settings()
    names = [merchant] if merchant else sorted(chosen.merchants)
    for name in names:
        chosen.merchant(name)
    rows = []
    with store() as opened:
        for name in names:
            now = utc_now()
            run = start_run(opened, "archive", name, "command", now)
            with kept_to_its_end(opened, run, utc_now):
                run.add("archived", operator(opened, who).archive(name, now - age, why))
            rows.append({"merchant": name, "archived": run.count("archived")})
    print_rows(rows, as_json=as_json, title="Archive", empty="no merchant in the config")


@app.command()
def prune(
    is_sure: Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would be let go.")] = False, as_json: Json = False
) -> None:
    """Let go what is past its retention: bodies, older versions, attempts. Returns, decisions, deliveries and hashes stay."""
    chosen = settings()
    with store() as opened:
        found = retaining.preview(opened, chosen.retention, utc_now())
        if is_sure:
            found = retaining.prune(opened, chosen.retention, "command")
    rows = [one._asdict() for one in found]
    shown = rows if as_json else [row for row in rows if row["rows"]]
    print_rows(shown, as_json=as_json, title="Let go" if is_sure else "Would be let go", empty="nothing is past its time")
    if not is_sure and not as_json and shown:
        say("Nothing was changed. Add --yes to let these go.")


@app.command()
def forget(
    order: Annotated[str, typer.Option("--order", help="The order's name, with or without #.")],
    merchant: Annotated[str, typer.Option("--merchant", help="The merchant.")],
    is_sure: Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would be removed.")] = False,
    as_json: Json = False,
) -> None:
    """At a customer's request, remove what could identify them from an order's returns. What happened stays."""
    settings().merchant(merchant)
    with store() as opened:
        found = [one._asdict() for one in retaining.ordered(opened, merchant, order)]
        is_agreed = is_sure or (not as_json and _agreed(found))
        cleared = retaining.forget(opened, merchant, order) if is_agreed else {}
    if as_json:
        print_json({"merchant": merchant, "returns": found, "cleared": cleared})
        return
    if not cleared:
        say("Nothing was changed. Add --yes to forget.")
        return
    print_rows([{"table": name, "rows": rows} for name, rows in cleared.items() if rows], as_json=False, title="Removed")
    say("Gone: order, tracking and package numbers, what vendors wrote, the bodies they sent.")
    say("Kept: return and RMA ids, SKUs, reasons, amounts, decisions, deliveries, times, hashes.")
    say("Not touched: Loop, the warehouse, and backups made before.")


def _agreed(found: list[dict[str, object]]) -> bool:
    print_rows(found, as_json=False, title="To be forgotten", columns=("return_id", "loop_state"))
    return sys.stdin.isatty() and typer.confirm("Forget these?")
