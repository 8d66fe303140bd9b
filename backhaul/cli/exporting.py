"""The command that takes a public view away, as a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from backhaul import table_files
from backhaul.cli.app import app, store
from backhaul.cli.output import say, standard_output
from backhaul.domain.plainly import plural
from backhaul.errors import ConfigError


class Format(StrEnum):
    """What a view is written as."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"


@app.command()
def export(
    view: Annotated[str, typer.Argument(help="A public view: recon_returns, recon_lines, … (docs/views.md).")],
    file_format: Annotated[
        Format, typer.Option("--format", help="CSV for spreadsheets, JSON lines for programs, Parquet for analysts.")
    ] = Format.CSV,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="'COLUMN=VALUE', also != > >= < <=; an empty value is none at all. Repeat it for more."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The file, for its owner only; standard output when it is not given.")] = None,
) -> None:
    """Take a public view away, whole or filtered, as CSV, JSON lines or Parquet. A million rows take no more memory than one."""
    from backhaul.store.desk import BadFilterError
    from backhaul.store.export import kinds_of, rows_of

    if out is None and file_format is Format.PARQUET and sys.stdout.isatty():
        raise ConfigError("Parquet is not for a screen; name a file with --out")
    numbers = count()
    with store() as opened, opened.snapshot() as connection:
        try:
            kinds = kinds_of(view)
            rows = (row for row, _ in zip(rows_of(connection, view, where or []), numbers, strict=False))
        except BadFilterError as error:
            raise ConfigError(str(error)) from None
        if out is None:
            _write(standard_output(), file_format, kinds, rows)
            return
        with table_files.put_in_place(out) as file:
            _write(file, file_format, kinds, rows)
    say(f"{plural(next(numbers), 'row')} of {view} in {out}", is_error=True)


def _write(file: IO[bytes], file_format: Format, kinds: dict[str, str], rows: Iterator[tuple[Any, ...]]) -> None:
    if file_format is Format.PARQUET:
        table_files.write_parquet(file, kinds, rows)
        return
    text = table_files.csv_text if file_format is Format.CSV else table_files.json_lines
    for piece in text(list(kinds), rows):
        file.write(piece.encode())
    file.flush()
