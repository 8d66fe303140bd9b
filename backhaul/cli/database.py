"""Commands about the store itself: upgrade, rebuild, backup, restore, roles."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from backhaul.cli.app import app, settings
from backhaul.cli.commands import Group
from backhaul.cli.output import say
from backhaul.pipeline.session import utc_now
from backhaul.store import backup as copies
from backhaul.store import roles, whereabouts
from backhaul.store.engine import Store

database = typer.Typer(help="The store itself: its schema, backups and roles.", no_args_is_help=True, cls=Group)
app.add_typer(database, name="db")


@contextmanager
def _store() -> Iterator[Store]:
    """The config's store, whatever its schema."""
    opened = Store(settings().store_url())
    try:
        yield opened
    finally:
        opened.close()


@database.command("upgrade")
def upgrade() -> None:
    """Bring the store's schema and views to this version."""
    with _store() as opened:
        say(f"the store is at schema {opened.upgrade()}")


@database.command("rebuild")
def rebuild(merchants: Annotated[list[str] | None, typer.Argument(help="Merchants; all of them when none is named.")] = None) -> None:
    """Work out anew where returns stand, from what vendors told and what was decided. Nothing else is changed, and nothing is sent."""
    mine = settings()
    with _store() as opened:
        opened.ready()
        for name in merchants or sorted(mine.merchants):
            mine.merchant(name)  # one that is not in the config is an error
            written = whereabouts.rebuild(opened, name)
            say(f"{name}: {written} return{'' if written == 1 else 's'} stood elsewhere than was kept")


@database.command("backup")
def backup(file: Annotated[Path, typer.Argument(help="The new file; one that is there is never overwritten.")]) -> None:
    """Copy the whole store to a file, while everything goes on. PostgreSQL: with pg_dump."""
    with _store() as opened:
        rows = copies.back_up(opened, file)
    say(f"Wrote {file}, readable by you only: {_told(rows)}.")


@database.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A file that 'backhaul db backup' wrote.")],
    is_sure: Annotated[bool, typer.Option("--yes", help="Put it in the place of what is there; that is kept beside it.")] = False,
) -> None:
    """Put a backup in the place of the store. Stop everything that uses the store first. PostgreSQL: with pg_restore."""
    with _store() as opened:
        rows = copies.rows_of(opened)
        if rows and not is_sure:
            say(f"The store is not empty: {_told(rows)}.\nIt would be set aside, and {file} put in its place.")
            if not sys.stdin.isatty() or not typer.confirm("Restore?"):
                say("Nothing was changed. Add --yes to restore.")
                raise typer.Exit(1)
        kept = copies.restore(opened, file, utc_now())
        current, needed = opened.revisions()
        say(f"Restored {file}: {_told(copies.rows_of(opened))}.")
    if kept is not None:
        say(f"What was there is kept as {kept}.")
    if current != needed:
        say(f"It is at schema {current}; 'backhaul db upgrade' brings it to {needed}.")
    say("What was owed then is looked up at the vendors before anything is sent. Next: 'backhaul doctor', then 'backhaul sync'.")


Role = Annotated[str, typer.Argument(help="The role's name; it is made where it is not there.")]
_NEXT = "Give it a password in psql with \\password {}, and a line in pg_hba.conf where it connects from."


@database.command("grant-analyst")
def grant_analyst(role: Role) -> None:
    """Let a PostgreSQL role read the public views, and nothing else of the store."""
    with _store() as opened:
        roles.grant_analyst(opened.ready(), role)
    say(f"{role} may read the public views, and nothing else of the store. {_NEXT.format(role)}")


@database.command("grant-program")
def grant_program(role: Role) -> None:
    """Let a PostgreSQL role do all that the program does with rows, and change no schema. Upgrades stay with the owner."""
    with _store() as opened:
        roles.grant_program(opened.ready(), role)
    say(f"{role} may work with every row, and change no table. {_NEXT.format(role)}")
    say("Name it in the URL that syncs, workers and serve use; 'db upgrade' goes on as the owner.")


def _told(rows: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in rows.items()) or "no rows"
