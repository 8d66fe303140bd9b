"""Each rule of the suites, with the row that breaks it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from backhaul.checks import Table, rules, validate
from tests.checks.frames import STARTED, frame, good

EARLIER = STARTED - timedelta(seconds=1)

BROKEN_BY_ONE_ROW: list[tuple[str, Table, dict[str, Any]]] = [
    ("RET-001", "returns", {"return_id": None}),
    ("RET-001", "returns", {"return_id": ""}),
    ("RET-003", "returns", {"loop_state": None}),
    ("RET-004", "returns", {"loop_state": "paused"}),
    ("RET-005", "returns", {"created_at": None}),
    ("RET-006", "returns", {"unparsed_money": "return_total"}),
    ("RET-007", "returns", {"unparsed_times": "edited_at"}),
    ("RET-008", "returns", {"updated_at": None}),
    ("RET-009", "returns", {"updated_at": EARLIER}),
    ("RET-010", "returns", {"currency": None}),
    ("RET-011", "returns", {"return_product_total": Decimal("-0.01"), "return_total": Decimal("2.47")}),
    ("RET-012", "returns", {"return_total": Decimal("158.49")}),
    ("RET-012", "returns", {"return_total": Decimal("158.47")}),
    ("RET-013", "returns", {"tracking_number": "1" * 101}),
    ("RET-013", "returns", {"tracking_number": "1234"}),
    ("RET-016", "returns", {"unparsed_keys": "id"}),
    ("LINE-001", "return_lines", {"return_id": None}),
    ("LINE-002", "return_lines", {"line_item_id": None}),
    ("LINE-004", "return_lines", {"price": Decimal("-0.01")}),
    ("LINE-005", "return_lines", {"unparsed_money": "price"}),
    ("LINE-006", "return_lines", {"unparsed_times": "returned_at"}),
    ("LINE-007", "return_lines", {"price": None}),
    ("LINE-008", "return_lines", {"discount": Decimal("-1")}),
    ("LINE-009", "return_lines", {"tax": Decimal("-0.001")}),
    ("LINE-010", "return_lines", {"sku": None}),
    ("LINE-011", "return_lines", {"sku": "X"}),
    ("LINE-011", "return_lines", {"sku": "X" * 101}),
    ("LINE-012", "return_lines", {"unparsed_keys": "sku"}),
    ("RCPT-001", "receipts", {"rma_key": None}),
    ("RCPT-003", "receipts", {"event_status": None}),
    ("RCPT-004", "receipts", {"unparsed_money": "fee"}),
    ("RCPT-005", "receipts", {"unparsed_times": "received_at"}),
    ("RCPT-006", "receipts", {"as_of": None}),
    ("RCPT-007", "receipts", {"received_at": EARLIER}),
    ("RCPT-008", "receipts", {"unparsed_keys": "id"}),
    ("RLINE-001", "receipt_lines", {"rma_key": None}),
    ("RLINE-003", "receipt_lines", {"sku": None}),
    ("RLINE-004", "receipt_lines", {"condition": None}),
    ("RLINE-005", "receipt_lines", {"condition": "soiled"}),
    ("RLINE-006", "receipt_lines", {"unparsed_units": "restocked"}),
    ("RLINE-007", "receipt_lines", {"units": None}),
    ("RLINE-008", "receipt_lines", {"units": -1}),
    ("RLINE-009", "receipt_lines", {"is_known": False}),
    ("RLINE-010", "receipt_lines", {"unparsed_keys": "sku"}),
]
BROKEN_OTHERWISE = {"RET-002", "RET-014", "RET-015", "LINE-003", "RCPT-002", "RLINE-002"}  # by two rows, or by a return's lines
BY_ID: dict[Table, str] = {"returns": "return_id", "return_lines": "line_item_id", "receipts": "rma_key", "receipt_lines": "line_no"}


@pytest.mark.parametrize(("rule", "table", "change"), BROKEN_BY_ONE_ROW, ids=lambda value: value if isinstance(value, str) else "")
def test_a_rule_fails_for_the_row_that_breaks_it_and_for_no_other(rule: str, table: Table, change: dict[str, Any]) -> None:
    before, after = good(table, **{BY_ID[table]: "7001"}), good(table, **{BY_ID[table]: "7002"})
    report = validate(frame(table, before, good(table, **change), after), table)

    assert [(failure.rule, failure.row) for failure in report.failures] == [(rule, 1)]
    assert report.structural == []
    assert report.failures[0].severity == rules()[rule].severity
    assert report.failures[0].description == rules()[rule].description


def test_every_rule_of_the_suites_is_broken_by_a_test_here() -> None:
    assert {rule for rule, _, _ in BROKEN_BY_ONE_ROW} | BROKEN_OTHERWISE == set(rules())


@pytest.mark.parametrize(
    ("rule", "table"), [("RET-002", "returns"), ("LINE-003", "return_lines"), ("RCPT-002", "receipts"), ("RLINE-002", "receipt_lines")]
)
def test_rows_with_one_key_break_the_rule_of_uniqueness_each(rule: str, table: Table) -> None:
    report = validate(frame(table, good(table), good(table, **{BY_ID[table]: "7001"}), good(table)), table)

    assert [(failure.rule, failure.row) for failure in report.failures] == [(rule, 0), (rule, 2)]


def test_the_same_line_id_on_two_returns_is_no_duplicate() -> None:
    lines = frame("return_lines", good("return_lines"), good("return_lines", return_id="37603922"))

    assert validate(lines, "return_lines").failures == []


def test_missing_line_ids_are_told_as_missing_and_not_as_duplicates() -> None:
    lines = frame("return_lines", good("return_lines", line_item_id=None), good("return_lines", line_item_id=None))

    assert [failure.rule for failure in validate(lines, "return_lines").failures] == ["LINE-002", "LINE-002"]


def test_a_return_without_lines_is_told_when_the_lines_are_given() -> None:
    returns = frame("returns", good("returns"), good("returns", return_id="7001"))
    lines = frame("return_lines", good("return_lines", price=Decimal("156.00")))

    assert [(failure.rule, failure.row) for failure in validate(returns, "returns", lines=lines).failures] == [("RET-014", 1)]
    assert validate(returns, "returns").failures == []


@pytest.mark.parametrize(("second_price", "broken"), [("78.00", []), ("78.01", ["RET-015"]), ("77.99", ["RET-015"])])
def test_a_product_total_is_the_sum_of_its_lines_prices(second_price: str, broken: list[str]) -> None:
    lines = frame("return_lines", good("return_lines"), good("return_lines", line_item_id="2", price=Decimal(second_price)))

    assert [failure.rule for failure in validate(frame("returns", good("returns")), "returns", lines=lines).failures] == broken


def test_a_sum_of_many_exact_amounts_is_not_spoilt_by_floats() -> None:
    lines = frame("return_lines", *(good("return_lines", line_item_id=str(number), price=Decimal("1234567.89")) for number in range(100)))
    whole = good("returns", return_product_total=Decimal("123456789.00"), return_total=Decimal("123456791.48"))

    assert validate(frame("returns", whole), "returns", lines=lines).failures == []


@pytest.mark.parametrize("change", [{"tracking_number": None}, {"tracking_number": ""}, {"return_tax_total": None}, {"return_total": None}])
def test_what_a_return_does_not_say_yet_breaks_no_rule(change: dict[str, Any]) -> None:
    assert validate(frame("returns", good("returns", **change)), "returns").failures == []


@pytest.mark.parametrize("state", ["open", "closed", "cancelled", "expired", "review"])
def test_every_state_that_loop_documents_is_known(state: str) -> None:
    assert validate(frame("returns", good("returns", loop_state=state)), "returns").failures == []


@pytest.mark.parametrize("condition", ["available", "pending", "damaged"])
def test_every_condition_of_the_domain_is_known(condition: str) -> None:
    assert validate(frame("receipt_lines", good("receipt_lines", condition=condition, units=0)), "receipt_lines").failures == []
