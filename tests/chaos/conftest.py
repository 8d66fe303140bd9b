"""Fixtures: the ground, on either database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.chaos.ground import Ground, ground_on


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A ground that the trials of a module share, each with a merchant of its own."""
    folder = tmp_path_factory.mktemp("ground")
    if request.param == "sqlite":
        with ground_on(f"sqlite:///{folder / 'store.db'}", folder) as ground:
            yield ground
        return
    server = sa.make_url(request.getfixturevalue("postgres"))
    name = f"chaos_{request.module.__name__.rsplit('.', 1)[-1]}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        with ground_on(server.set(database=name).render_as_string(hide_password=False), folder) as ground:
            yield ground
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(scope="module")
def sqlite_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A ground on SQLite, for what no database makes a difference to."""
    folder = tmp_path_factory.mktemp("sqlite-ground")
    with ground_on(f"sqlite:///{folder / 'store.db'}", folder) as ground:
        yield ground


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures: what was tried, and how many tests of it failed."""
    tried: Counter[str] = Counter()
    reports = [report for state in ("passed", "failed") for report in terminalreporter.getreports(state)]
    for report in reports:
        tried.update({name: value for name, value in report.user_properties if name in ("operations", "kills", "histories")})
    if tried["operations"] or tried["kills"] or tried["histories"]:
        failed = sum(report.failed and "tests/chaos" in report.nodeid for report in reports)
        figures = f"{tried['operations']} operations failed, {tried['kills']} processes killed, {tried['histories']} histories told"
        terminalreporter.write_line(f"chaos: {figures}; {failed} tests found fault")
