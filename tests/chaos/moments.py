"""A moment of a trial: all that can make a difference to what follows. It can be gone back to, and told to be the same as another."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from collections import Counter
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backhaul.sandbox.loop.time_index import TimeIndex
from backhaul.store.engine import Store
from backhaul.store.inbox import Inbox
from backhaul.store.tables import live, metadata

if TYPE_CHECKING:
    from tests.chaos.ground import Account

TABLES = [table.name for table in metadata.sorted_tables]
LIVE = [str(table) for table in live.sorted_tables]  # PostgreSQL's, by real time: part of a moment, and nothing that tells it from another
Rows = dict[str, list[Any]]  # by table, as the driver gives and takes them; the events beside a SQLite file as "inbox"
# Made up anew each time, and the same in meaning: ids of runs, and of the processes and leases that hold something.
_MADE_UP = re.compile(rf"[0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}|{re.escape(socket.gethostname())}:\d+(?::[0-9a-f]{{8}})?")


@dataclass(frozen=True)
class Moment:
    """Where the clock, one merchant's vendors and the whole store stand."""

    advanced: timedelta
    vendors: dict[str, dict[str, Any]]
    journal: dict[str, Any]
    postings: list[Any]
    undelivered: list[Any]
    taken: int
    retried: Counter[str]
    rows: Rows
    sequences: dict[str, int | None]

    @classmethod
    def of(cls, account: Account) -> Moment:
        """The moment that an account is at. Nothing may be scheduled at its vendors."""
        world = account.world
        assert not world.clock._jobs, "what is scheduled cannot be gone back to"
        return cls(
            world.clock._advanced,
            _vendors(account),
            deepcopy(vars(world.journal)),
            list(world.courier.postings),
            list(account.undelivered),
            account._taken,
            Counter(account.retried),
            read_rows(account.store),
            _sequences(account.store),
        )

    def go_back(self, account: Account) -> None:
        """Let an account be at this moment again."""
        world = account.world
        world.faults.clear()
        world.clock.clear()
        world.clock._advanced = self.advanced
        for name, vendor in world.merchants[account.merchant].accounts.items():
            for key, value in deepcopy(self.vendors[name]).items():
                setattr(vendor, key, value)
        vars(world.journal).update(deepcopy(self.journal))
        world.courier.postings.clear()
        world.courier.postings.extend(self.postings)
        account.undelivered, account._taken, account.retried = list(self.undelivered), self.taken, Counter(self.retried)
        _write_rows(account.store, self.rows, self.sequences)

    def key(self) -> str:
        """Equal for moments from which the same follows: runs that failed are read by people alone."""
        told = [
            *(
                repr(part)
                for part in (self.advanced, _without_indexes(self.vendors), self.journal["_effects"], self.journal["_writes"], self.retried)
            ),
            *(repr([(one.event, one.key, one.body) for one in part]) for part in (self.postings[self.taken :], self.undelivered)),
        ]
        assert " object at 0x" not in "".join(told), "a record that does not say what it is"
        rows = [repr((name, row)) for name, found in self.rows.items() if name not in LIVE for row in found]
        rows = [row for row in rows if not (row.startswith("('runs'") and "failed" in row)]
        rows.sort(key=lambda text: _MADE_UP.sub("", text))
        names = {f"{socket.gethostname()}:{os.getpid()}": "<ours>"}  # what holds something and is alive; a victim is gone
        return _MADE_UP.sub(lambda found: names.setdefault(found[0], f"<{len(names)}>"), "\n".join([*told, *rows]))


def _vendors(account: Account) -> dict[str, dict[str, Any]]:
    """The state of a merchant's accounts, but for the clock and for whom they tell: those are the same at every moment."""
    clock, found = account.world.clock, {}
    for name, vendor in account.world.merchants[account.merchant].accounts.items():
        state = {key: getattr(vendor, key) for key in (*vars(vendor), *getattr(vendor, "__slots__", ()))}
        found[name] = deepcopy({key: value for key, value in state.items() if not callable(value) and value is not clock})
    return found


def _without_indexes(vendors: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: value for key, value in state.items() if not isinstance(value, TimeIndex)} for name, state in vendors.items()}


def read_rows(store: Store) -> Rows:
    """Every row of every table."""
    with _cursor(store) as cursor:
        if store.is_sqlite:
            rows = {name: cursor.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}
            return rows | {"inbox": _inbox(store)}
        return {name: _copied(cursor, name) for name in (*TABLES, *LIVE)}


def empty(store: Store) -> None:
    """No row in any table."""
    _write_rows(store, {name: [] for name in (*TABLES, *LIVE, "inbox")}, dict.fromkeys(_sequences(store)))


def _write_rows(store: Store, rows: Rows, sequences: dict[str, int | None]) -> None:
    with _cursor(store) as cursor:
        names = TABLES if store.is_sqlite else [*TABLES, *LIVE]
        for name in reversed(names):
            cursor.execute(f"DELETE FROM {name}")
        for name in names:
            if not rows[name]:
                continue
            if store.is_sqlite:
                places = ", ".join("?" * len(rows[name][0]))
                cursor.executemany(f"INSERT INTO {name} VALUES ({places})", rows[name])
            else:
                with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                    copy.write(b"".join(rows[name]))
        for name, last in sequences.items():
            cursor.execute("SELECT setval(%s, %s, %s)", (name, last or 1, last is not None))
    if store.is_sqlite and _inbox(store):
        assert not rows["inbox"], "events that wait in the inbox cannot be gone back to"
        with closing(sqlite3.connect(f"{store.engine.url.database}-inbox")) as connection, connection:
            connection.execute("DELETE FROM inbox")


def _inbox(store: Store) -> list[Any]:
    inbox = Inbox.beside(store)
    if inbox is None or not inbox.exists:
        return []
    with closing(sqlite3.connect(inbox.file)) as connection:
        return connection.execute("SELECT event FROM inbox ORDER BY inbox_id").fetchall()


def _copied(cursor: Any, name: str) -> list[bytes]:
    with cursor.copy(f"COPY {name} TO STDOUT") as copy:
        return [bytes(row) for row in copy]


def _sequences(store: Store) -> dict[str, int | None]:
    if store.is_sqlite:
        return {}  # it counts on from the highest number that is there
    with _cursor(store) as cursor:
        return dict(cursor.execute("SELECT sequencename, last_value FROM pg_sequences").fetchall())


class _cursor:  # noqa: N801 - used as a function is
    """The driver's own cursor, its transaction committed at the end: no statement of a test is an operation of the product."""

    def __init__(self, store: Store) -> None:
        self._connection = store.engine.raw_connection()

    def __enter__(self) -> Any:
        cursor = self._connection.cursor()
        if isinstance(cursor, sqlite3.Cursor):
            cursor.execute("BEGIN IMMEDIATE")
        return cursor

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._connection.commit()
        else:
            self._connection.rollback()
        self._connection.close()
