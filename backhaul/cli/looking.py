"""Commands that look: runs, find, show, exceptions, quarantine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from backhaul.cli.app import As, Chosen, Json, Merchant, Why, app, operator, settings, store
from backhaul.cli.commands import Group
from backhaul.cli.output import complain, print_json, print_rows, say
from backhaul.domain.plainly import money
from backhaul.domain.words import ALL_VENDORS
from backhaul.errors import BackhaulError
from backhaul.store import quarantine
from backhaul.store.pauses import standing_pauses
from backhaul.store.reports import all_exceptions
from backhaul.store.runs import latest_runs
from backhaul.store.search import Search, search

held = typer.Typer(help="Records that broke a critical rule.", no_args_is_help=True, cls=Group)
app.add_typer(held, name="quarantine")
raised = typer.Typer(help="What needs a person.", no_args_is_help=True, cls=Group)
app.add_typer(raised, name="exceptions")

Words = Annotated[list[str], typer.Argument(help="An order, return id, RMA, tracking number, package or SKU, or how it begins.")]

_FOUND_COLUMNS = ("merchant", "order_name", "return_id", "loop_state", "what", "shown")
_RUN_COLUMNS = (
    *("started_at", "flow", "merchant", "state", "records_in", "records_out", "unchanged", "quarantined", "delivered", "refused", "error"),
)


@app.command()
def runs(merchant: Merchant = None, limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20, as_json: Json = False) -> None:
    """The run history, newest first."""
    with store() as opened, opened.read() as connection:
        rows = latest_runs(connection, merchant, limit)
        stopped = standing_pauses(connection, merchant)
    print_rows(rows, as_json=as_json, title="Runs", columns=None if as_json else _RUN_COLUMNS, empty="none yet")
    for one in stopped if not as_json else ():
        what = "all it sends" if one.vendor == ALL_VENDORS else f"what goes to {one.vendor}"
        say(f"{one.merchant}: {what} is paused since {one.paused_at:%Y-%m-%d %H:%M} UTC by {one.operator}: {one.why}")


@app.command()
def find(words: Words, merchant: Merchant = None, as_json: Json = False) -> None:
    """Find returns of any merchant by order, return id, RMA, tracking number, package or SKU, or how it begins."""
    with store() as opened, opened.read() as connection:
        result = search(connection, " ".join(words), merchant)
    _list_found(result, as_json)


@app.command()
def show(
    words: Words,
    merchant: Merchant = None,
    is_full: Annotated[bool, typer.Option("--full", help="Every attempt and look-up too, with run ids.")] = False,
    as_json: Json = False,
) -> None:
    """One return: where it stands in a sentence, what happens next, its lines, and its whole life. Several are listed."""
    from backhaul.links import links
    from backhaul.pipeline.session import utc_now
    from backhaul.store.explaining import explained

    with store() as opened, opened.read() as connection:
        result = search(connection, " ".join(words), merchant)
        meant = result.only
        if meant is None:
            _list_found(result, as_json)
            return
        life = explained(connection, meant.merchant, meant.return_id, utc_now())
    if life is None:  # it went between the two looks
        raise BackhaulError(f"{meant.return_id} of {meant.merchant} is gone")
    life["links"] = links(settings(), life)
    if as_json:
        print_json([life])
    else:
        _print_life(life, is_full=is_full)


def _list_found(result: Search, as_json: bool) -> None:
    """What was found, as a list; exit 1 when it is nothing."""
    if not result.found:
        complain(f"nothing in the store is called {result.words or 'that'}; 'backhaul backfill' brings older returns in")
        raise typer.Exit(1)
    print_rows([asdict(one) for one in result.found], as_json=as_json, title="Found", columns=None if as_json else _FOUND_COLUMNS)
    if result.is_cut and not as_json:
        say("There are more. Say more of the name, or choose with --merchant.")


def _print_life(life: dict[str, Any], *, is_full: bool) -> None:
    """The sentence first, then what stands behind it."""
    from backhaul.domain.story import decided

    row = life["return"]
    say(life["sentence"])
    if row is not None:
        say(f"\nReturn {row['return_id']} of {life['merchant']}, order {row['order_name']}: {row['loop_state']} in Loop, {row['stage']}")
        say(f"RMA {row['rma_id'] or 'none'} ({row['rma_status'] or 'not seen'}) at {row['warehouse']}")
        if row["decision"]:
            say(decided(row["decision"], row["reasons"]))
        say(f"Next: {life['next']}")
        for one in life["open"]:
            say(f"Needs a person: {one['why']}. {one['remedy']}")
    for name, address in life["links"].items():
        say(f"{name}: {address}")
    _print_lines(life)
    entries = [one for one in life["timeline"] if is_full or one["what"] != "attempt"]
    columns = ("at", "detail", "run_id") if is_full else ("at", "said")
    print_rows(entries, as_json=False, title="\nLife (UTC)", columns=columns)
    if not is_full:
        say("\nAttempts and run ids: --full")


def _print_lines(life: dict[str, Any]) -> None:
    rows = [
        {
            "sku": line["sku"],
            "title": line["title"],
            "reason": line["return_reason"],
            "price": money(line["price"], life["currency"]),
            "found": line["discrepancy"] or line["condition"],
            "units": line["units"],
        }
        for line in life["lines"]
    ]
    print_rows(rows, as_json=False, title="\nSent back, and found", empty="no lines")


@held.command("list")
def list_held(
    merchant: Merchant = None, every: Annotated[bool, typer.Option("--all", help="Released ones too.")] = False, as_json: Json = False
) -> None:
    """What is in quarantine, and the rule that put it there."""
    with store() as opened, opened.read() as connection:
        rows = quarantine.listed(connection, merchant, with_released=every)
    columns = None if as_json else ("quarantined_at", "merchant", "source", "record_key", "order_name", "rules", "reason")
    print_rows(rows, as_json=as_json, title="Quarantine", columns=columns, empty="empty")


@held.command("retry")
def retry_held(
    merchants: Annotated[list[str] | None, typer.Argument(help="Merchants; all when none is named.")] = None,
    why: Why = None,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Read the records in quarantine again from their source and let them pass if they now do."""
    from backhaul.cli.running import report_failures, run_each
    from backhaul.pipeline.session import check_secrets
    from flows.retry import retry_quarantine as flow

    chosen = settings()
    names = merchants or sorted(chosen.merchants)
    check_secrets(chosen, names)
    done = run_each(flow, names, config=Chosen.config, trigger="command", operator=who, why=why)
    rows = [
        {"merchant": one.merchant, "released": one.counts.get("released", 0), "still_held": one.counts.get("still_held", 0)} for one in done
    ]
    print_rows(rows, as_json=as_json, title="Quarantine retry")
    raise typer.Exit(report_failures(done))


@raised.command("list")
def list_exceptions(merchant: Merchant = None, as_json: Json = False) -> None:
    """All that needs a person, oldest first, each with its remedy."""
    with store() as opened, opened.read() as connection:
        rows = all_exceptions(connection, merchant)
    taken = ("assigned_to",) if any(row["assigned_to"] for row in rows) else ()
    columns = None if as_json else ("opened_at", *taken, "merchant", "kind", "subject", "why", "remedy")
    print_rows(rows, as_json=as_json, title="Exceptions", columns=columns, empty="none")


@raised.command("assign")
def assign_exceptions(
    subject: Annotated[str, typer.Argument(help="What it is about: a subject of the list, or a return id.")],
    to: Annotated[str, typer.Option("--to", help="Who takes it; '' for nobody.")],
    merchant: Merchant = None,
    why: Why = None,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Say who takes exceptions, so that others leave them to them. Nothing else changes."""
    with store() as opened:
        assigned = operator(opened, who).assign(subject, to, why, merchant=merchant)
    rows = [{"merchant": one.merchant, "kind": one.kind, "subject": one.subject, "assigned_to": to} for one in assigned]
    print_rows(rows, as_json=as_json, title="Assigned", empty=f"nothing open about {subject} that is another's")


@raised.command("resolve")
def resolve_exceptions(
    subject: Annotated[str, typer.Argument(help="What it is about: a subject of the list, or a return id.")],
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind.")] = None,
    merchant: Merchant = None,
    why: Why = None,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Say that you have dealt with exceptions. They open again only for another cause; nothing is sent to anyone."""
    with store() as opened:
        settled = operator(opened, who).resolve(subject, why, kind=kind, merchant=merchant)
    rows = [{"merchant": one.merchant, "kind": one.kind, "subject": one.subject} for one in settled]
    print_rows(rows, as_json=as_json, title="Settled", empty=f"nothing open about {subject}")
    raise typer.Exit(0 if rows else 1)
