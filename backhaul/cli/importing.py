"""Commands that bring results in by file: one for each warehouse whose results can come so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from backhaul.cli.app import Chosen, Json, app, settings
from backhaul.cli.commands import Group
from backhaul.cli.output import print_json, print_rows
from backhaul.cli.progress import told
from backhaul.cli.running import report_failures, run_each
from backhaul.config import Settings
from backhaul.connectors.registry import WAREHOUSES
from backhaul.connectors.vendor import WarehouseVendor
from backhaul.errors import ConfigError
from backhaul.pipeline.session import check_secrets
from backhaul.store.engine import Store

files = typer.Typer(help="Bring a warehouse's results in by file.", no_args_is_help=True, cls=Group)
app.add_typer(files, name="import")

_SHOWN = ("returns_in_file", "receipts_out", "decided_process", "decided_flag", "delivered", "refused")


def _importer(vendor: WarehouseVendor) -> Callable[..., None]:
    def command(
        file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file.")],
        merchant: Annotated[str | None, typer.Option("--merchant", help="Whose; may be left out when only one uses it.")] = None,
        as_json: Json = False,
    ) -> None:
        from flows.import_file import import_file as flow

        chosen = settings()
        name = _merchant_of(vendor, chosen, merchant)
        check_secrets(chosen, [name], by_file=True)
        Store(chosen.store_url()).ready().close()
        with told("Import"):
            done = run_each(flow, [name], file=str(file), warehouse=vendor.name, config=Chosen.config, trigger="command")
        if as_json:
            print_json([{"merchant": one.merchant, "error": one.error, "counts": one.counts} for one in done])
        elif not done[0].error:
            print_rows([one.row(_SHOWN) for one in done], as_json=False, title="Import")
        raise typer.Exit(report_failures(done))

    return command


for _vendor in WAREHOUSES.values():
    if _vendor.by_file is not None:
        _told = f"Take in {_vendor.by_file.told}, and act on them. The columns are in docs/{_vendor.name}.md."
        files.command(_vendor.name, help=_told)(_importer(_vendor))


def _merchant_of(vendor: WarehouseVendor, chosen: Settings, merchant: str | None) -> str:
    using = sorted(name for name, mine in chosen.merchants.items() if vendor.name in mine.warehouses())
    if merchant is not None:
        if vendor.name not in chosen.merchant(merchant).warehouses():
            named = ", ".join(using) or "none"
            raise ConfigError(f"merchant {merchant} does not use {vendor.title}; of the config's merchants {named} does")
        return merchant
    if not using:
        raise ConfigError(f"no merchant in the config uses {vendor.title}")
    if len(using) > 1:
        raise ConfigError(f"say whose file it is with --merchant: {', '.join(using)}")
    return using[0]
