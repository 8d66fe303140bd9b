"""Tables for people, JSON for scripts. All that the command line says goes out here, and only as printable text."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
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
    from rich.table import Table

    names = list(columns or rows[0])
    table = Table(title=printable.lines(title), title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in names:
        is_number = all(isinstance(row[name], (int, float, Decimal)) or row[name] is None for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in names))
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    Console(width=width, markup=False, emoji=False).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:g}"
    return printable.line(json.dumps(value) if isinstance(value, (list, dict)) else str(value))
