"""Commands that act: sync, deliver, reconcile."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from backhaul.cli.app import As, Chosen, Json, Why, app, fleet_settings, settings, store
from backhaul.cli.braking import agreed
from backhaul.cli.output import print_json, print_rows, say
from backhaul.cli.progress import told
from backhaul.cli.running import SHOWN, Done, report_failures, run_each, run_round
from backhaul.errors import BackhaulError
from backhaul.pipeline.session import check_secrets
from backhaul.store.by_hand import GivenUp, given_up, shadowed
from backhaul.store.engine import Store

Names = Annotated[list[str] | None, typer.Argument(help="Merchants; all of them when none is named.")]


@app.command()
def sync(merchants: Names = None, as_json: Json = False) -> None:
    """Bring merchants up to date: pull, announce, decide, deliver."""
    from flows import fleet
    from flows.sync import sync as flow

    _run(flow, merchants, as_json, "Sync", of_many=fleet.sync_all)


@app.command()
def deliver(
    names: Annotated[list[str] | None, typer.Argument(help="Merchants; all when none is named. With --retry: returns.")] = None,
    is_retry: Annotated[bool, typer.Option("--retry", help="Try again what was refused, failed or dead.")] = False,
    is_shadow: Annotated[bool, typer.Option("--from-shadow", help="Send what was decided in shadow mode, after a preview.")] = False,
    kinds: Annotated[list[str] | None, typer.Option("--kind", help="With --retry: only deliveries of this kind.")] = None,
    merchants: Annotated[list[str] | None, typer.Option("--merchant", help="Only this merchant.")] = None,
    is_all: Annotated[bool, typer.Option("--all", help="With --retry: everything that was given up.")] = False,
    is_sure: Annotated[bool, typer.Option("--yes", help="With --retry or --from-shadow: do not ask first.")] = False,
    why: Why = None,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Drain the outbox, pulling nothing.

    With --from-shadow, what merchants that are live now decided in shadow is shown, and sent if you agree: each as far as it still follows.
    With --retry RETURN…, those returns' deliveries go again at once. With --kind, --merchant or --all, what would go again is shown first.
    """
    from flows.deliver import deliver as flow

    known = settings().merchants
    if is_shadow:
        _deliver_from_shadow(names or [], merchants or [], is_sure=is_sure, why=why, who=who, as_json=as_json)
    if not is_retry:
        _run(flow, [*(names or []), *(merchants or [])] or None, as_json, "Deliver")
    returns = [name for name in names or [] if name not in known]
    chosen = sorted({*(merchants or []), *(name for name in names or [] if name in known)}) or sorted(known)
    if not (returns or kinds or merchants or is_all or len(returns) != len(names or [])):
        raise typer.BadParameter("name returns, or choose with --kind, --merchant or --all", param_hint="--retry")
    found = _given_up(chosen, returns, kinds)
    if not (returns or is_sure or _agreed(found)):
        return
    by_merchant = {name: sorted({one.return_id for one in found if one.merchant == name}) for name in chosen}
    done: list[Done] = []
    for name in sorted(name for name, ids in by_merchant.items() if ids):
        check_secrets(settings(), [name])
        done += run_each(flow, [name], config=Chosen.config, trigger="command", retry=by_merchant[name], kinds=kinds, operator=who, why=why)
    _show(done, as_json, "Deliver")
    raise typer.Exit(report_failures(done))


def _deliver_from_shadow(names: list[str], merchants: list[str], *, is_sure: bool, why: str | None, who: str | None, as_json: bool) -> None:
    """Show what was decided in shadow, and send it if that is agreed to. Exits."""
    from flows.deliver import deliver as flow

    known = settings().merchants
    returns = [name for name in names if name not in known]
    chosen = sorted({*merchants, *(name for name in names if name in known)}) or sorted(known)
    for name in chosen:
        if settings().merchant(name).mode == "shadow" and (merchants or name in names):
            raise BackhaulError(f'{name} is in shadow mode; set mode = "live" in [merchants.{name}] first')
    live = [name for name in chosen if known[name].mode == "live"]
    with store() as opened, opened.read() as connection:
        found = [one for name in live for one in shadowed(connection, name, return_ids=returns or None)]
    unknown = sorted(set(returns) - {one.return_id for one in found})
    if unknown:
        raise BackhaulError(f"nothing was decided in shadow and not sent for return {', '.join(unknown)}")
    rows: list[dict[str, object]] = [
        {
            "merchant": one.merchant,
            "return": one.return_id,
            "order": one.order_name,
            "delivery": one.kind,
            "value": one.value,
            "currency": one.currency,
            "decided": one.since,
        }
        for one in found
    ]
    if as_json and not is_sure:
        print_json(rows)
        raise typer.Exit
    if not is_sure and not agreed(rows, "Decided in shadow, not sent", "Send these now?"):
        raise typer.Exit
    done: list[Done] = []
    for name in sorted({one.merchant for one in found}):
        check_secrets(settings(), [name])
        ids = [one.return_id for one in found if one.merchant == name]
        done += run_each(flow, [name], config=Chosen.config, trigger="command", from_shadow=ids, operator=who, why=why)
    _show(done, as_json, "Deliver")
    raise typer.Exit(report_failures(done))


def _given_up(merchants: list[str], returns: list[str], kinds: list[str] | None) -> list[GivenUp]:
    """What would go again. Raises BackhaulError for a return of which nothing was given up."""
    with store() as opened, opened.read() as connection:
        found = [one for name in merchants for one in given_up(connection, name, return_ids=returns, kinds=kinds)]
    unknown = sorted(set(returns) - {one.return_id for one in found})
    if unknown:
        raise BackhaulError(
            f"nothing was refused, failed or dead for return {', '.join(unknown)}; 'backhaul show {unknown[0]}' tells how it stands"
        )
    return found


def _agreed(found: list[GivenUp]) -> bool:
    """Show what would go again, and ask; where nobody can answer, say how to go on."""
    rows = [
        {"merchant": one.merchant, "return": one.return_id, "delivery": one.kind, "state": one.state, "why": one.message} for one in found
    ]
    print_rows(rows, as_json=False, title="To be tried again", empty="nothing was refused, failed or dead")
    if not found:
        return False
    if not sys.stdin.isatty():
        say("Nothing was sent. Add --yes to try these again.")
        return False
    return typer.confirm("Try these again?")


@app.command()
def reconcile(merchants: Names = None, as_json: Json = False) -> None:
    """Decide holds that have fallen due, notice what hangs, and publish where everything stands."""
    from flows import fleet
    from flows.reconcile import reconcile as flow

    _run(flow, merchants, as_json, "Reconcile", of_many=fleet.reconcile_all)


def _run(flow: object, merchants: list[str] | None, as_json: bool, title: str, *, of_many: object = None, **parameters: str | None) -> None:
    """Run a flow for one merchant, or a round of it over many."""
    fleet, has_broken = fleet_settings(merchants)
    names = merchants or sorted(fleet.merchants)
    Store(fleet.store_url()).ready().close()
    if of_many is not None and (len(names) > 1 or (has_broken and not merchants)):
        with told(title):
            done = run_round(of_many, merchants=merchants, config=Chosen.config, trigger="command", **parameters)
    else:
        check_secrets(fleet, names)
        with told(title):
            done = run_each(flow, names, config=Chosen.config, trigger="command", **parameters)
    _show(done, as_json, title)
    raise typer.Exit(report_failures(done))


def _show(done: list[Done], as_json: bool, title: str) -> None:
    if as_json:
        print_json([{"merchant": one.merchant, "error": one.error, "counts": one.counts} for one in done])
    else:
        print_rows([one.row(SHOWN) for one in done], as_json=False, title=title, empty="no merchant in the config")
