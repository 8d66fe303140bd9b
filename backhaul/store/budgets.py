"""The vendors' call budgets, one for all workers: a row a key, locked for the moment that a call is written down.

A strict sliding window. Calls are counted by the second, and a second counts until it is wholly over a minute old. On PostgreSQL the row
is in the store, and the clock the database's own. SQLite's one writer would make every call wait for a load, so there the rows have a
small file of their own beside the store, shared by all processes on this machine. Measured cost: one short transaction a call.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from backhaul.errors import StoreError
from backhaul.store.engine import Store
from backhaul.store.prepared import Parameter, prepared
from backhaul.store.tables import call_budgets

_WINDOW = 60.0
_LONGEST_PAUSE = 120.0  # no vendor's wish is honoured for longer, so a pause that ends later was written before the clock was set back
_BUSY_SECONDS = 10.0
_Made = dict[str, int]  # calls by second since 1970


# `_one_more` in one statement, for a call that is free: a transaction of four round trips costs more than many a call's own work.
_SPEND = sa.text("""
    UPDATE backhaul_live.call_budgets AS key
    SET made = (
        SELECT jsonb_build_object(clock.second, coalesce((key.made ->> clock.second)::int, 0) + 1)
            || coalesce(jsonb_object_agg(recent.second, recent.calls) FILTER (WHERE recent.second <> clock.second), '{}')
        FROM (SELECT floor(extract(epoch FROM clock_timestamp()))::bigint::text AS second) AS clock
        LEFT JOIN LATERAL jsonb_each(key.made) AS recent(second, calls)
            ON recent.second::bigint BETWEEN clock.second::bigint - 60 AND clock.second::bigint + 1
        GROUP BY clock.second
    )
    WHERE key.vendor = :vendor AND key.merchant = :merchant AND key.paused_until <= extract(epoch FROM clock_timestamp())
    AND (
        SELECT coalesce(sum(calls::int), 0) FROM jsonb_each_text(key.made) AS recent(second, calls)
        WHERE second::bigint BETWEEN floor(extract(epoch FROM clock_timestamp())) - 60 AND floor(extract(epoch FROM clock_timestamp())) + 1
    ) < :calls
""")


class StoreLedger:
    """A `Ledger` (connectors/budget.py) in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def spend(self, vendor: str, merchant: str, calls: int) -> float:
        """Write one call down and return 0, or write nothing and return the seconds until one is free. Raises StoreError."""
        with self._store.write_once() as connection:
            if connection.execute(_SPEND, {"vendor": vendor, "merchant": merchant, "calls": calls}).rowcount:
                return 0.0
        with self._store.write() as connection:
            row, now = self._locked(connection, vendor, merchant)
            wait, made = _one_more(_made(row.made), row.paused_until, now, calls)
            if made is not None:
                _count(connection, at=vendor, whose=merchant, calls=made)
            return wait

    def pause(self, vendor: str, merchant: str, seconds: float) -> None:
        """Let nobody on this key call for so many seconds. Raises StoreError."""
        with self._store.write() as connection:
            row, now = self._locked(connection, vendor, merchant)
            until = max(row.paused_until, now + seconds)
            connection.execute(sa.update(call_budgets).where(_key(vendor, merchant)).values(paused_until=until))

    def _locked(self, connection: sa.Connection, vendor: str, merchant: str) -> tuple[Any, float]:
        """The key's row, ours until the transaction ends, and the database's time."""
        key = {"vendor": vendor, "merchant": merchant}
        row = _locked(connection, **key).one_or_none()
        if row is None:
            connection.execute(
                postgresql.insert(call_budgets).values(merchant=merchant, vendor=vendor, made={}, paused_until=0.0).on_conflict_do_nothing()
            )
            row = _locked(connection, **key).one()
        return row, float(row.now)


@prepared
def _locked(vendor: Parameter, merchant: Parameter) -> sa.Select[Any]:
    """The row with the database's time: of the moment at which the lock was had, or of one before it."""
    now: sa.Label[Any] = sa.literal_column("extract(epoch FROM clock_timestamp())").label("now")
    return sa.select(call_budgets, now).where(_key(vendor, merchant)).with_for_update()


@prepared
def _count(at: Parameter, whose: Parameter, calls: Parameter) -> sa.Update:
    return sa.update(call_budgets).where(_key(at, whose)).values(made=calls)


class FileLedger:
    """A `Ledger` (connectors/budget.py) in a file beside a SQLite store. Thread-safe. `clock` is in seconds since 1970.

    It holds nothing but counts of the last minute: a power cut may empty it, which is why nothing is synced to the disk.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self.file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    def spend(self, vendor: str, merchant: str, calls: int) -> float:
        """Write one call down and return 0, or write nothing and return the seconds until one is free. Raises StoreError."""
        with self._transaction() as connection:
            made, paused_until = self._row(connection, vendor, merchant)
            wait, made_now = _one_more(made, paused_until, self._clock(), calls)
            if made_now is not None:
                self._write(connection, vendor, merchant, made_now, paused_until)
            return wait

    def pause(self, vendor: str, merchant: str, seconds: float) -> None:
        """Let nobody on this key call for so many seconds. Raises StoreError."""
        with self._transaction() as connection:
            made, paused_until = self._row(connection, vendor, merchant)
            now = self._clock()
            still = paused_until if paused_until <= now + _LONGEST_PAUSE else now
            self._write(connection, vendor, merchant, made, max(still, now + min(seconds, _LONGEST_PAUSE)))

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def _row(self, connection: sqlite3.Connection, vendor: str, merchant: str) -> tuple[_Made, float]:
        query = "SELECT made, paused_until FROM call_budgets WHERE merchant = ? AND vendor = ?"
        row = connection.execute(query, (merchant, vendor)).fetchone()
        return (_made(row[0]), row[1]) if row else ({}, 0.0)

    def _write(self, connection: sqlite3.Connection, vendor: str, merchant: str, made: _Made, paused_until: float) -> None:
        statement = "INSERT OR REPLACE INTO call_budgets (merchant, vendor, made, paused_until) VALUES (?, ?, ?, ?)"
        connection.execute(statement, (merchant, vendor, json.dumps(made), paused_until))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._opened is None:
                    self._opened = self._open()
                self._opened.execute("BEGIN IMMEDIATE")  # whoever reads is the one who writes next
                with self._opened:
                    yield self._opened
            except (sqlite3.Error, OSError) as error:
                raise StoreError(
                    f"the calls beside the store cannot be counted: {error.__class__.__name__}; "
                    f"check the folder of store.url, or delete {self.file.name}, which holds nothing else"
                ) from None

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))  # for its owner only, before SQLite would make it for all
        connection = sqlite3.connect(self.file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=TRUNCATE")  # outlives a kill, and unlike WAL needs no turn of its own to be switched on
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS call_budgets (merchant TEXT, vendor TEXT, made TEXT NOT NULL, paused_until REAL NOT NULL, "
            "PRIMARY KEY (merchant, vendor))"
        )
        return connection


@contextmanager
def ledger_of(store: Store) -> Iterator[StoreLedger | FileLedger | None]:
    """The ledger that all processes on a store share; None for a SQLite store that is in no file."""
    if not store.is_sqlite:
        yield StoreLedger(store)
        return
    name = store.engine.url.database
    if not name or name == ":memory:":
        yield None
        return
    with closing(FileLedger(Path(f"{name}-calls"))) as ledger:
        yield ledger


def _one_more(made: _Made, paused_until: float, now: float, calls: int) -> tuple[float, _Made | None]:
    """The seconds until a call is free and None, or 0 and the calls with this one. What a clock that was set back left ahead is dropped."""
    if now < paused_until <= now + _LONGEST_PAUSE:
        return paused_until - now, None
    recent = {second: count for second, count in made.items() if now - _WINDOW < int(second) + 1 and int(second) <= now + 1}
    if sum(recent.values()) >= calls:
        return max(0.05, min(map(int, recent)) + 1 + _WINDOW - now), None
    this = str(math.floor(now))
    return 0.0, recent | {this: recent.get(this, 0) + 1}


def _key(vendor: str | Parameter, merchant: str | Parameter) -> sa.ColumnElement[bool]:
    return (call_budgets.c.vendor == vendor) & (call_budgets.c.merchant == merchant)


def _made(written: Any) -> _Made:
    return json.loads(written) if isinstance(written, str) else dict(written)
