"""Tables for people, JSON for scripts. All that the command line says goes out here, and only as printable text."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any

import typer

from backhaul import printable

_PIPED_WIDTH = 220  # a pipe or a file has no width of its own


def say(text: str = "", *, is_error: bool = False) -> None:
    """Text on standard output or standard error."""
    typer.echo(printable.lines(text), err=is_error)


def complain(text: str) -> None:
    """Words on standard error, under our name: one line, or more where each tells of a row of a file."""
    say(f"backhaul: {text}", is_error=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(printable.as_json(value))


def standard_output() -> IO[bytes]:
    """Standard output, for a file's content in a pipe."""
    return sys.stdout.buffer


def print_rows(
    rows: Sequence[Mapping[str, Any]], *, as_json: bool, title: str, columns: Sequence[str] | None = None, empty: str = "nothing"
) -> None:
    """Rows as a table, or as a JSON array."""
    if as_json:
        print_json([dict(row) for row in rows])
        return
    if not rows:
        say(f"{title}: {empty}")
        return
    from rich.console import Console

    from backhaul.cli.tables import fitted

    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, markup=False, emoji=False)
    console.print(fitted(rows, list(columns or rows[0]), printable.lines(title), console.width))
