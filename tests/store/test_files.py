"""The store's files are their owner's alone, however they came to be."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from backhaul.errors import ConfigError, StoreError
from backhaul.store import engine
from backhaul.store.engine import Store
from backhaul.store.inbox import Inbox

BESIDE = ("", "-wal", "-shm", "-inbox", "-inbox-wal", "-inbox-shm")


@pytest.fixture(autouse=True)
def _careless_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def _fill(url: str) -> Store:
    store = Store(url).ready()
    inbox = Inbox.beside(store)
    assert inbox is not None
    inbox.move(None)  # type: ignore[arg-type]  # nothing waits, so nothing is copied: it only makes the file
    return store


def test_every_file_of_a_store_is_made_for_its_owner_only(tmp_path: Path) -> None:
    store = _fill(f"sqlite:///{tmp_path}/store.db")
    made = {file.name.removeprefix("store.db"): _mode(file) for file in tmp_path.iterdir()}
    store.close()
    assert {"", "-inbox"} <= set(made) <= set(BESIDE)
    assert set(made.values()) == {0o600}


def test_files_that_others_may_read_are_closed_to_them(tmp_path: Path) -> None:
    _fill(f"sqlite:///{tmp_path}/store.db").close()
    for suffix in BESIDE:
        file = tmp_path / f"store.db{suffix}"
        file.touch()
        file.chmod(0o664)
    Store(f"sqlite:///{tmp_path}/store.db").close()
    assert {_mode(tmp_path / f"store.db{suffix}") for suffix in BESIDE} == {0o600}


def test_through_a_dangling_link_the_store_is_made_for_its_owner_only_too(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere" / "store.db")
    store = _fill(f"sqlite:///{tmp_path}/link.db")
    made = [file for file in (*tmp_path.iterdir(), *(tmp_path / "elsewhere").iterdir()) if file.is_file() and not file.is_symlink()]
    modes = {file.name: _mode(file) for file in made}
    store.close()
    assert "store.db" in modes and set(modes.values()) == {0o600}


def test_a_link_to_a_store_that_others_may_read_closes_the_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch(0o644)
    (tmp_path / "link.db").symlink_to("store.db")
    Store(f"sqlite:///{tmp_path}/link.db").close()
    assert _mode(tmp_path / "store.db") == 0o600


def test_a_link_that_somebody_laid_beside_the_store_leads_to_no_change_elsewhere(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch(0o644)
    (tmp_path / "store.db-wal").symlink_to(other)
    with pytest.raises(StoreError, match=r"store\.db-wal is no file of its own"):
        Store(f"sqlite:///{tmp_path}/store.db")
    assert _mode(other) == 0o644


def test_a_store_that_cannot_be_closed_to_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store.db").touch(0o644)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")  # as for a file of another user

    monkeypatch.setattr(engine.os, "chmod", refuse)
    with pytest.raises(StoreError, match="chmod 600"):
        Store(f"sqlite:///{tmp_path}/store.db")


@pytest.mark.parametrize("url", ["sqlite:///file:{}/s.db?uri=true", "sqlite:///file:{}/s.db", "sqlite:///file:{}/s.db?uri=true&mode=rwc"])
def test_a_file_url_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:///FILE"):
        Store(url.format(tmp_path))
    assert list(tmp_path.iterdir()) == []
