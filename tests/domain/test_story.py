"""A return is told in a sentence that its customer can be read, and its decisions in words."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from backhaul.domain.plainly import ago, joined, money
from backhaul.domain.story import RULES, Case, decided, rule_of, sentence, what_next
from backhaul.domain.whereabouts import Awaited
from backhaul.domain.words import DecisionKind, Reason

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
STARTED = datetime(2026, 11, 20, 9, tzinfo=UTC)
RECEIVED = datetime(2026, 11, 24, 9, tzinfo=UTC)
DUE = datetime(2026, 11, 26, 9, tzinfo=UTC)


def case(**facts: Any) -> Case:
    """An announced return of two units, 178 dollars to refund, of which nothing has arrived."""
    usual = {"loop_state": "open", "created_at": STARTED, "decision": "wait", "expected": 2}
    return Case(**(usual | {"currency": "USD", "refund": Decimal(178)} | facts))


INSPECTED = {"decision": "hold", "reasons": ("pending",), "due_at": DUE, "available": 1, "pending": 1, "received_at": RECEIVED}
GOOD = {"decision": "process", "available": 2, "received_at": RECEIVED}


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (INSPECTED, "Parcel received 24 Nov; 1 of 2 units is being inspected; decided by 26 Nov; refund of $178.00 waits."),
        ({}, "Return started 20 Nov; parcel not received yet; refund of $178.00 waits."),
        ({"label_status": "in_transit"}, "Parcel on its way to the warehouse; refund of $178.00 waits."),
        (
            {"rma_stage": "receiving", "available": 1},
            "The warehouse is taking the parcel in; 1 of 2 units arrived so far; refund of $178.00 waits.",
        ),
        (GOOD, "Parcel received 24 Nov; all 2 units arrived in good condition; approved; refund of $178.00 waits."),
        (
            GOOD | {"delivery_state": "confirmed", "loop_state": "closed"},
            "Parcel received 24 Nov; all 2 units arrived in good condition; refund of $178.00 is on its way.",
        ),
        (
            GOOD | {"delivery_state": "confirmed", "loop_state": "closed", "is_paid": True, "paid_at": DUE},
            "Parcel received 24 Nov; all 2 units arrived in good condition; refund of $178.00 made 26 Nov.",
        ),
        (
            GOOD | {"delivery_state": "refused"},
            "Parcel received 24 Nov; all 2 units arrived in good condition; "
            "approved, and a person is looking at why it could not be completed; refund of $178.00 waits.",
        ),
        (
            {"decision": "flag", "reasons": ("damaged", "missing"), "damaged": 1, "missing": 1, "received_at": RECEIVED},
            "Parcel received 24 Nov; 1 of 2 units arrived damaged and 1 did not arrive; "
            "a person is looking at it; refund of $178.00 waits.",
        ),
        (
            {"decision": "skip", "reasons": ("loop_cancelled",), "loop_state": "cancelled"},
            "The return was cancelled.",
        ),
        ({"loop_state": "review", "decision": "hold", "reasons": ("loop_review",)},
         "Return started 20 Nov; parcel not received yet; a person is reviewing the return; refund of $178.00 waits."),
        (
            GOOD | {"expected": 1, "available": 1, "unexpected": 1, "gift_card": Decimal(5), "currency": "CAD"},
            "Parcel received 24 Nov; 1 unit arrived that was not announced; approved; "
            "refund of 178.00 CAD and store credit of 5.00 CAD wait.",
        ),
    ],
)  # fmt: skip
def test_a_return_is_told_in_one_sentence(facts: dict[str, Any], told: str) -> None:
    assert sentence(case(**facts), NOW) == told


def test_a_return_that_is_only_in_quarantine_is_told_too() -> None:
    assert sentence(Case(loop_state=None), NOW) == "The return could not be read; a person has to look at it."


def test_what_comes_next_says_by_when() -> None:
    told = what_next(case(**INSPECTED, waits_for="inspection"), NOW)
    assert told == "The warehouse finishes its inspection. If it has not by 26 Nov (09:00 UTC), the return is flagged for a person."
    assert what_next(case(), NOW) == "Nothing: the return is settled."
    for awaited in Awaited:
        assert what_next(case(waits_for=awaited), NOW).endswith(".")


def test_every_decision_has_the_rule_that_made_it() -> None:
    assert {rule_of(DecisionKind.HOLD, [reason]) for reason in ("loop_review", "unverifiable", "rma_refused", "pending")} == {2, 3, 6}
    assert [rule_of(kind, []) for kind in ("wait", "process", "skip")] == [4, 8, 1]
    assert [rule_of("flag", [reason]) for reason in ("damaged", "missing", "unverifiable", "unexpected", "inspection_overdue")] == [
        5
    ] * 4 + [7]
    for reason in Reason:
        assert rule_of(DecisionKind.FLAG, [reason]) in RULES
    assert (
        decided("flag", ["damaged", "missing"])
        == "Decided to flag it for a person: units arrived damaged and units did not arrive (rule 5)."
    )


def test_money_has_its_currency_and_all_of_its_digits() -> None:
    told = [money(Decimal(amount), currency) for amount, currency in (("1234.5", "USD"), ("-3", "EUR"), ("0.125", "CAD"), ("7", None))]
    assert told == ["$1,234.50", "-€3.00", "0.125 CAD", "7.00"]
    assert money(None, "USD") == ""


def test_times_and_lists_read_as_people_say_them() -> None:
    assert [ago(moment, NOW) for moment in (RECEIVED, DUE, NOW)] == ["1 d ago", "in 21 h", "just now"]
    assert [joined([]), joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
