"""Every body that the vendors document, served or posted as it stands, ends as rows of the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backhaul.connectors.loop.normalise import normalise
from backhaul.connectors.masonhub import webhook
from backhaul.connectors.vendor import Told
from backhaul.pipeline import intake, receiving
from flows.recorded import recorded_run
from tests.connectors.vendor_server import PAYLOADS, Answer, Request, Vendor, said
from tests.e2e.house import House

LISTS = ["returns-list-paginated", "returns-list-unpaginated", "returns-list-empty-page"]
DETAILS = ["return-details", "return-details-closed-refund"]
RMAS = ["rma_list_response_detail", "rma_list_response_mixed", "rma_list_response_empty"]
CALLBACKS = sorted(path.stem for path in (PAYLOADS / "masonhub").glob("callback_v*.json"))


class Documented:
    """Vendors that answer every call with a documented body."""

    def __init__(self, build: Callable[..., House], returns: str = LISTS[2], rmas: str = RMAS[2]) -> None:
        page = json.loads(loop(returns))
        only_page = page if isinstance(page, list) else page | {"nextPageUrl": None}
        self.vendor, self.bodies = Vendor(), (json.dumps(only_page).encode(), loop("asn-report"), masonhub(rmas))
        self.vendor.respond = self.respond
        base = {"base_url": self.vendor.url}
        self.house = build({"acme": {"mode": "shadow", "policy": {"announce": "off"}, "loop": base, "masonhub": base}})

    def respond(self, request: Request) -> Answer:
        returns, notice, rmas = self.bodies
        if request.path.endswith("/list"):
            return Answer(returns) if request.query["state"] == "open" else said([])
        return Answer(notice if request.path.endswith("/asn") else rmas)


@pytest.fixture
def documented(build: Callable[..., House]) -> Iterator[Callable[..., Documented]]:
    made: list[Documented] = []

    def make(**bodies: str) -> Documented:
        made.append(Documented(build, **bodies))
        return made[-1]

    yield make
    for one in made:
        one.vendor.stop()


def loop(name: str) -> bytes:
    return (PAYLOADS / "loop" / f"{name}.json").read_bytes()


def masonhub(name: str) -> bytes:
    return (PAYLOADS / "masonhub" / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", LISTS)
def test_a_documented_list_of_returns_ends_as_returns_lines_and_versions(documented: Callable[..., Documented], name: str) -> None:
    house = documented(returns=name).house
    counts = house.sync().counts
    body = json.loads(loop(name))
    wanted = body if isinstance(body, list) else body["returns"]
    assert {row["return_id"] for row in house.rows("SELECT return_id FROM returns")} == {str(one["id"]) for one in wanted}
    lines = {str(line["line_item_id"]) for one in wanted for line in one["line_items"]}
    assert {row["line_item_id"] for row in house.rows("SELECT line_item_id FROM return_lines")} == lines
    assert len(house.rows("SELECT * FROM return_versions")) == len(wanted)
    assert counts.get("quarantined", 0) == 0
    quiet = house.dump()
    house.sync()
    assert house.dump() == quiet


@pytest.mark.parametrize("name", RMAS)
def test_a_documented_list_of_rmas_ends_as_rmas_and_receipts(documented: Callable[..., Documented], name: str) -> None:
    house = documented(returns=LISTS[0], rmas=name).house
    wanted = {one["customer_identifier"] or f"dc:{one['id']}" for one in json.loads(masonhub(name))["data"]}
    with recorded_run("sync", "acme", config=str(house.file), trigger="command") as session:
        client = session.warehouses["masonhub"]
        receiving.take_in(session, "masonhub", client.find([key for key in wanted if not key.startswith("dc:")]))
        receiving.take_in(session, "masonhub", client.news(house.world.now, house.world.now).batch)
    assert {row["rma_key"] for row in house.rows("SELECT rma_key FROM rmas")} == wanted
    assert house.rows("SELECT * FROM quarantine") == []
    if name == RMAS[0]:
        assert house.rows("SELECT * FROM receipt_lines")


@pytest.mark.parametrize(("name", "source"), [*((name, "details") for name in DETAILS), ("webhook-return.created", "webhook")])
def test_a_documented_return_read_alone_or_posted_ends_as_rows(documented: Callable[..., Documented], name: str, source: Any) -> None:
    house = documented().house
    with recorded_run("sync", "acme", config=str(house.file), trigger="command") as session:
        news = intake.keep_news(session, normalise([loop(name)], source), source)
        intake.load(session, intake.check(session, news))
    [row] = house.rows("SELECT * FROM returns")
    assert row["return_id"] == str(json.loads(loop(name))["id"])
    assert len(house.rows("SELECT * FROM return_lines")) == len(json.loads(loop(name))["line_items"])


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_documented_callback_ends_as_an_rma_and_its_receipt(documented: Callable[..., Documented], name: str) -> None:
    house = documented().house
    with recorded_run("sync", "acme", config=str(house.file), trigger="command") as session:
        told = [Told(one.topic, one.body.encode()) for one in webhook.read({}, masonhub(name))]
        receiving.take_in(session, "masonhub", webhook.receipts(told)[0], channel="webhook")
    wanted = json.loads(masonhub(name))["data"]
    keys = {one["customer_identifier"] or f"dc:{one['id']}" for one in wanted}
    assert {row["rma_key"] for row in house.rows("SELECT rma_key FROM rmas")} == keys
    assert {row["rma_key"] for row in house.rows("SELECT rma_key FROM receipts")} == keys
    assert house.rows("SELECT * FROM quarantine") == []
    if any(one.get("status") == "received" for one in wanted):
        assert house.rows("SELECT * FROM receipt_lines")
