"""The two engines give the same verdicts: on every rule, on odd values of every kind, and on frames that hypothesis finds."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backhaul.checks import Table, compiled, differences, judge_all, rules, validate
from backhaul.checks.suites import Expectation, expectations, suite_columns
from tests.checks.frames import CHANGED, STARTED, frame, good
from tests.checks.test_rules import BROKEN_BY_ONE_ROW

TABLES: tuple[Table, ...] = get_args(Table)
ODD = {  # a value that a rule cannot be evaluated on hides the others of its frame, so each kind has a frame of its own
    "absent": [None, float("nan"), pd.NaT, ""],
    "text": [" ", "a", "x" * 300],
    "number": [7, -1, 0, 2.5, float("inf"), True, np.bool_(False), Decimal("-0.01")],
    "time": [STARTED],
    "naive time": [datetime(2026, 3, 1)],
    "bytes": [b"raw"],
}


def same(rows: pd.DataFrame, table: Table, lines: pd.DataFrame | None = None) -> list[str]:
    """What the two engines do not agree on."""
    return differences(validate(rows, table, lines=lines), judge_all(rows, table, lines=lines))


@pytest.mark.parametrize("table", TABLES)
def test_every_rule_of_a_suite_is_compiled(table: Table) -> None:
    assert [one.rule for one in expectations(table) if compiled.compile_rule(one) is None] == []


@pytest.mark.parametrize("table", TABLES)
def test_both_engines_find_the_rows_that_break_each_rule(table: Table) -> None:
    changes = [change for _, of, change in BROKEN_BY_ONE_ROW if of == table]
    rows = frame(table, good(table), *(good(table, **change) for change in changes), good(table))
    lines = frame("return_lines", good("return_lines"))

    found = {failure.rule for failure in judge_all(rows, table, lines=lines).failures}
    assert found >= {rule for rule, of, _ in BROKEN_BY_ONE_ROW if of == table} | ({"RET-015", "RET-002"} if table == "returns" else set())
    assert same(rows, table, lines) == []


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_values_mean_the_same_to_both_engines(table: Table, odd: list[Any]) -> None:
    strange = [good(table, **dict.fromkeys(suite_columns(table), value)) for value in odd]

    assert same(frame(table, good(table), *strange, strange[0]), table) == []


_words = st.sampled_from(["open", "closed", "paused", "available", "damaged", "7001", "7002", "ab", "", " ", "1234", "12345", "x" * 101])
_amounts = st.sampled_from([Decimal(text) for text in ("0", "0.00", "-0.01", "78.00", "156", "8.585", "-0.005", "0.005")]) | st.none()
_times = st.sampled_from([STARTED, CHANGED, STARTED - timedelta(microseconds=1), None])
_values = st.one_of(_words, _times, st.integers(-2, 3), st.booleans(), st.none(), st.just(float("nan")))
_MONEY = {"price", "discount", "tax", "return_product_total", "return_discount_total", "return_tax_total", "return_total"}


@st.composite
def frames(draw: st.DrawFn, table: Table, *, tame: bool) -> pd.DataFrame:
    """Frames of up to twelve rows; tame ones hold in each column only what the schema allows there."""
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        changes: dict[str, Any] = {}
        for name in draw(st.sets(st.sampled_from(sorted(good(table).keys())), max_size=4)):
            kind = _amounts if name in _MONEY else _times if name.endswith(("_at", "as_of")) else st.integers(-1, 3) | st.none()
            is_count = name in ("units", "line_no")
            changes[name] = draw(kind if name in _MONEY or name.endswith(("_at", "as_of")) or is_count else _words | st.none())
            if not tame and name not in _MONEY:
                changes[name] = draw(_values)
        rows.append(good(table, **changes))
    return frame(table, *rows)


@pytest.mark.parametrize("is_tame", [True, False])
@pytest.mark.parametrize("table", TABLES)
def test_whatever_a_frame_holds_both_engines_say_the_same(table: Table, is_tame: bool) -> None:
    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(frames(table, tame=is_tame), frames("return_lines", tame=True))
    def agree(rows: pd.DataFrame, lines: pd.DataFrame) -> None:
        assert same(rows, table, lines if table == "returns" else None) == []

    agree()


@pytest.mark.parametrize("table", TABLES)
def test_the_checkpoint_of_a_suite_names_the_same_rows(table: Table) -> None:
    rows = frame(table, good(table), *(good(table, **change) for _, of, change in BROKEN_BY_ONE_ROW if of == table))

    assert judge_all(rows, table, as_checkpoint=True).failures == judge_all(rows, table).failures


def test_a_difference_is_told_by_its_rule() -> None:
    rows = frame("return_lines", good("return_lines", price=Decimal("-1")))

    assert differences(validate(rows, "return_lines"), validate(frame("return_lines", good("return_lines")), "return_lines")) == [
        "LINE-004"
    ]


@pytest.mark.parametrize(
    "unknown",
    [
        Expectation("X-1", "expect_column_values_to_match_regex", {"column": "sku", "regex": "^A"}),
        Expectation("X-2", "expect_column_values_to_not_be_null", {"column": "sku", "mostly": 0.9}),
        Expectation("X-3", "expect_compound_columns_to_be_unique", {"column_list": ["return_id", "sku"]}),
    ],
    ids=lambda one: one.type,
)
def test_a_type_or_an_argument_that_is_not_known_is_left_to_great_expectations(unknown: Expectation) -> None:
    assert compiled.compile_rule(unknown) is None


def test_a_rule_that_is_not_compiled_is_judged_by_great_expectations_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(compiled._TYPES, "expect_column_values_to_be_between")
    compiled._suite.cache_clear()
    try:
        report = validate(frame("return_lines", good("return_lines", price=Decimal("-1"), sku=None)), "return_lines")
    finally:
        monkeypatch.undo()
        compiled._suite.cache_clear()

    assert [(found.rule, found.engine) for found in report.failures] == [("LINE-004", "great_expectations"), ("LINE-010", "compiled")]
    assert report.rules_run == len([rule for rule in rules().values() if rule.table == "return_lines"])
