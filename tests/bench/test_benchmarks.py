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


@pytest.mark.parametrize("contestant", ["backhaul", "floor"])
def test_a_contestant_loads_every_return_that_is_served(contestant: str, tmp_path: Path) -> None:
    module = "benchmarks.floor" if contestant == "floor" else "benchmarks.contestant_backhaul"
    with serving(RETURNS) as pages:
        taken = ask(sys.executable, module, pages.job(f"sqlite:///{tmp_path / 'store.db'}", str(tmp_path)))
    stored = sqlite3.connect(tmp_path / "store.db")
    counts = [
        stored.execute(f"SELECT count(*), count(DISTINCT return_id) FROM {table}").fetchone() for table in ("returns", "return_lines")
    ]
    assert taken.returns == RETURNS and taken.seconds > 0
    assert counts[0] == (RETURNS, RETURNS)
    assert counts[1][0] > RETURNS and counts[1][1] == RETURNS
    if contestant == "backhaul":
        decided = stored.execute("SELECT count(*) FROM decisions WHERE is_current").fetchone()[0]
        assert decided == RETURNS


def test_an_idle_sync_is_measured_on_returns_older_than_it_looks_back(tmp_path: Path) -> None:
    with serving(200, LONG_AGO) as pages:
        job = pages.job(f"sqlite:///{tmp_path / 'store.db'}", str(tmp_path))
        assert ask(sys.executable, "benchmarks.contestant_backhaul", job).returns == 200
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
