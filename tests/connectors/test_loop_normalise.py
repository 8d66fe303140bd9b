"""Loop's documented bodies as frames, and what odd ones become."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from backhaul.connectors.loop.normalise import normalise
from backhaul.connectors.text import mended
from backhaul.domain.schema import RETURN_LINES, RETURNS, Kind
from tests.connectors.vendor_server import PAYLOADS

PERSONAL = ("@", "Sam", "Shopper", "Example Street", "+1555", "Sleeves", "status_page", "labels.example.com", "operator")
LIST = PAYLOADS / "loop" / "returns-list-paginated.json"
WEBHOOKS = ["webhook-return.created", "webhook-return.updated", "webhook-return.updated-state-review", "webhook-return.closed"]


def listed(number: int = 0, **changes):
    record = json.loads(LIST.read_bytes())["returns"][number] | changes
    return {key: value for key, value in record.items() if value is not ...}


def with_line(**changes):
    record = listed()
    return record | {"line_items": [{key: v for key, v in (record["line_items"][0] | changes).items() if v is not ...}]}


def of(*records, source="list"):
    return normalise([json.dumps(record).encode() for record in records], source)


def row(batch, number=0):
    return dict(zip(batch.returns.columns, batch.returns.to_numpy(dtype=object)[number].tolist(), strict=True))


def line(batch, number=0):
    return dict(zip(batch.lines.columns, batch.lines.to_numpy(dtype=object)[number].tolist(), strict=True))


def payload(name):
    return (PAYLOADS / "loop" / f"{name}.json").read_bytes()


def test_a_listed_return_keeps_every_wanted_field():
    batch = of(*json.loads(LIST.read_bytes())["returns"])
    assert row(batch) == {
        "return_id": "37603915",
        "loop_state": "open",
        "created_at": datetime(2026, 1, 5, 22, 27, 15, tzinfo=UTC),
        "updated_at": datetime(2026, 1, 5, 22, 27, 18, tzinfo=UTC),
        "edited_at": None,
        "order_id": "98766312",
        "order_name": "#10382",
        "outcome": "exchange+refund",
        "currency": "USD",
        "return_product_total": Decimal("156.00"),
        "return_discount_total": Decimal("0.00"),
        "return_tax_total": Decimal("8.58"),
        "return_total": Decimal("164.58"),
        "return_credit_total": Decimal("101.28"),
        "exchange_total": Decimal("101.28"),
        "gift_card": Decimal("0.00"),
        "handling_fee": Decimal("0.00"),
        "refund": Decimal("63.30"),
        "upsell": Decimal("0.00"),
        "carrier": "USPS",
        "tracking_number": "9400100000000000000001",
        "label_status": "in_transit",
        "destination_id": "67896",
        "is_paid": False,
        "is_finished": False,
        "return_processed_at": None,
        "refund_processed_at": None,
        "gift_card_processed_at": None,
        "exchange_processed_at": None,
        "shop_cash_processed_at": None,
        "exchange_units": 1,
        "out_of_stock_units": 0,
        "unparsed_money": None,
        "unparsed_times": None,
        "unparsed_keys": None,
    }
    assert line(batch) == {
        "return_id": "37603915",
        "line_item_id": "293482039",
        "sku": "2039473-Y",
        "barcode": "290832428347",
        "title": "Black Striped Shirt - Small / Navy",
        "product_id": "29871298310292",
        "variant_id": "23498287203948",
        "price": Decimal("78.00"),
        "discount": Decimal("0.00"),
        "tax": Decimal("4.29"),
        "refund": Decimal("31.65"),
        "return_reason": "I like another style more",
        "parent_return_reason": "Didn't like it",
        "line_outcome": "default",
        "returned_at": datetime(2026, 1, 5, 22, 27, 16, tzinfo=UTC),
        "reason_key": "i like another style more",
        "unparsed_money": None,
        "unparsed_times": None,
        "unparsed_keys": None,
    }
    assert batch.lines["return_id"].tolist() == ["37603915", "37603915", "37603922", "37603922"]
    assert row(batch, 1)["is_paid"] is True


def test_both_list_shapes_hold_the_same_returns():
    paginated = of(*json.loads(LIST.read_bytes())["returns"])
    bare = of(*json.loads(payload("returns-list-unpaginated")))
    assert paginated.returns.equals(bare.returns) and paginated.lines.equals(bare.lines)


@pytest.mark.parametrize(("name", "number"), [("return-details", 0), ("return-details-closed-refund", 1)])
def test_the_details_and_the_list_of_one_return_give_the_same_rows(name, number):
    details = normalise([payload(name)], "details")
    # The documented details do not have these.
    shown = of(listed(number, outcomes_processed_at=None, was_processed=False, refunds=json.loads(payload(name)).get("refunds")))
    assert row(details) == row(shown)
    assert details.lines.equals(shown.lines)


def test_the_recorded_details_and_list_of_one_return_differ_in_their_form_alone():
    details = normalise([json.dumps(json.loads(payload("recorded-details"))[0]).encode()], "details")
    shown = of(json.loads(payload("recorded-list"))[0])
    differing = {name for name, value in row(details).items() if row(shown)[name] != value}
    assert differing == {"order_id", "edited_at"}
    assert details.lines.equals(shown.lines)
    assert line(details)["return_reason"] == "Right item, but in the wrong size"
    assert line(details)["parent_return_reason"] == "I received the wrong item"


def test_the_recorded_list_is_read_whole():
    batch = of(*json.loads(payload("recorded-list")))
    assert batch.rejected == [] and len(batch.returns) == 5
    assert row(batch)["destination_id"] == "42792" and row(batch)["tracking_number"] is None and row(batch)["is_paid"] is False
    assert line(batch)["sku"] == "GBA-19 : GBA-19-0004" and line(batch)["returned_at"] == datetime(2026, 5, 27, 16, 30, 36, tzinfo=UTC)


def taken_off(**changes):
    zero = {"price": "0.00", "discount": "0.00", "tax": "0.00", "refund": "0.00", "returned_at": None}
    return listed()["line_items"][0] | {"line_item_id": "999"} | zero | changes


def current(*lines, **changes):
    batch = of(listed(line_items=list(lines), **changes))
    return batch.lines["line_item_id"].tolist()


def test_a_line_that_was_taken_off_the_return_is_no_line_of_it():
    there = listed()["line_items"][0]
    first = there["line_item_id"]
    assert current(there, taken_off()) == [first]
    assert current(there, taken_off(), presentment={"line_items": [{"line_item_id": int(first)}]}) == [first]
    assert current(there, taken_off(price="5.00"), presentment={"line_items": [{"line_item_id": first}]}) == [first]


def test_a_line_that_may_still_be_on_the_return_is_kept():
    there = listed()["line_items"][0]
    first = there["line_item_id"]
    assert current(there, taken_off(returned_at="2026-01-05 22:27:16")) == [first, "999"]  # a free unit
    assert current(there, taken_off(price="0.01")) == [first, "999"]
    without = {name: value for name, value in taken_off().items() if name != "returned_at"}  # an older record has none
    assert current(there, without) == [first, "999"]
    for presentment in ([], {}, {"line_items": []}, {"line_items": [{"line_item_id": 5}]}, {"line_items": "none"}, "USD"):
        assert current(there, presentment=presentment) == [first]


def test_the_times_of_outcomes_are_read_from_every_form_they_come_in():
    php = {"date": "2026-06-02 16:00:00.000000", "timezone_type": 3, "timezone": "Europe/Berlin"}
    told = {"return_processed": None, "refund_processed": php, "gift_card_processed": "2026-06-02T14:00:00Z"}
    told |= {"exchange_processed": {**php, "timezone_type": 1, "timezone": "+02:00"}, "shop_cash_processed": {**php, "timezone": "UTC"}}
    found = row(of(listed(outcomes_processed_at=told)))
    at = datetime(2026, 6, 2, 14, tzinfo=UTC)
    names = ("return", "refund", "gift_card", "exchange", "shop_cash")
    assert [found[f"{name}_processed_at"] for name in names] == [None, at, at, at, at.replace(hour=16)]
    assert found["unparsed_times"] is None
    odd = row(of(listed(outcomes_processed_at={"refund_processed": {**php, "timezone": "../etc"}, "exchange_processed": "soon"})))
    assert odd["unparsed_times"] == "refund_processed,exchange_processed" and odd["is_paid"] is True


def test_units_in_exchange_are_counted_and_those_out_of_stock():
    units = [{"exchange_id": "1", "out_of_stock": True}, {"exchange_id": "2", "out_of_stock": False}, {"exchange_id": "3"}]
    found = row(of(listed(exchanges=units)))
    assert (found["exchange_units"], found["out_of_stock_units"]) == (3, 1)
    assert row(of(listed(exchanges=...)))["exchange_units"] is None


@pytest.mark.parametrize(
    ("state", "refund", "is_paid"), [("closed", "12.00", True), ("closed", "0.00", False), ("open", "12.00", False), ("closed", ..., False)]
)
def test_a_closed_return_of_2019_that_gave_a_refund_was_paid(state, refund, is_paid):
    absent = dict.fromkeys(("outcome", "updated_at", "was_processed", "refunds", "shopify_refund_object", "outcomes_processed_at"), ...)
    assert row(of(listed(state=state, refund=refund, **absent)))["is_paid"] is is_paid


@pytest.mark.parametrize("bad", ["9" * 101, "37\x00", "37\ud800", "37\x1b[0m"])
def test_a_key_that_cannot_be_one_is_named_and_is_not_taken_for_another(bad):
    batch = normalise(decoded_page(json.dumps([listed(id=bad)])), "list")
    found = row(batch)
    assert (found["return_id"], found["unparsed_keys"]) == (None, "id")
    spoiled = normalise(decoded_page(json.dumps([with_line(sku=bad * 3)])), "list")
    assert (line(spoiled)["sku"], line(spoiled)["unparsed_keys"]) == (None, "sku")


def decoded_page(text):
    return msgspec.json.decode(mended(text.encode()), type=list[msgspec.Raw])


def test_a_text_is_printable_and_no_longer_than_it_need_be():
    found = row(of(listed(order_name="#10\n01", outcome="x" * 6000)))
    assert found["order_name"] == "#10 01" and len(found["outcome"]) == 500
    assert len(of(listed(order_name="x" * 200_000)).bodies[0]) < 10_000


@pytest.mark.parametrize("name", WEBHOOKS)
def test_a_return_webhook_is_a_return_without_an_update_time(name):
    batch = normalise([payload(name)], "webhook")
    body = json.loads(payload(name))
    assert batch.rejected == []
    assert row(batch)["return_id"] == body["id"] and row(batch)["loop_state"] == body["state"]
    assert row(batch)["updated_at"] is None and row(batch)["created_at"] == datetime(2026, 1, 5, 22, 27, 15, tzinfo=UTC)
    assert len(batch.lines) == 2 and line(batch)["returned_at"] == datetime(2026, 1, 5, 22, 27, 16, tzinfo=UTC)
    assert row(batch)["is_paid"] is (body["state"] == "closed")


def test_before_a_label_exists_there_is_no_carrier_and_no_tracking_number():
    created = row(normalise([payload("webhook-return.created")], "webhook"))
    assert created["carrier"] is None and created["tracking_number"] is None and created["label_status"] == "pending"
    assert row(of(listed(carrier="N/A", tracking_number="", label_status="N/A")))["label_status"] is None
    assert row(of(listed(tracking_number=940010)))["tracking_number"] == "940010"


@pytest.mark.parametrize("source", ["list", "details", "webhook"])
def test_no_personal_data_passes_the_door(source):
    names = {"list": ["returns-list-unpaginated"], "details": ["return-details", "return-details-closed-refund"], "webhook": WEBHOOKS}
    for name in names[source]:
        parsed = json.loads(payload(name))
        batch = of(*(parsed if isinstance(parsed, list) else [parsed]), source=source)
        text = "\n".join(batch.bodies) + batch.returns.to_string() + batch.lines.to_string()
        assert [word for word in PERSONAL if word in text] == []
        assert json.loads(batch.bodies[0])["line_items"][0]["sku"] == "2039473-Y" or "closed" in name


def test_what_is_no_outcome_does_not_pass_with_the_outcomes():
    batch = of(listed(was_processed=False, outcomes_processed_at={"customer_name": "Canarina", "refund_processed": None}))
    assert "Canarina" not in batch.bodies[0] and "refund_processed" in batch.bodies[0]
    assert row(batch)["is_paid"] is False


def test_frames_have_exactly_the_declared_columns_types_and_no_nan():
    for batch in (of(*json.loads(LIST.read_bytes())["returns"]), of(), of(listed(line_items=[]))):
        for frame, table in ((batch.returns, RETURNS), (batch.lines, RETURN_LINES)):
            assert tuple(frame.columns) == table.all_columns
            assert all(str(kind) == "object" for kind in frame.dtypes)
            types = {Kind.TEXT: str, Kind.MONEY: Decimal, Kind.TIME: datetime, Kind.FLAG: bool, Kind.COUNT: int}
            for field in table.fields:
                assert all(value is None or type(value) is types[field.kind] for value in frame[field.name].tolist())


def test_money_that_does_not_parse_is_named_and_left_out_and_the_return_is_kept():
    batch = of(listed(refund="12,50", gift_card="NaN", upsell="", handling_fee=True), listed(id="2"))
    first = row(batch)
    assert (first["refund"], first["gift_card"], first["upsell"], first["handling_fee"]) == (None,) * 4
    assert sorted(first["unparsed_money"].split(",")) == ["gift_card", "handling_fee", "refund", "upsell"]
    assert row(batch, 1)["unparsed_money"] is None and batch.rejected == []
    assert line(of(with_line(price="free")))["unparsed_money"] == "price"


@pytest.mark.parametrize(
    ("written", "exact"), [("63.30", "63.30"), ("-5.00", "-5.00"), (20, "20"), (0.1, "0.1"), (None, None), (" 7.5 ", "7.5")]
)
def test_money_is_exact(written, exact):
    price = line(of(with_line(price=written)))["price"]
    assert price == (None if exact is None else Decimal(exact)) and str(price) == str(exact)


@pytest.mark.parametrize(
    "written",
    ["2023-01-01T22:27:15.000Z", "2023-01-01 22:27:15", "2023-01-01T22:27:15Z", "2023-01-01T22:27:15+00:00", "2023-01-02T00:27:15+02:00"],
)
def test_every_documented_date_is_read_as_utc(written):
    created = row(of(listed(created_at=written)))["created_at"]
    assert created == datetime(2023, 1, 1, 22, 27, 15, tzinfo=UTC) and created.tzinfo is UTC


@pytest.mark.parametrize("written", ["yesterday", "0000-00-00 00:00:00", 1672612035, "2023-13-01", "20230101", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_does_not_parse_is_named_and_left_out(written):
    batch = of(listed(created_at=written))
    assert row(batch)["created_at"] is None and row(batch)["unparsed_times"] == "created_at"
    assert line(of(with_line(returned_at=written)))["unparsed_times"] == "returned_at"


def test_a_blank_time_is_absent():
    assert row(of(listed(edited_at="")))["unparsed_times"] is None


@pytest.mark.parametrize(
    ("changes", "is_paid"),
    [
        ({}, False),
        ({"was_processed": True}, True),
        ({"was_processed": "1"}, True),
        ({"was_processed": "false"}, False),
        ({"outcomes_processed_at": {"refund_processed": {"date": "2026-01-06 18:30:05.000000", "timezone": "UTC"}}}, True),
        ({"outcomes_processed_at": {"refund_processed": "2026-01-06"}}, True),
        ({"outcomes_processed_at": {"some_new_outcome": {"date": "2026-01-06"}}}, True),
        ({"outcomes_processed_at": "2026-01-06"}, True),
        ({"outcomes_processed_at": []}, False),
        ({"outcomes_processed_at": None}, False),
        ({"refunds": []}, False),
        ({"refunds": [{"gateway": "manual", "amount": "0.00"}]}, True),
        ({"refunds": [{"amount": 20, "provider_refund_id": 987654321}]}, True),
        ({"shopify_refund_object": {"id": 5, "provider_refund_id": 6}}, True),
        ({"shopify_refund_object": [{"id": 5}]}, True),
        ({"shopify_refund_object": None}, False),
    ],
)
def test_a_return_is_paid_when_loop_says_so_in_any_way(changes, is_paid):
    assert row(of(listed(**changes)))["is_paid"] is is_paid


@pytest.mark.parametrize(
    ("state", "kept"), [("needs review", "review"), ("archived", "archived"), ("", None), (..., None), ("closed", "closed")]
)
def test_a_state_is_kept_as_it_is_but_for_the_old_spelling_of_review(state, kept):
    assert row(of(listed(state=state)))["loop_state"] == kept


@pytest.mark.parametrize(("written", "kept"), [(37603915, "37603915"), ("37603915", "37603915"), ("", None), (None, None), (..., None)])
def test_an_id_is_text_and_a_return_without_one_stays_in_the_frame(written, kept):
    batch = of(listed(id=written), listed(id="2"))
    assert batch.returns["return_id"].tolist() == [kept, "2"]
    assert batch.lines["return_id"].tolist() == [kept, kept, "2", "2"]
    assert len(batch.bodies) == 2 and batch.rejected == []


def test_a_blank_sku_is_absent_and_a_repeated_line_id_is_kept():
    record = listed()
    record["line_items"] = [record["line_items"][0] | {"sku": ""}, record["line_items"][0] | {"sku": None}]
    batch = of(record)
    assert batch.lines["sku"].tolist() == [None, None]
    assert batch.lines["line_item_id"].tolist() == ["293482039"] * 2


def test_one_record_that_cannot_be_decoded_harms_no_other_and_leaks_nothing():
    broken = listed(id=77, customer="sam@example.com", line_items={"price": "x", "customer": "Sam", "title": "write to sam@example.com"})
    broken["address"] = {"name": "Sam Shopper", "id": 3}
    broken["refund"] = ["Sam Shopper", {"amount": "1.00", "first_name": "Sam"}]
    batch = of(listed(), broken, listed(1))
    assert batch.returns["return_id"].tolist() == ["37603915", "37603922"] and len(batch.lines) == 4
    (rejected,) = batch.rejected
    assert (rejected.rule, rejected.record_key, rejected.order_name) == ("WIRE-001", "77", "#10382")
    assert "$." in rejected.reason
    assert [word for word in PERSONAL if word in rejected.body + rejected.reason] == []
    assert json.loads(rejected.body)["line_items"] == {"price": "x", "title": "write to [e-mail]"}
    assert json.loads(rejected.body)["refund"] == [{"amount": "1.00"}]


@pytest.mark.parametrize("raw", [b"5", b'"sam@example.com"', b"null", b"[1]", b'{"id": "1", "title": "\xff"', b"{}x"])
def test_a_record_that_is_no_object_is_rejected_under_a_hash(raw):
    batch = normalise([raw], "list")
    (rejected,) = batch.rejected
    assert rejected.record_key.startswith("sha256:") and rejected.order_name is None
    assert len(batch.returns) == 0 and "sam@" not in rejected.body + rejected.reason


def test_records_add_up():
    records = [json.dumps(listed(id=number)).encode() if number % 3 else b"[]" for number in range(30)]
    batch = normalise(records, "list")
    assert len(batch.returns) + len(batch.rejected) == 30 and len(batch.bodies) == len(batch.returns)
