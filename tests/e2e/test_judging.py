"""Great Expectations beside the compiled rules, and nightly over what is stored."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy as sa

from backhaul import checks
from backhaul.pipeline import judging
from flows.audit import audit
from tests.checks.frames import frame, good
from tests.e2e.house import House


@pytest.fixture(scope="module")
def checked_house(build_shared: Any, module_store_url: str) -> House:
    """A merchant with two returns in the store, one of them without a currency behind the rules' back."""
    house: House = build_shared(store_url=module_store_url)
    house.shop("TEE-NVY-M")
    marred = house.shop("TEE-NVY-M", "MUG-WHT")
    house.sync()
    with house.store.write() as connection:
        connection.execute(sa.text("UPDATE returns SET currency = NULL WHERE return_id = :r"), {"r": marred})
    house.marred = marred  # type: ignore[attr-defined]
    return house


def test_the_nightly_checkpoint_finds_in_the_tables_what_breaks_a_rule_and_says_who_judged(checked_house: House) -> None:
    audit.fn("acme", config=str(checked_house.file), trigger="command")
    found = checked_house.rows("SELECT record_key, rule, engine FROM check_results WHERE rule = 'RET-010'")
    assert found == [{"record_key": checked_house.marred, "rule": "RET-010", "engine": "great_expectations"}]  # type: ignore[attr-defined]
    assert "checks_disagree" not in checked_house.exceptions()


def test_a_difference_between_the_engines_is_an_exception_that_names_the_rule(
    checked_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "SHARE", 1)
    honest = checks.judge_all
    wrong = checks.Report(failures=[checks.Failure("LINE-004", "critical", "", 0, "great_expectations")])
    monkeypatch.setattr(checks, "judge_all", lambda rows, table, **more: wrong if table == "return_lines" else honest(rows, table, **more))
    return_id = checked_house.shop("TEE-NVY-M")
    checked_house.sync()
    [row] = checked_house.rows("SELECT subject, why FROM recon_exceptions WHERE kind = 'checks_disagree'")
    assert row["subject"] == "LINE-004" and "return_lines" in row["why"]
    assert checked_house.standing(return_id)["stage"] == "announced"  # nothing of what was loaded is changed by it


def test_a_sync_of_small_frames_does_not_import_great_expectations(house: House) -> None:
    house.shop("TEE-NVY-M")
    program = (
        "import sys; from flows.sync import sync; from backhaul.pipeline import judging; judging.SHARE = 10**12;"
        f"done = sync.fn('acme', config={str(house.file)!r}, trigger='command');"
        "print(done.counts['records_out'], 'great_expectations' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


def test_a_frame_without_rows_is_judged_by_nobody() -> None:
    assert checks.judge_all(frame("returns"), "returns", as_checkpoint=True).rules_run == 0
    assert checks.judge_all(frame("returns", good("returns")), "returns").failures == []
