"""What is typed into the search is brought to the form in which things are looked up."""

import pytest

from backhaul.domain.searching import LONGEST, as_tracking_number, tidied


@pytest.mark.parametrize(("typed", "words"), [("#1001", "1001"), ("  # 1001 ", "1001"), ("37600001", "37600001"), ("a\x00\ud800b", "ab")])
def test_an_order_is_looked_for_without_its_sign_and_blanks(typed: str, words: str) -> None:
    assert tidied(typed) == words


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("9400 1000 0000 0000 0000 02", "9400100000000000000002"),
        ("USPS: 9400-1000-0000-0000-0000-02", "9400100000000000000002"),
        ("UPS 1Z 999 AA1 01 2345 6784", "1Z999AA10123456784"),
        ("420941079400100000000000000002", "9400100000000000000002"),  # a USPS barcode, ZIP first
        ("4209410712349400100000000000000002", "9400100000000000000002"),  # and with the ZIP's four more digits
        ("420 is short", "420isshort"),
        ("UPSTREAM-7", "UPSTREAM7"),
    ],
)
def test_a_tracking_number_is_looked_for_without_its_carrier_and_blanks(typed: str, number: str) -> None:
    assert as_tracking_number(typed) == number


def test_a_text_pasted_by_mistake_is_cut() -> None:
    assert len(tidied("x" * 10_000)) == LONGEST
