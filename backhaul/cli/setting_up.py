"""Commands that set up: init, connect, doctor."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from backhaul import config
from backhaul.cli.app import Chosen, Json, app, settings
from backhaul.cli.output import complain, print_json, print_rows, say
from backhaul.connectors.findings import Finding
from backhaul.errors import ConfigError
from backhaul.setup import first_config
from backhaul.setup.connecting import connect as connect_merchant
from backhaul.setup.diagnosis import diagnose


class _Warehouse(StrEnum):
    masonhub = "masonhub"
    airhouse = "airhouse"


class _Mode(StrEnum):
    shadow = "shadow"
    live = "live"


@app.command()
def init(
    merchant: Annotated[str | None, typer.Option(help="A short name: small letters, digits, - and _.")] = None,
    warehouse: Annotated[_Warehouse | None, typer.Option(help="Where the parcels go.")] = None,
    loop_url: Annotated[str | None, typer.Option(help=f"Loop's base URL; {first_config.LOOP_URL} unless told.")] = None,
    masonhub_slug: Annotated[str | None, typer.Option(help="The account's slug in MasonHub's URLs.")] = None,
    masonhub_url: Annotated[str | None, typer.Option(help="MasonHub's whole base URL, instead of a slug.")] = None,
    airhouse_url: Annotated[str | None, typer.Option(help="Airhouse's base URL.")] = None,
    store: Annotated[str | None, typer.Option(help="The store's URL; sqlite:///backhaul.db unless told.")] = None,
    mode: Annotated[_Mode | None, typer.Option(help="shadow (unless told) sends Loop nothing; live acts.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a commented backhaul.toml. Asks on a terminal for what no option tells."""
    file = config.config_path(Chosen.config)
    if os.path.lexists(file) and not force:  # before anybody answers questions in vain
        raise ConfigError(f"{file} is there already and was left as it is; --force replaces it, --config names another")
    name = merchant or _ask("--merchant", "Merchant, as a short name")
    chosen = warehouse.value if warehouse else _ask("--warehouse", "Warehouse (masonhub or airhouse)", "masonhub", _Warehouse)
    answers = first_config.Answers(
        merchant=name,
        warehouse=chosen,
        mode=mode.value if mode else _ask("--mode", "Mode (shadow sends Loop nothing, live acts)", "shadow", _Mode),
        loop_url=loop_url or _ask("--loop-url", "Loop's base URL", first_config.LOOP_URL),
        warehouse_url=_masonhub_url(masonhub_slug, masonhub_url)
        if chosen == "masonhub"
        else airhouse_url or _ask("--airhouse-url", "Airhouse's base URL"),
        store_url=store or _ask("--store", "Store", "sqlite:///backhaul.db"),
    )
    first_config.write(file, answers, is_forced=force)
    _tell_next(str(file), answers)


def _masonhub_url(slug: str | None, url: str | None) -> str:
    if url:
        return url
    slug = slug or _ask("--masonhub-slug", "MasonHub's slug for the account, or a whole base URL")
    if "://" in slug:
        return slug
    if not slug.replace("-", "").replace("_", "").isalnum():
        raise ConfigError(f"--masonhub-slug: {slug!r} is not a slug; it is the part after the host in MasonHub's URLs")
    return first_config.MASONHUB_URL.format(slug=slug)


def _ask(option: str, question: str, default: str | None = None, choices: type[StrEnum] | None = None) -> str:
    """Ask on a terminal, again for what is not among the `choices`. Elsewhere the default answers; ConfigError where there is none."""

    def read(answer: str) -> str:
        answer = answer.strip()
        if choices is not None and answer not in list(choices):
            raise typer.BadParameter(f"one of {', '.join(choices)}")
        return answer

    if sys.stdin.isatty():
        return str(typer.prompt(question, default=default, value_proc=read))
    if default is None:
        raise ConfigError(f"{option} is missing, and there is no terminal to ask on")
    return default


def _tell_next(file: str, answers: first_config.Answers) -> None:
    say(f"Wrote {file}, readable by you only.\n\nIt refers to these environment variables. Export them where Backhaul runs:\n")
    for name, source in answers.variables():
        say(f"  export {name}=...   # {source}")
    if file != config.DEFAULT_PATH:
        say(f"  export BACKHAUL_CONFIG={shlex.quote(os.path.abspath(file))}   # where this file is")
    say("\nThen:\n")
    for command, purpose in (
        ("db upgrade", "makes the store"),
        ("doctor", "says what is missing, and how to put it right"),
        (f"sync {answers.merchant}", "pulls, checks and decides"),
        ("serve", "receives webhooks, behind TLS at a URL of yours"),
        (f"connect {answers.merchant} --public-url URL", "points the vendors there"),
    ):
        say(f"  backhaul {command:<40} {purpose}")
    say()
    if answers.mode == "shadow":
        say('In shadow mode Loop is sent nothing. When its decisions convince you, set mode = "live".')


@app.command()
def connect(
    merchant: Annotated[str, typer.Argument(help="The merchant to connect.")],
    public_url: Annotated[str, typer.Option(help="Where the vendors reach 'backhaul serve': https://HOST, with a path if you use one.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what there is and what would be done.")] = False,
    replace_callback: Annotated[
        bool, typer.Option("--replace-callback", help="Register MasonHub's callback anew: over another receiver's, or with a new token.")
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
    as_json: Json = False,
) -> None:
    """Check everything, and say of each thing that is wrong what to do. Exit 0: nothing failed. 1: something did. 2: the config."""
    found = diagnose(settings(), merchants or None, public_url=public_url)
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
