"""Commands that connect a merchant to its vendors, and say what is wrong: connect, doctor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from backhaul.cli.app import Json, app, settings
from backhaul.cli.output import complain, print_json, print_rows, say
from backhaul.connectors.findings import Finding
from backhaul.setup.connecting import connect as connect_merchant
from backhaul.setup.diagnosis import diagnose


@app.command()
def connect(
    merchant: Annotated[str, typer.Argument(help="The merchant to connect.")],
    public_url: Annotated[str, typer.Option(help="Where the vendors reach 'backhaul serve': https://HOST, with a path if you use one.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what there is and what would be done.")] = False,
    replace_callback: Annotated[
        bool,
        typer.Option("--replace-callback", help="Register a callback anew: over another receiver's, or with a new token."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Register or re-activate the webhooks and callbacks that a merchant needs. Running it again changes nothing."""
    mine = settings().merchant(merchant)
    done = connect_merchant(merchant, mine, public_url, is_dry_run=dry_run, is_replacing=replace_callback)
    if as_json:
        print_json(asdict(done) | {"is_dry_run": dry_run})
    else:
        title = f"Webhooks and callbacks of {merchant}" + (" (dry run: nothing was changed)" if dry_run else "")
        rows = [asdict(one) for one in done.subscriptions]
        print_rows(rows, as_json=False, title=title, columns=("vendor", "tells", "url", "state", "action", "note"), empty="none seen")
        say("\nBy hand:")
        for todo in done.by_hand:
            say(f"- {todo}")
    for problem in done.problems:
        complain(problem)
    raise typer.Exit(1 if done.problems else 0)


@app.command()
def doctor(
    merchants: Annotated[list[str] | None, typer.Argument(help="Merchants; all of them when none is named.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Where webhooks must point; else wherever most of ours do.")] = None,
    is_deep: Annotated[
        bool, typer.Option("--deep", help="Also prove by every return that what the store keeps follows from its facts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check everything, and say of each thing that is wrong what to do. Exit 0: nothing failed. 1: something did. 2: the config."""
    found = diagnose(settings(), merchants or None, public_url=public_url, is_deep=is_deep)
    states = Counter(finding.state.value for finding in found)
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        rows = [asdict(finding) for finding in found]
        print_rows(rows, as_json=False, title="Doctor", columns=("state", "check", "subject", "what"))
        _print_remedies(found)
        say(f"\n{states['ok']} ok, {states['warn']} to look at, {states['fail']} failed")
    raise typer.Exit(1 if states["fail"] else 0)


def _print_remedies(found: Sequence[Finding]) -> None:
    """Each remedy once, with all that it is for."""
    remedies: dict[str, list[str]] = {}
    for finding in found:
        if finding.remedy:
            remedies.setdefault(finding.remedy, []).append(f"{finding.check} ({finding.subject})")
    if remedies:
        say("\nWhat to do:")
    for remedy, checks in remedies.items():
        say(f"- {', '.join(checks)}: {remedy}")
