"""A second door to `events` on SQLite, whose file has one writer at a time: what cannot wait for the turn is kept in a file beside it.

An event is on disk in one of the two before its sender is answered. Whoever has the turn next, a service or a run, moves what is here;
moving twice does no harm, because an event is kept once by the hash of its bytes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import sqlalchemy as sa

from backhaul.errors import StoreError
from backhaul.store import events
from backhaul.store.engine import Store
from backhaul.store.events import NewEvent

_DECODER = msgspec.json.Decoder(NewEvent)
AT_ONCE = 500  # events moved in one transaction


class Inbox:
    """The file beside one SQLite store. It is made when it is first needed. For one thread: its connection stays open until `close`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._opened: sqlite3.Connection | None = None

    @classmethod
    def beside(cls, store: Store) -> Inbox | None:
        """The inbox of a store; None for PostgreSQL, which has no need of one."""
        name = store.engine.url.database
        return cls(Path(f"{name}-inbox")) if store.is_sqlite and name and name != ":memory:" else None

    @property
    def exists(self) -> bool:
        """Whether there is a file; it may be empty."""
        return self.file.exists()

    def keep(self, arrived: Sequence[NewEvent]) -> None:
        """Keep events on disk. Raises StoreError when that cannot be done."""
        with self._transaction() as connection:
            connection.executemany("INSERT INTO inbox (event) VALUES (?)", [(msgspec.json.encode(event),) for event in arrived])

    def move(self, connection: sa.Connection) -> list[int]:
        """Copy what is here to `events`, in the caller's transaction; returns what to `forget` once that is committed."""
        with self._transaction() as mine:
            rows = mine.execute("SELECT inbox_id, event FROM inbox ORDER BY inbox_id LIMIT ?", (AT_ONCE,)).fetchall()
        events.keep(connection, [_DECODER.decode(event) for _, event in rows])
        return [inbox_id for inbox_id, _ in rows]

    def forget(self, inbox_ids: Sequence[int]) -> None:
        """Delete what has been moved."""
        if inbox_ids:
            with self._transaction() as mine:
                mine.executemany("DELETE FROM inbox WHERE inbox_id = ?", [(inbox_id,) for inbox_id in inbox_ids])

    def close(self) -> None:
        """Give the file back."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._opened is None:
                self._opened = self._open()
            with self._opened:
                yield self._opened
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the store's inbox cannot be used: {error.__class__.__name__}; check the folder of store.url") from None

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))  # for its owner only, before SQLite would make it for all
        connection = sqlite3.connect(self.file, timeout=10)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS inbox (inbox_id INTEGER PRIMARY KEY AUTOINCREMENT, event BLOB NOT NULL)")
        return connection


def move_in(store: Store) -> None:
    """Move everything from a store's inbox to its events. Does nothing where there is none."""
    inbox = Inbox.beside(store)
    if inbox is None or not inbox.exists:
        return
    try:
        while True:
            with store.write() as connection:
                moved = inbox.move(connection)
            inbox.forget(moved)
            if len(moved) < AT_ONCE:
                return
    finally:
        inbox.close()
