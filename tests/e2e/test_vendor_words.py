"""Bad text by every road in, on both databases: cleaned, or its record quarantined; no other record suffers, nothing vanishes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backhaul.connectors.loop.normalise import normalise
from backhaul.errors import StructuralError
from backhaul.pipeline import intake, receiving
from backhaul.receiver.readings import as_events
from flows.recorded import recorded_run
from tests.connectors.vendor_server import PAYLOADS, Answer, Request, Vendor, said
from tests.e2e.house import House

LISTED = json.loads((PAYLOADS / "loop" / "returns-list-unpaginated.json").read_bytes())[0]
RMA = json.loads((PAYLOADS / "masonhub" / "rma_list_response_detail.json").read_bytes())["data"][0]
DEEP = '{"a":' * 3_000 + "1" + "}" * 3_000


def returned(number: int, **changes: Any) -> str:
    """A listed return as JSON text; `changes` with JSON text for values are put in as they stand."""
    lines = [line | {"line_item_id": f"{number}{place}"} for place, line in enumerate(LISTED["line_items"])]
    record = LISTED | {"id": str(number), "order_name": f"#{number}", "line_items": lines} | dict.fromkeys(changes, "?")
    text = json.dumps(record)
    for name, value in changes.items():
        text = text.replace(f'"{name}": "?"', f'"{name}": {value}')
    return text


GOOD = {
    "1": returned(1),
    "2": returned(2, order_name='"#2\\u0000"'),
    "3": returned(3, outcome='"refund\\ud800"'),
    "4": returned(4, order_name=json.dumps("#" + "4" * 6_000)),
    "5": returned(5, metafields=DEEP),
    "6": returned(6, carrier='"a\\u001b[31mb"'),
}
BAD = {
    "7\\u0000": returned(7).replace('"id": "7"', '"id": "7\\u0000"'),
    "8": returned(8).replace('"id": "8"', f'"id": "{"8" * 6_000}"'),
    "9": returned(9, line_items=DEEP),
    "10": returned(10).replace(f'"sku": "{LISTED["line_items"][0]["sku"]}"', f'"sku": "{"S" * 6_000}"'),
    "11": returned(11).replace('"line_item_id": "110"', '"line_item_id": "11\\ud8000"'),
}


class Vendors:
    """Vendors that answer with the bytes they are given."""

    def __init__(self, build: Callable[..., House], url: str) -> None:
        self.vendor, self.page, self.rmas = Vendor(), "[]", '{"data":[]}'
        self.vendor.respond = self.respond
        base = {"base_url": self.vendor.url}
        self.house = build({"acme": {"mode": "shadow", "policy": {"announce": "off"}, "loop": base, "masonhub": base}}, url)

    def respond(self, request: Request) -> Answer:
        if request.path.endswith("/list"):
            return Answer(self.page.encode()) if request.query["state"] == "open" else said([])
        return said([]) if request.path.endswith("/asn") else Answer(self.rmas.encode())


@pytest.fixture
def vendors(build: Callable[..., House], store_url: str) -> Iterator[Vendors]:
    made = Vendors(build, store_url)
    yield made
    made.vendor.stop()


def test_a_page_with_bad_texts_is_taken_in_and_only_records_without_a_key_are_quarantined(vendors: Vendors) -> None:
    house = vendors.house
    vendors.page = f"[{','.join([*GOOD.values(), *BAD.values()])}]"
    counts = house.sync().counts
    assert (counts["records_in"], counts["records_out"], counts["quarantined"]) == (len(GOOD) + len(BAD), len(GOOD), len(BAD))
    stored = {row["return_id"]: row for row in house.rows("SELECT * FROM returns")}
    assert set(stored) == set(GOOD)
    assert stored["2"]["order_name"] == "#2\N{REPLACEMENT CHARACTER}" and stored["6"]["carrier"] == "a [31mb"
    assert len(stored["4"]["order_name"]) == 500
    held = house.rows("SELECT record_key, rules, body FROM quarantine")
    assert all(len(row["record_key"]) <= 100 and len(row["body"]) < 20_000 for row in held)
    assert {"9", "10", "11"} < {row["record_key"] for row in held}
    quiet = house.dump()
    assert house.sync().counts.get("quarantined", 0) == 0
    assert house.dump() == quiet


@pytest.mark.parametrize("source", ["details", "webhook"])
def test_a_return_by_another_road_is_treated_the_same(vendors: Vendors, source: Any) -> None:
    house = vendors.house
    with recorded_run("sync", "acme", config=str(house.file), trigger="command") as session:
        for text in (*GOOD.values(), *BAD.values()):
            body = as_events("acme", "loop", text.encode(), house.world.now)[0].body if source == "webhook" else None
            batch = normalise([(body or _mended(text)).encode()], source)
            intake.load(session, intake.check(session, intake.keep_news(session, batch, source)))
    assert {row["return_id"] for row in house.rows("SELECT return_id FROM returns")} == set(GOOD)
    assert len(house.rows("SELECT 1 FROM quarantine WHERE released_at IS NULL")) == len(BAD)


def _mended(text: str) -> str:
    from backhaul.connectors.text import mended

    return mended(text.encode()).decode()


def test_a_receipt_with_bad_texts_is_cleaned_or_quarantined_and_its_page_is_read(vendors: Vendors) -> None:
    house = vendors.house
    made = [json.dumps(RMA | {"customer_identifier": None, "id": f"rma-{number}", "status": "received"}) for number in range(5)]
    sku = RMA["line_items"][0]["customer_sku_id"]
    made[1] = made[1].replace(f'"{sku}"', f'"{sku}\\u0000"')
    made[2] = made[2].replace('"rma-2"', f'"{"2" * 6_000}"')
    made[3] = made[3].replace('"status": "received"', f'"status": "received", "extra": {DEEP}')
    made[4] = made[4].replace('"status": "received"', '"status": "received", "return_type": "\\udfff\\u0000"')
    vendors.rmas = f'{{"data":[{",".join(made)}]}}'
    with recorded_run("sync", "acme", config=str(house.file), trigger="command") as session:
        batch = session.warehouses["masonhub"].news(house.world.now, house.world.now).batch
        receiving.take_in(session, "masonhub", batch)
    assert {row["rma_key"] for row in house.rows("SELECT rma_key FROM rmas")} == {"dc:rma-0", "dc:rma-3", "dc:rma-4"}
    assert len(house.rows("SELECT 1 FROM quarantine")) == 2


def test_a_poll_of_which_a_fifth_is_bad_loads_nothing_and_an_events_never_judges(vendors: Vendors) -> None:
    house = vendors.house
    bad = [RMA | {"customer_identifier": None, "id": f"rma-{number}", "status": "received", "received_at": "soon"} for number in range(60)]
    vendors.rmas = json.dumps({"data": bad})
    with recorded_run("sync", "acme", config=str(house.file), trigger="command") as session:
        batch = session.warehouses["masonhub"].news(house.world.now, house.world.now).batch
        with pytest.raises(StructuralError, match="60 of 60 receipts of masonhub"):
            receiving.take_in(session, "masonhub", batch)
        assert house.rows("SELECT 1 FROM quarantine") == []
        receiving.take_in(session, "masonhub", batch, channel="webhook")
        receiving.take_in(session, "masonhub", batch)  # by then all of them are known
    assert len(house.rows("SELECT 1 FROM quarantine WHERE released_at IS NULL")) == 60
