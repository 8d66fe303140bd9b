"""Commands over ranges of time: backfill, audit, replay, what-if."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from backhaul.cli.app import Chosen, Json, Merchant, app, fleet_settings, settings, store
from backhaul.cli.output import print_json, print_rows, say
from backhaul.cli.progress import told
from backhaul.cli.running import Done, report_failures, run_each, run_round
from backhaul.connectors.loop.endpoints import RETURNS
from backhaul.domain.plainly import money, plural
from backhaul.domain.windows import Window, parse_range
from backhaul.errors import ConfigError, StoreError
from backhaul.pipeline.session import check_secrets, utc_now
from backhaul.store import windows
from backhaul.store.engine import Store
from backhaul.store.windows import Scope

if TYPE_CHECKING:
    from backhaul.pipeline.supposing import Supposed

_MOST = 20  # returns that a screen shows
From = Annotated[str, typer.Option("--from", help="A day (its midnight in UTC), or a time with its zone.")]
To = Annotated[str, typer.Option("--to", help="The end, itself left out.")]
Names = Annotated[list[str] | None, typer.Argument(help="Merchants; all of them when none is named.")]


@app.command()
def backfill(
    merchant: Annotated[str, typer.Argument(help="The merchant.")],
    start: From,
    end: To,
    act: Annotated[bool, typer.Option("--act", help="Create RMAs and send decisions too, as sync does.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Do windows again that are done.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Windows at once.")] = 4,
    fan_out: Annotated[int, typer.Option(min=0, max=64, help="Runs to start on the Prefect server's workers, which take part.")] = 0,
    as_json: Json = False,
) -> None:
    """Bring a range of Loop's past in, with the warehouse's side of it. Only what is not done yet is done."""
    from flows.backfill import backfill as flow

    chosen = settings()
    check_secrets(chosen, [merchant])
    whole = _range(start, end)
    scope = Scope.of_backfill(merchant, whole, acts=act)
    say(_what_it_does(merchant, scope, act), is_error=True)
    opened = Store(chosen.store_url()).ready()
    try:
        with _progress(opened, scope):
            options = {"start": whole.start.isoformat(), "end": whole.end.isoformat(), "act": act, "force": force}
            done = run_each(flow, [merchant], **options, workers=workers, fan_out=fan_out, config=Chosen.config, trigger="command")
        with opened.read() as connection:
            standing = windows.standing(connection, scope)
    finally:
        opened.close()
    rows = [{"window": str(window), "error": error} for window, error in standing.failed]
    if as_json:
        print_json([{"merchant": merchant, "error": done[0].error, "counts": done[0].counts, "windows_failed": rows}])
    else:
        _show(done[0], standing, rows)
    raise typer.Exit(report_failures(done))


def _what_it_does(merchant: str, scope: Scope, act: bool) -> str:
    span = str(scope.whole)
    if act:
        return f"Backfill of {merchant}, {span}: it creates RMAs and sends decisions (--act)."
    return f"Backfill of {merchant}, {span}: it reads and records only; no RMA is created and no decision sent (--act does that)."


def _show(done: Done, standing: windows.Standing, failed: list[dict[str, Any]]) -> None:
    row = {
        "merchant": done.merchant,
        "state": "failed" if done.error else "done",
        "windows": standing.total,
        "completed": standing.states[windows.COMPLETED],
        "failed": len(failed),
        "done_before": done.counts.get("windows_done_before", 0),
        "in": standing.records_in,
        "out": standing.records_out,
        "quarantined": standing.quarantined,
        "delivered": done.counts.get("delivered", 0),
    }
    print_rows([row], as_json=False, title="Backfill")
    if failed:
        print_rows(failed, as_json=False, title="\nWindows that failed")


@contextmanager
def _progress(store: Store, scope: Scope) -> Iterator[None]:
    """A progress bar on a terminal, read from `windows`: so it shows the work of every worker that takes part."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    over = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("windows, {task.fields[returns]} returns"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("Backfill", total=None, returns=0)

        def watch() -> None:
            while not over.wait(0.5):
                try:
                    with store.read() as connection:
                        standing = windows.standing(connection, scope)
                except StoreError:
                    continue  # the run itself says so
                bar.update(task, total=standing.total or None, completed=standing.settled, returns=standing.records_in)

        watcher = threading.Thread(target=watch, name="progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


@app.command()
def audit(
    merchants: Names = None,
    days: Annotated[int, typer.Option(min=1, max=RETURNS.max_window.days, help="How many of the last days.")] = 3,
    as_json: Json = False,
) -> None:
    """Prove, day by day, that the store holds what the vendors hold. What is missing is repaired; what cannot be is raised."""
    from flows import fleet
    from flows.audit import audit as flow

    chosen, has_broken = fleet_settings(merchants)
    names = merchants or sorted(chosen.merchants)
    Store(chosen.store_url()).ready().close()
    if len(names) > 1 or (has_broken and not merchants):
        with told("Audit"):
            done = run_round(fleet.audit_all, merchants=merchants, days=days, config=Chosen.config, trigger="command")
    else:
        check_secrets(chosen, names)
        with told("Audit"):
            done = run_each(flow, names, days=days, config=Chosen.config, trigger="command")
    if as_json:
        print_json([{"merchant": one.merchant, "error": one.error, "counts": one.counts} for one in done])
    else:
        shown = ("windows_completed", "windows_failed", "at_vendors", "missing", "repaired", "gaps", "silent")
        print_rows([one.row(shown) for one in done], as_json=False, title="Audit", empty="no merchant in the config")
    raise typer.Exit(report_failures(done))


@app.command()
def replay(start: From, end: To, merchant: Merchant = None, as_json: Json = False) -> None:
    """Decide what was decided in a range again, by today's rules on the facts of that time. Nothing is sent or changed."""
    from backhaul.pipeline.replaying import replay_decisions

    chosen = settings()
    names = [merchant] if merchant else sorted(chosen.merchants)
    whole = _range(start, end)
    with store() as opened:
        replays = [replay_decisions(opened, name, chosen.merchant(name), whole) for name in names]
    if as_json:
        print_json(
            [{"merchant": one.merchant, "replayed": one.replayed, "differences": [d.row() for d in one.differences]} for one in replays]
        )
        return
    for one in replays:
        title = f"{one.merchant}: {one.replayed} decisions replayed, {len(one.differences)} differ"
        print_rows([d.row() for d in one.differences], as_json=False, title=title, empty="none would be decided differently")


@app.command("what-if")
def what_if(
    start: From,
    end: To,
    changes: Annotated[list[str], typer.Option("--set", help="unexpected=record|flag or pending_hold_days=N; repeat it for both.")],
    merchant: Merchant = None,
    as_json: Json = False,
) -> None:
    """How many returns of a range another policy would have decided otherwise, in units and money. Sends and changes nothing."""
    from backhaul.pipeline import supposing

    chosen = settings()
    names = [merchant] if merchant else sorted(chosen.merchants)
    whole = _range(start, end)
    policies = {name: supposing.changed(chosen.merchant(name).policy, changes) for name in names}
    with store() as opened:
        found = [supposing.what_if(opened, name, chosen.merchant(name), whole, policies[name]) for name in names]
    if as_json:
        print_json([_supposed(one) for one in found])
        return
    for one in found:
        title = f"{one.merchant}: {len(one.otherwise):,} of {plural(one.returns, 'return')} would be decided otherwise"
        print_rows(one.changes(), as_json=False, title=title, empty="none")
        print_rows([_listed(other.row()) for other in one.otherwise[:_MOST]], as_json=False, title="\nWhich", empty="none")
        if len(one.otherwise) > _MOST:
            say(f"The first {_MOST}; --json has all.")
        if one.unreadable:
            say(f"Not judged, their past being past its retention or not readable: {len(one.unreadable):,}. --json names them.")


def _supposed(one: Supposed) -> dict[str, Any]:
    returns = [other.row() for other in one.otherwise]
    return {"merchant": one.merchant, "returns": one.returns, "changes": one.changes(), "otherwise": returns, "unreadable": one.unreadable}


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    reasons, would_be = ", ".join(row["reasons"]), ", ".join(row["would_be_reasons"])
    return {
        "order": row["order_name"] or row["return_id"],
        "decision": f"{row['decision']} ({reasons})" if reasons else row["decision"],
        "would_be": f"{row['would_be']} ({would_be})" if would_be else row["would_be"],
        "units": row["units"],
        "value": money(row["value"], row["currency"]),
    }


def _range(start: str, end: str) -> Window:
    try:
        return parse_range(start, end, utc_now())
    except ValueError as error:
        raise ConfigError(str(error)) from None
