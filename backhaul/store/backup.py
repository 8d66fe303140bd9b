"""Copies of a store: a consistent one while it is in use, and one put back in its place.

SQLite is copied by its own backup, PostgreSQL by its own tools.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from backhaul.errors import StoreError
from backhaul.store.engine import BESIDE, Store, file_of, is_known
from backhaul.store.inbox import move_in
from backhaul.store.indexed import IS_UNSENT
from backhaul.store.tables import deliveries, metadata
from backhaul.store.types import Time
from backhaul.store.views import drop_views

_COUNTED = ("returns", "decisions", "deliveries", "events")
# No owner and no grants: the roles of another server may have other names. What an unlogged table holds is worth nothing tomorrow.
_DUMP = ("pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--no-unlogged-table-data")
_RESTORE = ("pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")


def back_up(store: Store, file: Path) -> dict[str, int]:
    """Copy the whole store to a new file, readable by its owner only, while others go on; returns how many rows of each main table it has.

    It holds everything that was committed, or answered to a vendor, before the copy began. Raises StoreError, and leaves no file behind.
    """
    if os.path.lexists(file):
        raise StoreError(f"{file} is there already; name a new file, a backup never overwrites one")
    revision, head = store.revisions()
    if revision is None:
        raise StoreError("the store is empty; there is nothing to copy")
    part = file.with_name(f"{file.name}.part")
    try:
        with suppress(FileNotFoundError):
            part.unlink()  # of a backup that was cut off
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if store.is_sqlite:
            if revision == head:
                move_in(store)
            _copy_sqlite(store, part)
        else:
            _run(
                [*_DUMP, f"--file={part}", f"--dbname={_address(store)}"],
                _password(store),
                f"--file={file}",
                f"--dbname={_address(store, is_shown=True)}",
            )
        os.rename(part, file)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}; name a file in a folder of yours") from None
    finally:
        with suppress(OSError):
            part.unlink()
    return rows_of(store)


def restore(store: Store, file: Path, now: datetime) -> str | None:
    """Put a backup in the place of the store; returns the file in which what was there is kept, None where nothing was.

    What was not sent when the backup was made may have been since: it is looked up at the vendors before anything is sent again.
    Raises StoreError when the file is no backup of ours, or of a newer version, or when another process has the store open.
    """
    kept = _restore_sqlite(store, file, now) if store.is_sqlite else _restore_postgres(store, file, now)
    with store.write() as connection:
        doubtful = {"is_uncertain": True, "last_attempt_at": sa.literal(now, Time())}
        connection.execute(sa.update(deliveries).where(IS_UNSENT.of(deliveries)).values(doubtful))
    return kept


def rows_of(store: Store) -> dict[str, int]:
    """How many rows each main table has; empty for a store that is empty, or damaged beyond reading."""
    try:
        with store.read() as connection:
            there = set(sa.inspect(connection).get_table_names())
            count = sa.select(sa.func.count())
            return {name: connection.execute(count.select_from(metadata.tables[name])).scalar_one() for name in _COUNTED if name in there}
    except (StoreError, sa.exc.DatabaseError):
        return {}


# SQLite


def _copy_sqlite(store: Store, file: Path) -> None:
    raw = store.engine.raw_connection()
    try:
        with closing(sqlite3.connect(file)) as copy:
            raw.driver_connection.backup(copy)  # type: ignore[union-attr]  # in one step: its read transaction holds up no writer
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
            _check(copy)
    except sqlite3.Error as error:
        raise StoreError(f"the store cannot be copied: {error}; nothing was kept, try again") from None
    finally:
        raw.close()


def _check(connection: sqlite3.Connection) -> str:
    """The schema of a copy that is sound. Raises sqlite3.Error when it is damaged."""
    [answer] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise sqlite3.DatabaseError(f"it is damaged: {answer}")
    return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def _restore_sqlite(store: Store, file: Path, now: datetime) -> str | None:
    place = file_of(str(store.engine.url))
    if place is None:
        raise StoreError("store.url names no file to restore to")
    if not file.is_file():
        raise StoreError(f"{file} is no file; name one that 'backhaul db backup' wrote")
    fresh = place.with_name(f"{place.name}.restoring")
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as source:
            _refuse_newer(file, _check(source))
            os.close(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(fresh)) as copy:
                source.backup(copy)
    except (sqlite3.Error, TypeError) as error:  # the latter: a database without a version in it
        raise StoreError(f"{file} is no backup of a store: {error}; nothing was changed") from None
    except OSError as error:
        raise StoreError(f"the store's folder cannot be written: {error.strerror}; nothing was changed") from None
    store.close()
    _prove_unused(place)
    kept = _set_aside(place, now)
    os.rename(fresh, place)
    return kept


def _prove_unused(place: Path) -> None:
    """Raises StoreError when another process has the store open: only the last connection can leave the write-ahead log."""
    try:
        with closing(sqlite3.connect(place, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError:
        raise StoreError("another process has the store open; stop serve, workers and consoles, then restore") from None
    except sqlite3.DatabaseError:
        return  # no database any more, which may well be why it is restored


def _set_aside(place: Path, now: datetime) -> str | None:
    """Rename the store and what lies beside it. None, and nothing kept, where it holds nothing."""
    is_empty = not place.exists() or place.stat().st_size == 0
    kept = place.with_name(f"{place.name}.before-{now:%Y%m%d-%H%M%S}")
    for suffix in ("", *BESIDE):
        with suppress(FileNotFoundError):
            os.rename(f"{place}{suffix}", f"{kept}{suffix}")
    if is_empty:
        with suppress(FileNotFoundError):
            kept.unlink()
    return None if is_empty else str(kept)


def _refuse_newer(file: Path, revision: str) -> None:
    if not is_known(revision):
        raise StoreError(f"{file} is at schema {revision}, which a newer Backhaul made; restore it with that one. Nothing was changed")


# PostgreSQL


def _restore_postgres(store: Store, file: Path, now: datetime) -> str | None:
    if not file.is_file():
        raise StoreError(f"{file} is no file; name one that 'backhaul db backup' wrote")
    told = _run(["pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(file)], {})
    found = re.search(r"^COPY [^\n]{0,200}alembic_version[^\n]{0,200}\n([^\n]{1,200})$", told, re.M)
    if found is None:
        raise StoreError(f"{file} is no backup of a store; nothing was changed")
    _refuse_newer(file, found.group(1))
    kept = None
    if rows_of(store):
        kept = str(file.with_name(f"{file.name}.before-{now:%Y%m%d-%H%M%S}"))
        back_up(store, Path(kept))
        _empty(store)
    store.close()
    try:
        _run([*_RESTORE, f"--dbname={_address(store)}", str(file)], _password(store), f"--dbname={_address(store, is_shown=True)}")
    except StoreError as error:
        back = f"; what was there is in {kept}: backhaul db restore {kept}" if kept else ""
        raise StoreError(f"{error}{back}") from None
    return kept


def _empty(store: Store) -> None:
    """Drop all that is ours, so that nothing of a newer version stays beside an older one."""
    with store.write() as connection:
        drop_views(connection)
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
        connection.exec_driver_sql("DROP SCHEMA IF EXISTS backhaul_live CASCADE")


def _address(store: Store, *, is_shown: bool = False) -> str:
    """The store's address as PostgreSQL's own tools take it, without its password; without its query where it is only shown."""
    url = store.engine.url
    query = {} if is_shown else url.query
    return sa.URL.create("postgresql", url.username, None, url.host, url.port, url.database, query).render_as_string()


def _password(store: Store) -> Mapping[str, str]:
    password = store.engine.url.password
    return {"PGPASSWORD": str(password)} if password else {}


def _run(command: Sequence[str], more: Mapping[str, str], *shown: str) -> str:
    """Run one of PostgreSQL's tools; returns what it says. Raises StoreError with its first line, or with the command to run elsewhere.

    `shown` stands for options whose values are not to be told.
    """
    if shutil.which(command[0]) is None:
        told = {option.partition("=")[0]: option for option in shown}
        words = [told.get(word.partition("=")[0], word) for word in command]
        raise StoreError(f"{command[0]} is not installed here; run this where it is: {shlex.join(words)}")
    done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=False)  # noqa: S603 - a list, no shell
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["without a word"])[0][:300]
        raise StoreError(f"{command[0]} failed: {why}")
    return done.stdout
