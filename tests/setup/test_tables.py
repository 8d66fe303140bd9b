"""Tables as people see them: nothing broken, at any width."""

import io
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Console

from backhaul.cli.tables import fitted

WORDS = "the warehouse received 2 units in a parcel that belongs to no RMA, and nobody knows whose they are"


def drawn(rows: list[dict[str, object]], width: int = 80) -> str:
    written = io.StringIO()
    console = Console(file=written, width=width, markup=False)
    console.print(fitted(rows, list(rows[0]), "Title", width))
    return written.getvalue()


def test_what_fits_is_a_table_whose_sentences_wrap_at_words():
    text = drawn([{"merchant": "acme", "subject": "9400900000000000000000", "why": WORDS}])
    assert "merchant  subject" in text and "9400900000000000000000" in text
    assert max(map(len, text.splitlines())) <= 80
    assert all(word in text for word in WORDS.replace(",", "").split())


def test_what_does_not_fit_is_one_row_below_the_other_with_every_id_whole():
    row = {f"column_{number}": f"sha256:{number}{'0' * 20}" for number in range(6)}
    text = drawn([row, row])
    assert all(text.count(str(value)) == 2 for value in row.values())
    assert max(map(len, text.splitlines())) <= 80


def test_amounts_have_two_decimals_and_their_currency_and_times_no_microseconds():
    row = {"value": 86.5, "currency": "USD", "at_risk": Decimal("12345.6"), "opened_at": "2026-11-25 09:28:24.228785+00:00", "empty": None}
    text = drawn([row, row | {"currency": "CAD", "opened_at": datetime(2026, 11, 25, 9, 28, 24, 5, tzinfo=UTC)}])
    assert "$86.50" in text and "86.50 CAD" in text and "$12,345.60" in text
    assert text.count("2026-11-25 09:28:24") == 2
    assert "empty" not in text and ".228" not in text


def test_columns_of_zeros_give_way_before_a_table_is_taken_apart():
    row = {"merchant": "acme"} | {f"a_rather_long_name_{number}": number // 3 for number in range(5)}
    text = drawn([row])
    assert "merchant  a rather long name 3" in text and "long name 0" not in text
