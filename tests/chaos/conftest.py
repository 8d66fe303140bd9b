"""Fixtures: the ground, on either database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.chaos.ground import Ground, ground_on
from tests.stores import sqlite_store


@pytest.fixture(scope="module")
def ground(module_store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A ground that the trials of a module share, each with a merchant of its own."""
    with ground_on(module_store_url, tmp_path_factory.mktemp("ground")) as ground:
        yield ground


@pytest.fixture(scope="module")
def sqlite_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A ground on SQLite, for what no database makes a difference to."""
    folder = tmp_path_factory.mktemp("sqlite-ground")
    with ground_on(sqlite_store(folder / "store.db"), folder) as ground:
        yield ground


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures: what was tried, and how many tests of it failed."""
    tried: Counter[str] = Counter()
    reports = [report for state in ("passed", "failed") for report in terminalreporter.getreports(state)]
    for report in reports:
        tried.update({name: value for name, value in report.user_properties if name in ("operations", "moments", "kills", "histories")})
    if tried["operations"] or tried["kills"] or tried["histories"]:
        failed = sum(report.failed and "tests/chaos" in report.nodeid for report in reports)
        figures = (
            f"{tried['operations']} operations failed, {tried['kills']} processes killed (which left {tried['moments']} different moments "
        )
        figures += f"behind), {tried['histories']} histories told"
        terminalreporter.write_line(f"chaos: {figures}; {failed} tests found fault")
