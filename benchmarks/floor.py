"""The floor: the least that any loader must do with the same pages. Typed decoding and a bulk upsert by the driver, nothing checked.

Nothing is parsed, hashed, versioned, matched or decided, and two plain tables take the rows. `python -m benchmarks.floor JOB` reads a
job (see `job.py`) and prints how long it took.
"""

from __future__ import annotations

import gc
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import httpx
import msgspec
import psycopg

from backhaul.domain import schema
from benchmarks.job import Job, Taken, read_job, tell

# Each column with the field that it comes from; `is_paid` is read off one flag, without the other signs of it.
RENAMED = {"return_id": "id", "loop_state": "state", "is_paid": "was_processed", "line_outcome": "outcome"}
RETURN_FIELDS = {name: RENAMED.get(name, name) for name in schema.RETURNS.columns}
LINE_FIELDS = {name: RENAMED.get(name, name) for name in schema.RETURN_LINES.columns[1:]}

Scalar = str | int | float | bool | None
LineWire = msgspec.defstruct("LineWire", [(name, Scalar, None) for name in LINE_FIELDS.values()], gc=False)
ReturnWire = msgspec.defstruct(
    "ReturnWire",
    [*((name, Scalar, None) for name in RETURN_FIELDS.values()), ("line_items", list[LineWire], [])],  # type: ignore[valid-type]
    gc=False,
)


class Page(msgspec.Struct):
    """A page of the list."""

    returns: list[ReturnWire]  # type: ignore[valid-type]
    nextPageUrl: Any = None  # noqa: N815 - Loop's name


def pages(job: Job) -> Iterator[list[Any]]:
    """Every page of every state, newest first; each is asked up to the last second of the one before it, so that ties are not lost."""
    decode = msgspec.json.Decoder(Page).decode
    with httpx.Client(headers={"X-Authorization": job.key}, timeout=60) as client:
        for state in job.states:
            end, is_more = job.end, True
            while is_more:
                page = decode(client.get(job.url, params=job.params(state, end)).content)
                yield page.returns
                is_more = bool(page.nextPageUrl)
                end = str(page.returns[-1].updated_at) if is_more else end  # type: ignore[attr-defined]


def rows_of(page: Sequence[Any]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The page as tuples: returns, and their lines."""
    pick, pick_line = attrgetter(*RETURN_FIELDS.values()), attrgetter(*LINE_FIELDS.values())
    heads = [("acme", *pick(record)) for record in page]
    lines = [("acme", record.id, *pick_line(line)) for record in page for line in record.line_items]
    return heads, lines


TABLES = (("returns", RETURN_FIELDS, "return_id"), ("return_lines", {"return_id": "id"} | LINE_FIELDS, "return_id, line_item_id"))


def into_sqlite(file: str) -> Callable[[Sequence[Sequence[tuple[Any, ...]]]], None]:
    """A writer of pages into SQLite, one transaction a page, durable as the store is."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA cache_size=-65536")
    for name, columns, key in TABLES:
        connection.execute(f"CREATE TABLE {name} (merchant TEXT, {', '.join(columns)}, PRIMARY KEY (merchant, {key}))")

    def write(parts: Sequence[Sequence[tuple[Any, ...]]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for (name, columns, key), rows in zip(TABLES, parts, strict=True):
            places = ", ".join("?" * (len(columns) + 1))
            merge = f"ON CONFLICT (merchant, {key}) DO UPDATE SET {_updates(columns)}"
            connection.executemany(f"INSERT INTO {name} VALUES ({places}) {merge}", rows)
        connection.execute("COMMIT")

    return write


def into_postgres(url: str) -> Callable[[Sequence[Sequence[tuple[Any, ...]]]], None]:
    """A writer of pages into PostgreSQL: COPY into a staging table and one merge, one transaction a page."""
    connection = psycopg.connect(url.replace("+psycopg", ""))
    for name, columns, key in TABLES:
        texts = ", ".join(f"{column} TEXT" for column in columns)
        connection.execute(f"CREATE TABLE {name} (merchant TEXT, {texts}, PRIMARY KEY (merchant, {key}))")
        connection.execute(f"CREATE TEMP TABLE stage_{name} AS SELECT * FROM {name} WITH NO DATA")
    connection.commit()

    def write(parts: Sequence[Sequence[tuple[Any, ...]]]) -> None:
        for (name, columns, key), rows in zip(TABLES, parts, strict=True):
            with connection.cursor() as cursor:
                with cursor.copy(f"COPY stage_{name} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
                cursor.execute(
                    f"INSERT INTO {name} SELECT * FROM stage_{name} ON CONFLICT (merchant, {key}) DO UPDATE SET {_updates(columns)}"
                )
                cursor.execute(f"TRUNCATE stage_{name}")
        connection.commit()

    return write


def _updates(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in columns)


def load(job: Job) -> Taken:
    """Load every page; returns how many returns there were and how long it took."""
    write = into_postgres(job.store) if job.store.startswith("postgresql") else into_sqlite(job.store.removeprefix("sqlite:///"))
    gc.freeze()
    gc.disable()
    seen: set[str] = set()
    started, cpu = time.perf_counter(), time.process_time()
    for page in pages(job):
        seen.update(record.id for record in page)
        write(rows_of(page))
    return Taken(len(seen), time.perf_counter() - started, time.process_time() - cpu)


if __name__ == "__main__":
    tell(load(read_job(sys.argv[1])))
