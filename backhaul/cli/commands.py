"""Every command, as `backhaul --help` lists it: its name, the module of this folder that has it, and the first line of its help.

So that help costs no import, and a command the imports of its own module alone. A test holds the lines to the commands' docstrings.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

if TYPE_CHECKING:
    from typer._click.core import Context
    from typer._click.formatting import HelpFormatter

Listed = dict[str, tuple[str, str]]

COMMANDS: dict[str, Listed] = {
    "To begin": {
        "init": ("beginning", "Write a commented backhaul.toml, or add a merchant to the one there is."),
        "doctor": ("setting_up", "Check everything, and say of each thing that is wrong what to do."),
        "connect": ("setting_up", "Register or re-activate the webhooks and callbacks that a merchant needs."),
        "demo": ("sandboxing", "Watch the whole job on a simulated world: every warehouse, three syncs, every kind of outcome."),
        "sandbox": ("sandboxing", "Serve a simulated Loop and its warehouses on loopback, for training and trials."),
    },
    "Every day": {
        "sync": ("acting", "Bring merchants up to date: pull, announce, decide, deliver."),
        "serve": ("serving", "Receive webhooks from Loop and the warehouses, and act on them within seconds."),
        "deliver": ("acting", "Drain the outbox, pulling nothing."),
        "reconcile": ("acting", "Decide holds that have fallen due, notice what hangs, and publish where everything stands."),
        "notify": ("notifying", "Tell each address of the config what has come to need a look since it was last told."),
    },
    "To look": {
        "console": ("consoling", "See in a browser where every return stands, and why."),
        "show": ("looking", "One return: where it stands in a sentence, what happens next, its lines, and its whole life."),
        "find": ("looking", "Find returns of any merchant by order, return id, RMA, tracking number, package or SKU, or how it begins."),
        "runs": ("looking", "The run history, newest first."),
        "export": ("exporting", "Take a public view away, whole or filtered, as CSV, JSON lines or Parquet."),
    },
    "What needs a person": {
        "exceptions": ("looking", "What needs a person."),
        "quarantine": ("looking", "Records that broke a critical rule."),
        "guard": ("braking", "What a merchant's limits hold back until a person has looked."),
        "candidates": ("tying", "Units that no line expected, and whose they may be."),
        "pause": ("braking", "Stop all that is sent to a merchant's vendors, or to one, before the next call of every process."),
        "resume": ("braking", "Lift a merchant's pauses, or that of one vendor."),
    },
    "Ranges and files": {
        "backfill": ("backfilling", "Bring a range of Loop's past in, with the warehouse's side of it."),
        "audit": ("backfilling", "Prove, day by day, that the store holds what the vendors hold."),
        "replay": ("backfilling", "Decide what was decided in a range again, by today's rules on the facts of that time."),
        "what-if": ("backfilling", "How many returns of a range another policy would have decided otherwise, in units and money."),
        "import": ("importing", "Bring a warehouse's results in by file."),
    },
    "The store": {
        "db": ("database", "The store itself: its schema, backups and roles."),
        "archive": ("archiving", "Set aside returns that are over, so that open work stands out in recon_open; nothing is deleted."),
        "prune": ("archiving", "Let go what is past its retention: bodies, older versions, attempts."),
        "forget": ("archiving", "At a customer's request, remove what could identify them from an order's returns."),
    },
    "This program": {
        "docs": ("documenting", "Read the documentation: its pages by name, or one of them."),
        "version": ("app", "Print the version."),
    },
}


class _Command(TyperCommand):
    """A command as help lists it; its module is imported when it is called."""

    def __init__(self, name: str, module: str, line: str) -> None:
        super().__init__(name, help=line, rich_markup_mode=None)
        self.module = module

    def make_context(self, info_name: str | None, args: list[str], parent: Context | None = None, **extra: Any) -> Context:
        """The context of the command itself, which then takes the place of this one."""
        import_module(f"backhaul.cli.{self.module}")
        from backhaul.cli.app import app

        return cast("Commands", get_group(app)).registered[self.name or ""].make_context(info_name, args, parent, **extra)


class Group(TyperGroup):
    """A command of commands, their help given whole."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """The first sentence of each, over as many lines as it takes."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(command.help or "")) for name, command in self.commands.items()])


def _first_sentence(text: str) -> str:
    words = " ".join(text.split())
    first, full_stop, _ = words.partition(". ")
    return first + full_stop.strip()


class Commands(TyperGroup):
    """The root: it knows every command by its line, and imports the module of the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.registered = self.commands
        self.commands = {name: _Command(name, *found) for listed in COMMANDS.values() for name, found in listed.items()}

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """The commands under their headings, none of their lines cut short."""
        for heading, listed in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, line) for name, (_, line) in listed.items()])
