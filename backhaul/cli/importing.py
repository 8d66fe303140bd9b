"""Commands that bring results in by file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backhaul.cli.app import Chosen, Json, app, settings
from backhaul.cli.output import print_json, print_rows
from backhaul.cli.running import report_failures, run_each
from backhaul.config import Settings
from backhaul.errors import ConfigError
from backhaul.pipeline.session import check_secrets, warehouse_names
from backhaul.store.engine import Store

files = typer.Typer(help="Bring a warehouse's results in by file.", no_args_is_help=True)
app.add_typer(files, name="import")

_SHOWN = ("returns_in_file", "receipts_out", "decided_process", "decided_flag", "delivered", "refused")


@files.command("airhouse")
def import_airhouse(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file; its columns are in docs/airhouse.md.")],
    merchant: Annotated[str | None, typer.Option("--merchant", help="Whose; may be left out when only one uses Airhouse.")] = None,
    as_json: Json = False,
) -> None:
    """Take in the expected, received and restocked figures of Airhouse's dashboard, and act on them."""
    from flows.import_file import import_file as flow

    chosen = settings()
    name = _airhouse_merchant(chosen, merchant)
    check_secrets(chosen, [name], by_file=True)
    Store(chosen.store_url()).ready().close()
    done = run_each(flow, [name], file=str(file), config=Chosen.config, trigger="command")
    if as_json:
        print_json([{"merchant": one.merchant, "error": one.error, "counts": one.counts} for one in done])
    elif not done[0].error:
        print_rows([one.row(_SHOWN) for one in done], as_json=False, title="Import")
    raise typer.Exit(report_failures(done))


def _airhouse_merchant(chosen: Settings, merchant: str | None) -> str:
    using = sorted(name for name, mine in chosen.merchants.items() if "airhouse" in warehouse_names(mine))
    if merchant is not None:
        if "airhouse" not in warehouse_names(chosen.merchant(merchant)):
            raise ConfigError(f"merchant {merchant} does not use Airhouse; of the config's merchants {', '.join(using) or 'none'} does")
        return merchant
    if not using:
        raise ConfigError("no merchant in the config uses Airhouse")
    if len(using) > 1:
        raise ConfigError(f"say whose file it is with --merchant: {', '.join(using)}")
    return using[0]
