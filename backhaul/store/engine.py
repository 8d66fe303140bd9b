"""The store itself: an engine for SQLite (WAL, owner-only file) or PostgreSQL, its migrations and its transactions."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from backhaul.errors import ConfigError, StoreError
from backhaul.points import reach

_MIGRATIONS = Path(__file__).parent / "migrations"
BESIDE = ("-wal", "-shm", "-journal", "-inbox", "-inbox-wal", "-inbox-shm", "-inbox-journal")  # SQLite's own files, and our inbox's
_LONGEST_LOOK = 20
_RESTED = 5.0  # seconds, after which a connection may have been cut off
_BUSY_MS = 30_000  # a writer waits this long for another before it gives up


DATABASE_ERRORS = (StoreError, sa.exc.SQLAlchemyError)  # whatever a database can answer with


class Store:
    """One store. `read` and `write` give a connection in a transaction; `write` holds SQLite's only write lock from its start.

    One that is opened `for_reading` cannot write, makes no file, and gives up a question that takes longer than `_LONGEST_LOOK` seconds.
    """

    def __init__(self, url: str, *, for_reading: bool = False, connections: int = 5) -> None:
        try:
            self.engine = _reading_engine(url) if for_reading else _engine(url, connections)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError):
            raise ConfigError("store.url is not a usable URL; use sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME") from None
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # Each statement of a read sees what is committed by then, within a transaction or not; without one, two round trips are saved.
        self._reading = self.engine if self.is_sqlite or for_reading else self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for reading."""
        with _named_errors(), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection in a transaction, for an answer that is read piece by piece."""
        with _named_errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write_once(self) -> Iterator[sa.Connection]:
        """A connection for one statement on PostgreSQL, which by itself is a transaction."""
        with _named_errors(), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self, lock: str | None = None) -> Iterator[sa.Connection]:
        """A transaction that commits at the end, or leaves nothing. `lock` serialises writers of one name (a merchant) on PostgreSQL."""
        with _named_errors(), self.engine.connect() as connection:
            connection = connection.execution_options(is_writer=True)
            with connection.begin():
                if lock is not None:
                    wait_for_lock(connection, lock)
                yield connection
                reach("store.committing")
            reach("store.committed")

    def upgrade(self) -> str:
        """Bring the schema and the views to the newest version; returns its id."""
        self._refuse_newer(self.revisions()[0])
        with _named_errors():
            _upgrade(self.engine)
        return _revisions()[-1]

    def ready(self) -> Store:
        """Check that the schema is current; an empty store is made. Raises StoreError for an older or a newer one, with the way out."""
        current, head = self.revisions()
        self._refuse_newer(current)
        if current is None:
            self.upgrade()
        elif current != head:
            raise StoreError(f"the store is at schema {current}, this program needs {head}; run 'backhaul db upgrade'")
        return self

    def revisions(self) -> tuple[str | None, str]:
        """The schema that the store is at (None: an empty store), and the one that this program needs."""
        with _named_errors(), self.engine.connect() as connection:
            is_there = sa.inspect(connection).has_table("alembic_version")
            current = connection.scalar(sa.text("SELECT version_num FROM alembic_version")) if is_there else None
        return current, _revisions()[-1]

    @staticmethod
    def _refuse_newer(revision: str | None) -> None:
        if revision is not None and not is_known(revision):
            raise StoreError(
                f"the store is at schema {revision}, which a newer Backhaul made; run that one, or put back a backup of before the update "
                "with 'backhaul db restore FILE'"
            )

    def prove_writable(self) -> None:
        """Make a write that touches no row. Raises StoreError when it is refused."""
        try:
            with self.write() as connection:
                connection.execute(sa.text("UPDATE watermarks SET source = source WHERE 1 = 0"))
        except sa.exc.DBAPIError as error:  # PostgreSQL's refusals are not all of the kind that `_named_errors` names
            raise StoreError(f"the store cannot be written: {str(error.orig).splitlines()[0][:200]}") from None

    def wait_for_no_lock(self) -> None:
        """On SQLite, have a transaction of this store fail at once where another holds the lock."""
        sa.event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=0"))
        self.engine.dispose()  # connections made before know nothing of it

    def count_for_planner(self) -> None:
        """On SQLite, have its planner know how many rows there are, by samples; PostgreSQL sees to that by itself."""
        if self.is_sqlite:
            with self.write() as connection:
                connection.exec_driver_sql("PRAGMA analysis_limit=1000")
                connection.exec_driver_sql("ANALYZE")

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def is_known(revision: str) -> bool:
    """Whether a schema is one that this program has made, or can carry over; if not, a newer one made it."""
    return revision in _revisions()


@cache
def _revisions() -> list[str]:
    """The schemas there have been, oldest first: a migration's file begins with its number."""
    return sorted(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def wait_for_lock(connection: sa.Connection, name: str) -> None:
    """Be the only writer of a name (a merchant) until the transaction ends. On SQLite, where there is one writer, that is so already."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def file_of(url: str) -> Path | None:
    """The file of a SQLite store; None for any other, and for what is no URL."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        return None
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
    return Path(str(parsed.database)) if is_file else None


def _engine(url: str, connections: int) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = sa.create_engine(parsed.set(drivername="postgresql+psycopg"), hide_parameters=True, pool_size=connections)
        sa.event.listen(engine, "checkin", _note_use)
        sa.event.listen(engine, "checkout", _prove_alive)
        return engine
    if parsed.get_backend_name() != "sqlite":
        raise sa.exc.ArgumentError("unknown database")
    if parsed.database and parsed.database != ":memory:":
        _make_private(parsed.database)
    pool = {"pool_size": connections} if parsed.database not in (None, "", ":memory:") else {}  # one in memory has a single connection
    engine = sa.create_engine(parsed, connect_args={"timeout": _BUSY_MS / 1000}, hide_parameters=True, **pool)
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _note_use(_: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _prove_alive(connection: Any, record: Any, _: Any) -> None:
    """Ask a connection that has rested whether it is still one. SQLAlchemy's own ping asks each time: a fourth of a sync's round trips."""
    if time.monotonic() - record.info.get("used_at", time.monotonic()) < _RESTED:
        return
    import psycopg  # which is loaded by now

    try:
        connection.autocommit = True
        connection.execute("SELECT 1")
        connection.autocommit = False
    except psycopg.Error:
        raise sa.exc.DisconnectionError from None  # the pool makes a new one


def _reading_engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        options = f"-c default_transaction_read_only=on -c statement_timeout={_LONGEST_LOOK * 1000}"
        arguments = {"options": options, "connect_timeout": 5}
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True, hide_parameters=True, connect_args=arguments
        )
    if parsed.get_backend_name() != "sqlite":
        raise sa.exc.ArgumentError("unknown database")
    place = quote(os.path.realpath(parsed.database or ""))
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(f"file:{place}?mode=ro", uri=True, check_same_thread=False, timeout=5),
        poolclass=sa.QueuePool,
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _set_up_reading)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_reading(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=1")
    connection.execute("PRAGMA cache_size=-8192")  # of each connection that a page may need; the machine's own cache has the rest


def _make_private(name: str) -> None:
    """Create the file for its owner only, before SQLite would create it for all; close to others what is there already.

    One that is there is never opened here: closing it would drop the locks that this process's other connections hold on it (POSIX),
    and the next process to leave would take the write-ahead log away from under them.
    """
    if name.startswith("file:"):  # its name would be SQLite's to find out, and its mode SQLite's to choose
        raise ConfigError("store.url: a file: URL is not taken; write sqlite:///FILE")
    file = Path(os.path.realpath(name))  # where SQLite puts it, also through a link that leads nowhere yet
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        for path in {f"{start}{suffix}" for start in (file, name) for suffix in BESIDE} | {str(file)}:
            _close_to_others(Path(path))
    except OSError as error:
        raise StoreError(f"the store's file cannot be written: {error.strerror}; check store.url and the folder's owner") from None


def _close_to_others(file: Path) -> None:
    with suppress(FileNotFoundError):  # also when another process takes its write-ahead log away at this moment
        mode = file.lstat().st_mode
        if not stat.S_ISREG(mode):  # a link here would lead a change of mode to a file that is not ours
            raise StoreError(f"{file.name} is no file of its own; remove it, or point store.url elsewhere")
        if stat.S_IMODE(mode) & 0o077:
            try:
                os.chmod(file, stat.S_IMODE(mode) & 0o700)
            except PermissionError:
                raise StoreError(
                    f"{file.name} can be read by others, and belongs to another user; let its owner run chmod 600 on it"
                ) from None


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # what was committed survives a power cut: money moves on it
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.execute("PRAGMA cache_size=-65536")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    is_writer = connection.get_execution_options().get("is_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command  # a tenth of a second, which a command that only reads need not pay
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["engine"] = engine
    command.upgrade(config, "head")


@contextmanager
def _named_errors() -> Iterator[None]:
    """Turn a database that is away, locked or full into a StoreError that says so, without the statement or its values."""
    try:
        yield
    except sa.exc.OperationalError as error:
        cause = error.orig
        words = str(cause).split("\n")[0][:200]
        raise StoreError(
            f"the store cannot be used: {words}; nothing of this step was saved, run it again when the store is back"
        ) from cause
