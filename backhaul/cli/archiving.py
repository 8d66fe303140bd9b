"""The command that sets aside what is over."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from backhaul.cli.app import Json, Merchant, app, settings, store
from backhaul.cli.output import print_rows
from backhaul.pipeline.session import utc_now
from backhaul.store.archive import archive_returns
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
            with kept_to_its_end(opened, run, utc_now), opened.write(name) as connection:
                run.add("archived", archive_returns(connection, name, now - age, now))
            rows.append({"merchant": name, "archived": run.count("archived")})
    print_rows(rows, as_json=as_json, title="Archive", empty="no merchant in the config")
