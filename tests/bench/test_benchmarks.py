"""The benchmarks measure what they say: every contestant loads all that is served, and says so."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import show
from benchmarks.growth import LONG_AGO
from benchmarks.job import Job, Taken, heard, read_job, write_job
from benchmarks.pages import serving
from benchmarks.surroundings import ask

RETURNS = 900  # more than a page of 750, spread over all states


def stored(folder: Path, what: str, table: str) -> tuple[int, ...]:
    """Counts of the store in a folder."""
    return tuple(sqlite3.connect(folder / "store.db").execute(f"SELECT {what} FROM {table}").fetchone())


def test_the_floor_loads_every_return_and_line_that_is_served(tmp_path: Path) -> None:
    with serving(RETURNS) as pages:
        taken = ask(sys.executable, "benchmarks.floor", pages.job(f"sqlite:///{tmp_path / 'store.db'}", str(tmp_path)))
    assert taken.returns == RETURNS and taken.seconds > 0
    assert stored(tmp_path, "count(*)", "returns") == (RETURNS,)
    lines, owners = stored(tmp_path, "count(*), count(DISTINCT return_id)", "return_lines")
    assert lines > owners == RETURNS


def test_backhaul_stores_and_decides_all_that_is_served_and_an_idle_sync_after_it_finds_nothing(tmp_path: Path) -> None:
    with serving(RETURNS, LONG_AGO) as pages:
        job = pages.job(f"sqlite:///{tmp_path / 'store.db'}", str(tmp_path))
        taken = ask(sys.executable, "benchmarks.contestant_backhaul", job)
        assert taken.returns == RETURNS and taken.more["peak_mib"] > 0
        assert stored(tmp_path, "count(*)", "returns") == stored(tmp_path, "count(*)", "decisions") == (RETURNS,)
        assert ask(sys.executable, "benchmarks.contestant_noop", job).seconds > 0  # it fails when a sync finds something


def test_a_job_survives_its_file_and_a_contestant_that_says_nothing_is_an_error(tmp_path: Path) -> None:
    job = Job("http://127.0.0.1:1/list", "key", "2026-01-01 00:00:00", "2026-01-02 00:00:00", "sqlite:///x.db", env={"A": "b"})
    assert read_job(str(write_job(job, tmp_path / "job.json"))) == job
    assert heard('noise\nTAKEN {"returns": 3, "seconds": 1.5, "cpu_s": 1.0, "more": {}}\n') == Taken(3, 1.5, 1.0)
    with pytest.raises(ValueError, match="said nothing"):
        heard("noise\n")


def test_a_number_that_was_not_measured_is_shown_empty(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"commit": "abc", "quick": True, "failed": {"growth": "it broke"}}
    show({"backfill": {"returns_per_s": 4321}, "postgresql": {}, "noop_growth": None, "environment": environment})
    told = capsys.readouterr()
    assert "4321" in told.out and "None" not in told.out
    assert "it broke" in told.err
