"""Commands that act: sync, deliver, reconcile, db upgrade."""

from __future__ import annotations

from typing import Annotated

import typer

from backhaul.cli.app import Chosen, Json, app, settings
from backhaul.cli.output import print_json, print_rows, say
from backhaul.cli.running import Done, report_failures, run_each
from backhaul.pipeline.session import check_secrets
from backhaul.store.engine import Store

Names = Annotated[list[str] | None, typer.Argument(help="Merchants; all of them when none is named.")]
_SHOWN = ("records_in", "records_out", "quarantined", "decided_process", "decided_flag", "decided_hold", "delivered", "refused")

database = typer.Typer(help="The store's schema.", no_args_is_help=True)
app.add_typer(database, name="db")


@app.command()
def sync(merchants: Names = None, as_json: Json = False) -> None:
    """Bring merchants up to date: pull, announce, decide, deliver."""
    from flows.sync import sync as flow

    _run(flow, merchants, as_json, "Sync")


@app.command()
def deliver(
    merchants: Names = None,
    retry: Annotated[str | None, typer.Option("--retry", help="Try the refused, failed and dead deliveries of this return again.")] = None,
    as_json: Json = False,
) -> None:
    """Drain the outbox, pulling nothing."""
    from flows.deliver import deliver as flow

    _run(flow, merchants, as_json, "Deliver", retry=retry)


@app.command()
def reconcile(merchants: Names = None, as_json: Json = False) -> None:
    """Decide holds that have fallen due, notice what hangs, and publish where everything stands."""
    from flows.reconcile import reconcile as flow

    _run(flow, merchants, as_json, "Reconcile")


@database.command("upgrade")
def upgrade() -> None:
    """Bring the store's schema and views to this version."""
    store = Store(settings().store_url())
    try:
        say(f"the store is at schema {store.upgrade()}")
    finally:
        store.close()


def _run(flow: object, merchants: list[str] | None, as_json: bool, title: str, **parameters: str | None) -> None:
    chosen = settings()
    names = merchants or sorted(chosen.merchants)
    check_secrets(chosen, names)
    Store(chosen.store_url()).ready().close()
    done = run_each(flow, names, config=Chosen.config, trigger="command", **parameters)
    _show(done, as_json, title)
    raise typer.Exit(report_failures(done))


def _show(done: list[Done], as_json: bool, title: str) -> None:
    if as_json:
        print_json([{"merchant": one.merchant, "error": one.error, "counts": one.counts} for one in done])
    else:
        print_rows([one.row(_SHOWN) for one in done], as_json=False, title=title, empty="no merchant in the config")
