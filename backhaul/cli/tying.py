"""Commands about units that no line expected: whose they may be, and a person's word on whose they are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from backhaul.cli.app import As, Json, Merchant, Why, app, operator, settings, store
from backhaul.cli.braking import agreed
from backhaul.cli.commands import Group
from backhaul.cli.output import print_rows, say
from backhaul.errors import BackhaulError
from backhaul.store import ties

units = typer.Typer(help="Units that no line expected, and whose they may be.", no_args_is_help=True, cls=Group)
app.add_typer(units, name="candidates")

_SHOWN = ("rma_key", "kind", "sku", "condition", "units", "place", "candidate_return_id", "candidate_order_name", "candidate_condition")


@units.command("list")
def list_candidates(merchant: Merchant = None, as_json: Json = False) -> None:
    """Units of blind parcels, and units beyond a return's lines, each with the returns that may lack them, likeliest first."""
    rows = _found(merchant, None)
    columns = None if as_json else _SHOWN if merchant else ("merchant", *_SHOWN)
    print_rows(rows, as_json=as_json, title="Candidates", columns=columns, empty="none")


@units.command("confirm")
def confirm(
    rma: Annotated[str, typer.Argument(help="The RMA under which the units came: rma_key of the list.")],
    return_id: Annotated[str, typer.Argument(help="The return that they belong to.")],
    sku: Annotated[str | None, typer.Option("--sku", help="Only units of this SKU.")] = None,
    merchant: Merchant = None,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    why: Why = None,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Say whose units these are, for good. They then count as received for that return, which the next deliver or sync decides."""
    found = _found(merchant, rma)
    names = sorted({row["merchant"] for row in found}) or ([merchant] if merchant else sorted(settings().merchants))
    if len(names) > 1:
        raise BackhaulError(f"{', '.join(names)} may each have an RMA {rma}; choose with --merchant")
    mine = [row for row in found if row["candidate_return_id"] == return_id and sku in (None, row["sku"])]
    if mine and not is_sure and not agreed(_rows(mine), f"Would be counted as received for return {return_id}", "Are they its own?"):
        return
    with store() as opened:
        done = operator(opened, who).confirm(names[0], rma, return_id, why, sku)
    print_rows(_rows(done), as_json=as_json, title="Confirmed", empty="that was confirmed before")
    if done and not as_json:
        say("The next deliver or sync decides the return.")


def _found(merchant: str | None, rma: str | None) -> list[dict[str, Any]]:
    if merchant:
        settings().merchant(merchant)
    with store() as opened, opened.read() as connection:
        return ties.candidates(connection, merchant, rma)


def _rows(found: list[dict[str, Any]]) -> list[dict[str, object]]:
    names = ("merchant", "rma_key", "sku", "condition", "units", "candidate_return_id", "candidate_order_name")
    unique = {tuple(row[name] for name in names): None for row in found}
    return [dict(zip(names, row, strict=True)) for row in unique]
