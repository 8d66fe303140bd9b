"""What vendors wrote is shown, and moves nobody's terminal."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from backhaul import printable
from backhaul.store.engine import Store
from backhaul.store.tables import delivery_attempts, exceptions, quarantine, returns, runs

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\rb\u202ec\u2066d\u200be\ud800f\x00g\u2028h"
SAFE_FOR_A_DATABASE = HOSTILE.replace("\ud800", "").replace("\x00", "")


def _is_printable(text: str) -> bool:
    return all(one.isprintable() or one == "\n" for one in text)


@pytest.fixture
def spoiled(healthy, place):
    """A store in which every text that a vendor may have written is hostile; returns the id of one return."""
    store, now = Store(place.store_url), datetime.now(UTC)
    with store.write() as connection:
        connection.execute(returns.update().values(order_name=SAFE_FOR_A_DATABASE))
        connection.execute(delivery_attempts.update().values(code=SAFE_FOR_A_DATABASE, message=SAFE_FOR_A_DATABASE))
        connection.execute(runs.update().values(error=SAFE_FOR_A_DATABASE))
        known = {"merchant": "acme", "run_id": "r"}
        return_id = connection.execute(sa.select(returns.c.return_id)).scalars().first()
        connection.execute(
            exceptions.insert().values(
                **known,
                kind="delivery_stuck",
                subject=SAFE_FOR_A_DATABASE,
                return_id=return_id,
                why=SAFE_FOR_A_DATABASE,
                remedy=SAFE_FOR_A_DATABASE,
                opened_at=now,
                is_settled=False,
            )
        )
        connection.execute(
            quarantine.insert().values(
                **known,
                source="loop",
                record_key=SAFE_FOR_A_DATABASE,
                order_name=SAFE_FOR_A_DATABASE,
                rules=[SAFE_FOR_A_DATABASE],
                reason=SAFE_FOR_A_DATABASE,
                body="{}",
                content_hash="x",
                quarantined_at=now,
            )
        )
    store.close()
    return return_id


@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
@pytest.mark.parametrize("command", ["show", "exceptions list", "quarantine list", "runs"])
def test_no_command_prints_what_would_move_a_terminal(place, spoiled, run, command, as_json):
    words = [*command.split(), *([spoiled] if command == "show" else []), *(["--json"] if as_json else [])]
    done = run("--config", place.config, *words)

    assert done.code == 0
    assert _is_printable(done.out) and _is_printable(done.err)
    assert "owned" in done.out
    if as_json:
        assert SAFE_FOR_A_DATABASE in "".join(_strings(done.json))


def _strings(value):
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _strings(inner)]
    return [value] if isinstance(value, str) else []


def test_an_error_that_quotes_what_was_asked_for_is_one_printable_line(place, healthy, run):
    done = run("--config", place.config, "show", HOSTILE.replace("\x00", "").replace("\ud800", ""))

    assert done.code == 1
    assert _is_printable(done.err) and done.err.count("\n") == 1


def test_a_line_shows_what_it_hides_nothing_of():
    assert printable.line("x\x1b[2J\x9b\u202e\ud800\x00") == r"x\x1b[2J\x9b\u202e\ud800\x00"
    assert printable.line("a\r\n\tb\u00a0c") == "a   b c"
    assert printable.line("Zoë, 東京, \U0001f600") == "Zoë, 東京, \U0001f600"


def test_json_stays_the_same_document():
    value = {"x": HOSTILE, "y": ["\U000e0001", "Zoë"]}
    written = printable.as_json(value)
    assert json.loads(written) == value
    assert _is_printable(written) and "Zoë" in written


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "  =1", "\r=1", "\uff1d1", "|x", "%0A=1", "-"]
)
def test_a_cell_of_a_spreadsheet_is_never_a_formula(text):
    assert printable.csv_cell(text).startswith("'")


@pytest.mark.parametrize("value", ["-5.00", "+3", "12", "#1001-R1", "a=b", "", None, Decimal("-1.50"), -3])
def test_numbers_and_plain_words_stay_as_they_are_in_a_spreadsheet(value):
    assert printable.csv_cell(value) == value


def test_the_command_line_speaks_through_one_door():
    folder = Path(__file__).parents[2] / "backhaul/cli"
    others = [
        file.name
        for file in folder.glob("*.py")
        if re.search(r"typer\.echo\(|(?<!\.)\bprint\(|sys\.std(out|err)\.write", file.read_text("utf-8"))
    ]
    assert others == ["output.py"]


def test_a_password_in_the_stores_url_is_told_once_with_the_way_out(place, run):
    place.rewrite("sqlite:///", "postgresql+psycopg://backhaul:hunter2@127.0.0.1:1/x?")
    done = run("--config", place.config, "runs")

    assert done.code == 1
    assert done.err.count("store.url holds a password") == 1 and 'url = "env:BACKHAUL_STORE_URL"' in done.err
    assert "hunter2" not in done.out + done.err


def test_every_page_of_the_documentation_is_listed_and_printed(run):
    listed = json.loads(run("docs", "--json").out)
    assert {"setup", "operations", "vendors/loop"} <= {page["topic"] for page in listed}
    assert run("docs", "operations").out.startswith("# Operations\n")


def test_a_page_that_is_not_there_is_bad_use(run):
    done = run("docs", "nonsense")
    assert done.code == 2 and "'backhaul docs' lists" in done.err
