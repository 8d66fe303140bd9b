"""What a report says of a frame as a whole, and what validation does not do."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest

from backhaul.checks import SUITES, Failure, Report, Table, rules, validate
from tests.checks.frames import frame, good

TABLES = get_args(Table)


@pytest.mark.parametrize("table", TABLES)
def test_a_good_frame_passes_every_rule(table: Table) -> None:
    in_suite = [rule for rule in rules().values() if rule.table == table]

    assert validate(frame(table, good(table)), table) == Report(rules_run=len(in_suite))


@pytest.mark.parametrize("table", TABLES)
def test_a_missing_column_is_structural_with_rows_and_without(table: Table) -> None:
    whole = frame(table, good(table))
    for name in whole.columns:
        for rows in (whole, whole.iloc[:0]):
            report = validate(rows.drop(columns=name), table)
            assert report == Report(structural=[f"{table}: column '{name}' is missing"])


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_frame_with_every_column_has_nothing_wrong_and_no_rule_run(table: Table) -> None:
    assert validate(frame(table), table) == Report(failures=[], structural=[], rules_run=0)


def test_a_rule_that_cannot_be_evaluated_is_structural_and_the_others_still_count() -> None:
    report = validate(frame("returns", good("returns", created_at="yesterday", currency=None)), "returns")

    assert report.structural == ["returns: rule RET-009 cannot be evaluated on updated_at, created_at; a value there has the wrong type"]
    assert [failure.rule for failure in report.failures] == ["RET-010"]


def test_money_of_the_wrong_type_is_structural_and_its_value_is_not_told() -> None:
    report = validate(frame("return_lines", good("return_lines", price="a secret")), "return_lines")

    assert report == Report(structural=["return_lines: a column holds values of the wrong kind (ValueError)"])


def test_rows_are_named_by_position_whatever_the_index_of_the_frame() -> None:
    rows = frame("return_lines", good("return_lines", line_item_id="1"), good("return_lines", line_item_id="2", price=Decimal("-5")))

    report = validate(rows.set_axis([40, 7], axis="index"), "return_lines")

    assert report.failures == [Failure("LINE-004", "critical", rules()["LINE-004"].description, row=1)]


def test_what_only_warns_says_so() -> None:
    report = validate(frame("return_lines", good("return_lines", sku=None)), "return_lines")

    assert [failure.severity for failure in report.failures] == ["warning"]


def test_every_failing_row_is_named_not_only_the_first_few() -> None:
    rows = frame("return_lines", *(good("return_lines", line_item_id=str(number), price=Decimal("-1")) for number in range(300)))

    assert [failure.row for failure in validate(rows, "return_lines").failures] == list(range(300))


def test_validation_leaves_the_frame_as_it_was() -> None:
    rows = frame("returns", good("returns", tracking_number=""))
    before = rows.copy(deep=True)

    validate(rows, "returns")

    pd.testing.assert_frame_equal(rows, before)
    assert isinstance(rows.at[0, "return_total"], Decimal)


def test_a_validated_frame_is_not_kept_in_memory() -> None:
    rows = frame("returns", good("returns"))
    alive = weakref.ref(rows)
    validate(rows, "returns")

    del rows
    gc.collect()

    assert alive() is None


def test_severities_are_those_the_pipeline_knows_and_the_worst_cases_are_critical() -> None:
    assert {rule.severity for rule in rules().values()} == {"critical", "warning"}
    for rule in ("RET-001", "RET-004", "RET-006", "RET-007", "LINE-002", "LINE-003", "LINE-004", "LINE-005", "RCPT-001", "RLINE-008"):
        assert rules()[rule].severity == "critical"


@pytest.mark.parametrize("table", TABLES)
def test_a_suite_is_native_to_great_expectations(table: Table) -> None:
    from great_expectations.core import ExpectationSuite

    written = json.loads((SUITES / f"{table}.json").read_text(encoding="utf-8"))
    read_back = ExpectationSuite(**written).to_json_dict()

    for native, ours in zip(json.loads(json.dumps(read_back))["expectations"], written["expectations"], strict=True):
        assert {key: native[key] for key in ours if key != "kwargs"} == {key: ours[key] for key in ours if key != "kwargs"}
        assert native["kwargs"] == {**ours["kwargs"], **native["kwargs"]}


def test_reading_the_rules_and_checking_an_empty_frame_do_not_import_great_expectations() -> None:
    program = (
        "import sys; from backhaul import checks; from tests.checks.frames import frame;"
        "checks.rules(); checks.validate(frame('returns'), 'returns'); print('great_expectations' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=SUITES.parent)

    assert done.stdout.strip() == "False"


def test_threads_that_validate_at_once_each_get_their_own_report() -> None:
    frames = [
        frame("returns", *(good("returns", return_id=str(number)) for number in range(rows)), good("returns", currency=None))
        for rows in range(8)
    ]

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda rows: validate(rows, "returns"), frames))

    assert [[(failure.rule, failure.row) for failure in report.failures] for report in reports] == [
        [("RET-010", rows)] for rows in range(8)
    ]


def test_validation_prints_nothing_and_writes_no_file(tmp_path: Path) -> None:
    program = (
        "import os, tempfile; from backhaul import checks; from tests.checks.frames import frame, good;"
        "assert checks.validate(frame('returns', good('returns', currency=None)), 'returns').failures;"
        "assert os.listdir(tempfile.gettempdir()) == []"
    )
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    environment = {"PYTHONPATH": str(SUITES.parent), "HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=home, env=environment)

    assert (done.stdout, done.stderr) == ("", "")
    assert sorted(tmp_path.rglob("*")) == [home, temporary]
