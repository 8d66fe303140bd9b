"""The suites of `expectations/` on ShipBob's receipts: documented ones pass, and what nobody can know is quarantined."""

from __future__ import annotations

from typing import Any

import pytest

from backhaul import checks
from backhaul.connectors.base import ReceiptBatch
from tests.shipbob.conftest import payload, told


def broken(batch: ReceiptBatch, severity: str = "critical") -> set[str]:
    """The rules that a batch breaks."""
    reports = [checks.validate(batch.receipts, "receipts"), checks.validate(batch.lines, "receipt_lines")]
    assert not any(report.structural for report in reports)
    return {failure.rule for report in reports for failure in report.failures if failure.severity == severity}


def test_every_documented_record_is_let_in() -> None:
    names = ["completed_clean", "completed_damaged_split", "completed_short", "completed_empty_box", "completed_over_unexpected"]
    batch = told(*(f"return_{name}" for name in [*names, "rts_made_by_warehouse"]))
    assert broken(batch) == set() and broken(told("return_get_awaiting_arrival")) == set() == broken(told("return_get_processing_partial"))


def one_line(**changes: Any) -> dict[str, Any]:
    record = payload("return_completed_clean")
    return record | {"inventory": [record["inventory"][0] | changes]}


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        (payload("return_completed_clean") | {"status": "Pending Approval"}, "RCPT-003"),
        (payload("return_completed_clean") | {"completed_date": "soon"}, "RCPT-005"),
        (one_line(action_taken=[{"action": "Restock", "quantity_processed": -1}]), "RLINE-006"),
        (one_line(sku=None), "RLINE-003"),
        ({"status": "Completed", "inventory": []}, "RCPT-001"),
    ],
)
def test_what_nobody_can_know_is_quarantined(record: dict[str, Any], rule: str) -> None:
    assert rule in broken(told(record))


def test_an_unknown_action_is_let_in_with_a_warning() -> None:
    batch = told(one_line(action_taken=[{"action": "Donate", "quantity_processed": 2}]))
    assert broken(batch) == set() and "RLINE-009" in broken(batch, "warning")
