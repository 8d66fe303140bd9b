"""A hand on the brake: pause and resume, and what guards hold."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from backhaul.cli.app import As, Json, Merchant, Why, app, operator, settings, store
from backhaul.cli.commands import Group
from backhaul.cli.output import print_rows, say
from backhaul.connectors.loop.vendor import LOOP
from backhaul.domain.words import ALL_VENDORS, Guard
from backhaul.errors import BackhaulError
from backhaul.store import by_hand
from backhaul.store.by_hand import Waiting
from backhaul.store.pauses import Pause

guards = typer.Typer(help="What a merchant's limits hold back until a person has looked.", no_args_is_help=True, cls=Group)
app.add_typer(guards, name="guard")

Name = Annotated[str, typer.Argument(metavar="MERCHANT", help="The merchant, as the config names it.")]
Vendor = Annotated[str | None, typer.Option("--vendor", help="Only what goes to this vendor: loop, or a warehouse.")]
Reason = Annotated[str, typer.Option("--why", help="Why, for the record. No customer's data.")]
Returns = Annotated[list[str] | None, typer.Argument(metavar="[RETURN]...", help="Loop return ids.")]
ByGuard = Annotated[Guard | None, typer.Option("--guard", help="Only what this guard holds.")]
All = Annotated[bool, typer.Option("--all", help="Everything that guards hold, after a preview.")]
Sure = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]


@app.command()
def pause(merchant: Name, why: Reason, vendor: Vendor = None, who: As = None, as_json: Json = False) -> None:
    """Stop all that is sent to a merchant's vendors, or to one, before the next call of every process. Nothing is lost; reading goes on."""
    mine = settings().merchant(merchant)
    vendors = [LOOP.name, *mine.warehouses()]
    if vendor is not None and vendor not in vendors:
        raise typer.BadParameter(f"{merchant} has {', '.join(vendors)}", param_hint="--vendor")
    with store() as opened:
        made = operator(opened, who).pause(merchant, why, vendor)
    _print_pauses([made], "Paused", as_json)


@app.command()
def resume(merchant: Name, vendor: Vendor = None, why: Why = None, who: As = None, as_json: Json = False) -> None:
    """Lift a merchant's pauses, or that of one vendor. What waited goes out with the next deliver or sync."""
    with store() as opened:
        lifted = operator(opened, who).resume(merchant, why, vendor)
    _print_pauses(lifted, "Resumed", as_json)


def _print_pauses(found: Sequence[Pause], title: str, as_json: bool) -> None:
    rows = [{**asdict(one), "vendor": "all" if one.vendor == ALL_VENDORS and not as_json else one.vendor} for one in found]
    print_rows(rows, as_json=as_json, title=title)


@guards.command("list")
def list_held(merchant: Merchant = None, guard: ByGuard = None, as_json: Json = False) -> None:
    """The processes and flags that guards hold, with the guard and by how much they went beyond it."""
    print_rows(_rows(_found(None, merchant, guard)), as_json=as_json, title="Held by guards", empty="nothing is held")


@guards.command("release")
def release(
    returns: Returns = None,
    merchant: Merchant = None,
    guard: ByGuard = None,
    is_all: All = False,
    is_sure: Sure = False,
    why: Why = None,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Let go what guards hold: of the returns named, or of many after a preview. It goes out with the next deliver, if it still follows."""
    chosen = _chosen(returns, merchant, guard, is_all=is_all, is_sure=is_sure, question="Let these go?")
    with store() as opened:
        done = [one for name, ids in chosen.items() for one in operator(opened, who).release(name, ids, why)]
    print_rows(_rows(done), as_json=as_json, title="Released", empty="nothing was released")


@guards.command("reject")
def reject(
    why: Reason,
    returns: Returns = None,
    merchant: Merchant = None,
    guard: ByGuard = None,
    is_all: All = False,
    is_sure: Sure = False,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Drop what guards hold, for good: it is never sent, and a person finishes the return in Loop."""
    chosen = _chosen(returns, merchant, guard, is_all=is_all, is_sure=is_sure, question="Drop these for good?")
    with store() as opened:
        done = [one for name, ids in chosen.items() for one in operator(opened, who).reject(name, ids, why)]
    print_rows(_rows(done), as_json=as_json, title="Rejected", empty="nothing was rejected")


def _found(returns: list[str] | None, merchant: str | None, guard: Guard | None) -> list[Waiting]:
    chosen = settings()
    names = [merchant] if merchant else sorted(chosen.merchants)
    for name in names:
        chosen.merchant(name)
    with store() as opened, opened.read() as connection:
        return [one for name in names for one in by_hand.held(connection, name, guard=guard and guard.value, return_ids=returns or None)]


def _chosen(
    returns: list[str] | None, merchant: str | None, guard: Guard | None, *, is_all: bool, is_sure: bool, question: str
) -> dict[str, list[str]]:
    """Return ids by merchant: those named, or those that were agreed to. Raises BackhaulError for a return of which nothing is held."""
    if not (returns or merchant or guard or is_all):
        raise typer.BadParameter("name returns, or choose with --guard, --merchant or --all", param_hint="RETURN")
    found = _found(returns, merchant, guard)
    unknown = sorted(set(returns or ()) - {one.return_id for one in found})
    if unknown:
        raise BackhaulError(f"no guard holds anything of return {', '.join(unknown)}; 'backhaul guard list' tells what is held")
    if not returns and not is_sure and not agreed(_rows(found), "Held by guards", question):
        return {}
    return {name: [one.return_id for one in found if one.merchant == name] for name in sorted({one.merchant for one in found})}


def agreed(rows: list[dict[str, object]], title: str, question: str) -> bool:
    """Show what would be done, and ask; where nobody can answer, say how to go on."""
    print_rows(rows, as_json=False, title=title, empty="nothing")
    if not rows:
        return False
    if not sys.stdin.isatty():
        say("Nothing was done. Add --yes to do it.")
        return False
    return typer.confirm(question)


def _rows(found: Sequence[Waiting]) -> list[dict[str, object]]:
    return [
        {
            "merchant": one.merchant,
            "return": one.return_id,
            "order": one.order_name,
            "delivery": one.kind,
            "value": one.value,
            "currency": one.currency,
            "guard": one.held_by,
            "why": one.why,
            "since": one.since,
        }
        for one in found
    ]
