"""What every warehouse's records become: exact forms, no guesses, nobody's name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backhaul.connectors.base import ReceiptBatch
from backhaul.connectors.text import mended
from backhaul.domain.schema import RECEIPT_LINES, RECEIPTS, Frame, Kind
from backhaul.domain.words import Condition
from tests.conformance.adapters import ADAPTERS, KEY, Adapter

TYPES = {Kind.TEXT: str, Kind.MONEY: Decimal, Kind.TIME: datetime, Kind.FLAG: bool, Kind.COUNT: int}
PERSONAL = ("Jo Smith", "jo.smith@example.com", "1 Invented Street", "+15550100")
SPRINKLED = {
    "customer_name": PERSONAL[0],
    "customer": {"name": PERSONAL[0], "email": PERSONAL[1]},
    "customer_address_street_line_one": PERSONAL[2],
    "address": {"line1": PERSONAL[2], "phone": PERSONAL[3]},
    "email": PERSONAL[1],
    "notes": f"call {PERSONAL[0]}, {PERSONAL[3]}",
    "note": f"{PERSONAL[0]} {PERSONAL[1]}",
    "action_reason": PERSONAL[0],
}
UNKNOWN = [adapter for adapter in ADAPTERS if adapter.unknown_word is not None]
WORDS = [(adapter, word) for adapter in ADAPTERS for word in adapter.conditions]
STATUSES = [(adapter, status) for adapter in ADAPTERS for status in adapter.statuses]


def told(adapter: Adapter, *records: Any) -> ReceiptBatch:
    return adapter.normalise([mended(json.dumps(record).encode()) for record in records])


def row(batch: ReceiptBatch) -> dict[str, Any]:
    [found] = batch.receipts.to_dict("records")
    return {str(name): value for name, value in found.items()}


def sprinkled(value: Any, name: str = "") -> Any:
    """A record with personal data at every level of it, but where any name is a condition of its own."""
    if isinstance(value, list):
        return [sprinkled(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: sprinkled(item, key) for key, item in value.items()}
    return inner if name == "receiving_details" else SPRINKLED | inner


def texts(batch: ReceiptBatch) -> Iterator[str]:
    """Every text that a batch holds."""
    for frame in (batch.receipts, batch.lines):
        yield from (value for column in frame.columns for value in frame[column] if isinstance(value, str))
    yield from batch.bodies
    for bad in batch.rejected:
        yield from filter(None, (bad.record_key, bad.order_name, bad.reason, bad.body))


def assert_forms(frame: pd.DataFrame, table: Frame) -> None:
    """A frame has exactly the columns of its table, and every value the type of its column or None."""
    assert list(frame.columns) == list(table.all_columns) and set(map(str, frame.dtypes)) == {"object"}
    for field in table.fields:
        for value in frame[field.name]:
            assert value is None or type(value) is TYPES[field.kind], (field.name, value)
            assert not isinstance(value, datetime) or value.utcoffset() == timedelta(0), field.name
    for name in table.checked:
        assert all(value is None or isinstance(value, str) for value in frame[name])


def assert_batch(batch: ReceiptBatch, records: int) -> None:
    """What holds of any batch: nothing vanishes, nothing is guessed, every line has its receipt."""
    assert_forms(batch.receipts, RECEIPTS)
    assert_forms(batch.lines, RECEIPT_LINES)
    assert len(batch.receipts) + len(batch.rejected) == records and len(batch.bodies) == len(batch.receipts)
    assert all(isinstance(json.loads(body), dict) for body in [*batch.bodies, *(bad.body for bad in batch.rejected)])
    for line in batch.lines.to_dict("records"):
        assert line["condition"] in list(Condition) and (line["is_known"] or line["condition"] == "pending")
        assert line["units"] is not None or line["unparsed_units"] is not None
        assert line["units"] is None or line["units"] > 0
    assert set(batch.lines["rma_key"]) <= set(batch.receipts["rma_key"])


def test_every_value_has_its_columns_type(adapter: Adapter) -> None:
    words = [("TEE", word, 1) for word in adapter.conditions]
    batch = told(adapter, adapter.record(words), adapter.record(status=adapter.unknown_status), adapter.record([("TEE", None, "?")]))
    assert_batch(batch, 3)
    assert list(batch.lines["line_no"])[: len(words)] == list(range(len(words)))


@pytest.mark.parametrize(("adapter", "word"), WORDS, ids=str)
def test_each_documented_condition_is_what_it_says(adapter: Adapter, word: str) -> None:
    [line] = told(adapter, adapter.record([("TEE", word, 2)])).lines.to_dict("records")
    assert (line["sku"], line["condition"], line["units"], line["is_known"]) == ("TEE", adapter.conditions[word], 2, True)


@pytest.mark.parametrize("adapter", UNKNOWN, ids=repr)
def test_an_unknown_condition_is_pending_and_said_to_be_unknown(adapter: Adapter) -> None:
    [line] = told(adapter, adapter.record([("TEE", adapter.unknown_word, 2)])).lines.to_dict("records")
    assert (line["condition"], line["units"], line["is_known"]) == ("pending", 2, False)
    assert line["inventory_status"] == adapter.unknown_word


@pytest.mark.parametrize(("adapter", "status"), STATUSES, ids=str)
def test_each_documented_status_says_whether_more_will_come(adapter: Adapter, status: str) -> None:
    found = row(told(adapter, adapter.record(status=status)))
    assert found["is_terminal"] is adapter.statuses[status] and found["event_status"] is not None


def test_an_unknown_status_ends_nothing(adapter: Adapter) -> None:
    assert (
        row(told(adapter, adapter.record([("TEE", next(iter(adapter.conditions)), 1)], status=adapter.unknown_status)))["is_terminal"]
        is False
    )


@pytest.mark.parametrize("units", [-1, None, "some", 1.5, [], True])
def test_units_that_are_no_count_are_named_and_not_counted(adapter: Adapter, units: Any) -> None:
    batch = told(adapter, adapter.record([("TEE", next(iter(adapter.conditions)), units)]))
    assert_batch(batch, 1)
    assert batch.rejected or [line["units"] for line in batch.lines.to_dict("records")] in ([None], [])
    assert batch.rejected or units in (None, []) or list(batch.lines["unparsed_units"].notna()) == [True]


@pytest.mark.parametrize("units", [2, 2.0, "2"])
def test_a_count_may_be_written_as_text(adapter: Adapter, units: Any) -> None:
    assert list(told(adapter, adapter.record([("TEE", next(iter(adapter.conditions)), units)])).lines["units"]) == [2]


def test_an_id_is_text_whether_it_is_written_as_a_number_or_not(adapter: Adapter) -> None:
    text, number = (told(adapter, adapter.record([("TEE", next(iter(adapter.conditions)), 1)], key=key)) for key in (KEY, int(KEY)))
    assert text.receipts.equals(number.receipts) and text.lines.equals(number.lines) and row(text)["rma_key"] == KEY


def test_a_time_with_an_offset_is_the_same_moment_in_utc(adapter: Adapter) -> None:
    record = adapter.record()
    record |= {name: "2026-03-09T11:20:11-05:00" for name, value in record.items() if value == "2026-03-09T16:20:11Z"}
    assert row(told(adapter, record))["received_at"] == datetime(2026, 3, 9, 16, 20, 11, tzinfo=UTC)
    record |= {name: "not a time" for name, value in record.items() if value == "2026-03-09T11:20:11-05:00"}
    assert row(told(adapter, record))["received_at"] is None and row(told(adapter, record))["unparsed_times"]


def test_a_record_that_cannot_be_decoded_is_kept_apart_and_harms_no_other(adapter: Adapter) -> None:
    batch = told(adapter, adapter.record(key="1"), adapter.record(key="2") | adapter.broken, adapter.record(key="3"))
    assert list(batch.receipts["rma_key"]) == ["1", "3"]
    [bad] = batch.rejected
    assert bad.record_key == "2" and next(iter(adapter.broken)) in bad.reason and bad.rule.startswith("WIRE-")
    assert_batch(batch, 3)


@pytest.mark.parametrize("raw", [b"", b"7", b"null", b"<html>", b'{"id": "\xff"}', b"[" * 100_000, b'{"id": "\\ud800"}'])
def test_bytes_that_are_no_record_are_kept_apart(adapter: Adapter, raw: bytes) -> None:
    batch = adapter.normalise([raw])
    assert_batch(batch, 1)
    assert len(batch.rejected) == 1


def test_nobodys_name_is_kept(adapter: Adapter) -> None:
    record = sprinkled(adapter.record([("TEE", word, 1) for word in adapter.conditions]))
    for batch in (told(adapter, record), told(adapter, record | adapter.broken)):
        kept = "\n".join(texts(batch))
        assert KEY in kept and not [word for word in PERSONAL if word in kept]


def test_no_text_holds_a_nul(adapter: Adapter) -> None:
    word = next(iter(adapter.conditions))
    record = adapter.record([("TEE\0-NVY", word, 1)])
    record |= {name: f"{value}\0" for name, value in record.items() if value == "9400100000000000000001"}
    batch = told(adapter, record)
    assert not [text for text in texts(batch) if "\0" in text or "\\u0000" in text]
    assert "TEE" in "".join(texts(batch))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_record_whatsoever_breaks_the_reading_of_it(adapter: Adapter, data: st.DataObject) -> None:
    names = st.sampled_from(sorted(adapter.fields))
    words = st.sampled_from([*adapter.conditions, *adapter.statuses, KEY, "2026-03-09T16:20:11Z", "", "2"])
    value = st.deferred(lambda: words | JSON | record | st.lists(record, max_size=2))
    record: st.SearchStrategy[Any] = st.deferred(lambda: st.dictionaries(names, value, max_size=5))
    whole = data.draw(record | st.just({}))
    usual = adapter.record([("TEE", next(iter(adapter.conditions)), 1)])
    batch = told(adapter, whole, usual | whole)
    assert_batch(batch, 2)
    again = adapter.normalise([body.encode() for body in batch.bodies])
    assert batch.receipts.equals(again.receipts) and batch.lines.equals(again.lines)
