"""Rows as a file that others read: CSV, JSON or Parquet, written as the rows come and never held whole."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

from backhaul import printable
from backhaul.errors import BackhaulError, ConfigError

Row = Sequence[Any]
_PIECE = 1 << 16  # characters
_GROUP = 20_000  # rows that Parquet is given at once


def csv_text(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """CSV that a spreadsheet may open: no vendor's text becomes a formula."""
    held = io.StringIO()
    writer = csv.writer(held)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([printable.csv_cell(_flat(value)) for value in row])
        if held.tell() > _PIECE:
            yield held.getvalue()
            held.seek(0)
            held.truncate()
    yield held.getvalue()


def json_array(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One JSON array of objects."""
    start = "["
    for row in rows:
        yield start + "\n" + printable.as_json(dict(row))
        start = ","
    yield "[]\n" if start == "[" else "\n]\n"


def json_lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """One JSON object a line."""
    for row in rows:
        yield printable.as_json(dict(zip(columns, row, strict=True)), indent=None) + "\n"


def write_parquet(file: IO[bytes], kinds: Mapping[str, str], rows: Iterable[Row]) -> None:
    """Parquet, typed by the kind of each column: exact decimals, times in UTC, JSON as text. Raises ConfigError without pyarrow."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ConfigError("--format parquet needs pyarrow; install it with: pip install 'backhaul[parquet]'") from None
    types = {
        "time": pa.timestamp("us", tz="UTC"),
        "money": pa.decimal128(38, 8),  # the most that is read of a vendor: 15 digits and 8 decimals
        "count": pa.int64(),
        "number": pa.float64(),
        "flag": pa.bool_(),
    }
    schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in kinds.items()])
    flat = [place for place, kind in enumerate(kinds.values()) if kind == "json"]
    coming = iter(rows)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while some := list(islice(coming, _GROUP)):
            columns: list[Sequence[Any]] = list(zip(*some, strict=True))
            for place in flat:
                columns[place] = [_flat(value) for value in columns[place]]
            writer.write_table(pa.Table.from_arrays([pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)], schema=schema))


@contextmanager
def put_in_place(file: Path) -> Iterator[IO[bytes]]:
    """A file of its owner's only, that takes the place of `file` in one step once it is whole; an error leaves what was there.

    Raises BackhaulError when it cannot be written, or what is there is no file.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        if os.path.lexists(file) and not stat.S_ISREG(os.lstat(file).st_mode):
            raise BackhaulError(f"{file} is there and is no file; name another")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(draft, file)
    except OSError as error:
        raise BackhaulError(f"{file} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            draft.unlink()


def _flat(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else printable.plain(value)
