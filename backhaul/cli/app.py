"""The command line's root: the option that stands before every command, and what the commands share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from backhaul import __version__
from backhaul.cli.commands import Commands
from backhaul.cli.output import complain, say
from backhaul.errors import ConfigError

if TYPE_CHECKING:
    from backhaul.config import Settings
    from backhaul.pipeline.acting import Operator
    from backhaul.store.engine import Store

app = typer.Typer(
    name="backhaul",
    cls=Commands,
    help="Keeps Loop returns and the warehouses that receive them in step.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help costs three times what all else of it does
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
As = Annotated[str | None, typer.Option("--as", help="Who you are; your login when it is not given.")]
Why = Annotated[str | None, typer.Option("--why", help="Why, for the record. No customer's data.")]
Merchant = Annotated[str | None, typer.Option("--merchant", help="Only this merchant.")]


class Chosen:
    """What the root's options chose."""

    config: str | None = None
    told: ClassVar[set[str]] = set()


def _print_version(is_asked: bool) -> None:
    if is_asked:
        say(__version__)
        raise typer.Exit


@app.callback()
def root(
    config_file: Annotated[
        Path | None, typer.Option("--config", help="The config file; else BACKHAUL_CONFIG, else backhaul.toml here.")
    ] = None,
    is_asked: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")] = False,
) -> None:
    """Keeps Loop returns and the warehouses that receive them in step."""
    Chosen.config = str(config_file) if config_file is not None else None


@app.command()
def version() -> None:
    """Print the version."""
    say(__version__)


def settings() -> Settings:
    """The config that the root's options chose. What should not stay as it is in it is told once."""
    from backhaul import config

    return _advised(config.load(Chosen.config))


def fleet_settings(named: Sequence[str] | None = None) -> tuple[Settings, bool]:
    """The same without the merchants whose sections are broken, and whether there are any.

    Raises ConfigError for one that is named and broken, or not there.
    """
    from backhaul import config

    chosen, broken = config.load_fleet(Chosen.config)
    for name in named or ():
        if name in broken:
            raise ConfigError(broken[name])
        chosen.merchant(name)
    return _advised(chosen), bool(broken)


def _advised(chosen: Settings) -> Settings:
    for advice in chosen.advice():
        if advice not in Chosen.told:
            Chosen.told.add(advice)
            complain(advice)
    return chosen


@contextmanager
def store() -> Iterator[Store]:
    """The config's store, its schema checked."""
    from backhaul.store.engine import Store

    opened = Store(settings().store_url()).ready()
    try:
        yield opened
    finally:
        opened.close()


def operator(opened: Store, name: str | None) -> Operator:
    """Who acts: the person named with --as, else the login."""
    from backhaul.pipeline.acting import Operator, login

    return Operator(opened, name or login())
