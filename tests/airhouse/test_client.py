"""The Airhouse client over real HTTP: what it sends, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from backhaul.connectors.airhouse.client import Airhouse
from backhaul.connectors.airhouse.settings import AirhouseSettings
from backhaul.connectors.base import Verdict, Warehouse
from backhaul.domain.rma import RmaDraft, RmaLine
from backhaul.errors import ConfigError, StructuralError, TransientVendorError, UnauthorizedError
from backhaul.sandbox.server import Sandbox
from tests.airhouse.conftest import item, payload
from tests.connectors.vendor_server import SECRET, Answer, Request, Vendor, said

CREATED = payload("return_create_response_201")
KEY = CREATED["external_id"]
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
Row = dict[str, Any]


def draft(return_id: str = KEY, **changes: Any) -> RmaDraft:
    fields: Row = {"return_id": return_id, "order_name": "#10021", "order_number": "10021", "ordinal": 1, "tracking_number": "94001"}
    lines = (RmaLine("TEE-NVY-M", 2, "tooBig", "Too big"), RmaLine("CAP-RED", 1, "other"))
    return RmaDraft(**fields | {"lines": lines} | changes)


def settings(url: str, **changes: Any) -> AirhouseSettings:
    return AirhouseSettings.model_validate({"base_url": url, "api_key": "env:KEY", "assumed_contract": True} | changes)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    running = Vendor()
    yield running
    running.stop()


@pytest.fixture
def client(vendor: Vendor) -> Iterator[Airhouse]:
    with Airhouse.connect(settings(vendor.url), merchant="client-tests", api_key=SecretStr(SECRET)) as connected:
        yield connected


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(merchants=("acme",)) as running:
        yield running


@pytest.fixture
def airhouse(box: Sandbox) -> Iterator[Airhouse]:
    box.world.reset()
    key = SecretStr(box.keys["acme"].airhouse_api_key)
    with Airhouse.connect(settings(box.airhouse_url("acme"), requests_per_minute=6_000), merchant="acme", api_key=key) as connected:
        yield connected


def test_airhouse_is_a_warehouse_that_takes_one_return_a_call_and_has_to_close_it(client: Airhouse) -> None:
    warehouse: Warehouse = client
    assert (warehouse.name, warehouse.batch_size, warehouse.must_close) == ("airhouse", 1, True)
    for write in (client.create, client.update):
        with pytest.raises(ValueError, match="one return a call"):
            write([draft(), draft("2")])


def test_nothing_is_called_until_the_contract_is_assumed(vendor: Vendor) -> None:
    with pytest.raises(ConfigError, match=r"merchants\.acme\.airhouse\.assumed_contract is not true") as caught:
        Airhouse.connect(settings(vendor.url, assumed_contract=False), merchant="acme", api_key=SecretStr(SECRET))
    assert "\n" not in str(caught.value) and vendor.requests == []


def test_a_draft_is_announced_in_airhouses_words(vendor: Vendor, client: Airhouse) -> None:
    vendor.says(said(CREATED, 201))
    assert [outcome.verdict for outcome in client.create([draft()])] == [Verdict.ACCEPTED]
    (request,) = vendor.requests
    assert (request.method, request.path) == ("POST", "/api/returns")
    assert request.headers["Idempotency-Key"] == KEY and request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.json == {
        "external_id": KEY,
        "order_number": "#10021",
        "source": "loop",
        "type": "customer_return",
        "tracking_number": "94001",
        "items": [
            {"sku": "TEE-NVY-M", "expected_quantity": 2, "return_reason": "Too big"},
            {"sku": "CAP-RED", "expected_quantity": 1, "return_reason": "other"},
        ],
    }
    documented = payload("return_create_request")
    assert set(documented) >= set(request.json)


def test_what_is_not_known_yet_is_left_out(vendor: Vendor, client: Airhouse) -> None:
    vendor.says(said(CREATED, 201))
    client.create([draft(order_name=None, tracking_number=None)])
    assert {"order_number", "tracking_number"} & set(vendor.requests[0].json) == set()


@pytest.mark.parametrize(
    ("name", "status", "verdict", "code"),
    [
        ("return_create_response_409_duplicate", 409, Verdict.EXISTS, "duplicate_external_id"),
        ("return_create_response_422", 422, Verdict.REFUSED, "unknown_sku"),
    ],
)
def test_a_refusal_has_airhouses_code(vendor: Vendor, client: Airhouse, name: str, status: int, verdict: Verdict, code: str) -> None:
    vendor.says(said(payload(name), status))
    (outcome,) = client.create([draft()])
    assert (outcome.return_id, outcome.verdict, outcome.code) == (KEY, verdict, code)


def test_the_same_return_again_is_accepted_again(airhouse: Airhouse, box: Sandbox) -> None:
    assert [airhouse.create([draft()])[0].verdict for _ in range(2)] == [Verdict.ACCEPTED] * 2
    assert box.world.effects("acme", "airhouse.create", KEY) == 1


def test_another_return_with_our_external_id_exists(airhouse: Airhouse, box: Sandbox) -> None:
    box.world.airhouse("acme").create({"external_id": KEY, "items": [{"sku": "TEE", "expected_quantity": 1}]})
    assert airhouse.create([draft()])[0].verdict is Verdict.EXISTS


@pytest.mark.parametrize("answer", [said({"data": []}), said({**CREATED, "external_id": "another"}), said(True)])
def test_an_answer_that_does_not_show_the_effect_leaves_it_uncertain(vendor: Vendor, client: Airhouse, answer: Answer) -> None:
    vendor.says(answer)
    assert client.create([draft()]) == []


@pytest.mark.parametrize("answer", [Answer(b"<html>", 200), Answer(b"{}", 500), Answer(trick="close")])
def test_a_lost_answer_is_uncertain(vendor: Vendor, client: Airhouse, answer: Answer) -> None:
    vendor.says(answer)
    with pytest.raises(TransientVendorError) as caught:
        client.create([draft()])
    assert not caught.value.is_certain and len(vendor.requests) == 1


def test_a_key_that_is_not_accepted_is_told_with_its_reference(vendor: Vendor, client: Airhouse) -> None:
    vendor.says(said({"error": {"code": "unauthorized", "message": "no"}}, 401))
    with pytest.raises(UnauthorizedError, match="env:KEY") as caught:
        client.close([KEY])
    assert SECRET not in str(caught.value)


def test_a_requested_return_is_updated_and_one_that_arrived_is_not(airhouse: Airhouse, box: Sandbox) -> None:
    airhouse.create([draft()])
    changed = draft(tracking_number="94002", lines=(RmaLine("CAP-RED", 3, "other", "Changed my mind"),))
    assert airhouse.update([changed])[0].verdict is Verdict.ACCEPTED
    held = box.world.airhouse("acme").need(KEY)
    assert (held.tracking_number, [(each["sku"], each["expected_quantity"]) for each in held.items]) == ("94002", [("CAP-RED", 3)])
    box.world.airhouse("acme").move(held, "delivered")
    outcome = airhouse.update([draft()])[0]
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_OPEN, "invalid_state")


def test_cancelling_and_closing_are_accepted_again_when_they_are_done(airhouse: Airhouse, box: Sandbox) -> None:
    for return_id in ("1", "2"):
        airhouse.create([draft(return_id)])
    assert airhouse.close(["1"])[0].verdict is Verdict.NOT_OPEN
    box.world.receive("acme", "1")
    assert airhouse.cancel(["1"])[0].verdict is Verdict.NOT_OPEN
    for write, return_id, name in ((airhouse.close, "1", "close"), (airhouse.cancel, "2", "cancel")):
        assert [write([return_id])[0].verdict for _ in range(2)] == [Verdict.ACCEPTED] * 2
        assert box.world.effects("acme", f"airhouse.{name}", return_id) == 1


def test_what_airhouse_does_not_have_is_missing(airhouse: Airhouse) -> None:
    assert airhouse.update([draft()])[0].verdict is Verdict.MISSING
    assert airhouse.cancel([KEY])[0].verdict is Verdict.MISSING
    assert airhouse.close([KEY])[0].verdict is Verdict.MISSING


def test_returns_are_found_by_their_keys_and_those_that_are_not_there_are_absent(airhouse: Airhouse, box: Sandbox) -> None:
    for return_id in ("1", "2"):
        airhouse.create([draft(return_id)])
    box.world.receive("acme", "2", "damaged")
    batch = airhouse.find(["2", "none", "1", "2"])
    assert dict(zip(batch.receipts["return_id"], batch.receipts["rma_status"], strict=True)) == {"2": "processed", "1": "requested"}
    assert box.world.journal.count("airhouse.list") == 3


def test_a_server_that_ignores_the_filter_gives_no_stranger(vendor: Vendor, client: Airhouse) -> None:
    vendor.says(said(payload("return_list_response")))
    assert list(client.find(["loop-52393601"]).receipts["rma_id"]) == ["ret_8Z1A"]
    assert vendor.requests[0].query == {"external_id": "loop-52393601", "limit": "100"}


def test_news_is_all_that_changed_since_page_by_page(vendor: Vendor, client: Airhouse) -> None:
    pages = {None: "p2", "p2": "p3", "p3": None}

    def respond(request: Request) -> Answer:
        cursor = request.query.get("cursor")
        record = CREATED | {"id": f"ret_{cursor}", "external_id": str(cursor), "status": "processed", "items": [item()]}
        return said({"data": [record], "next_cursor": pages[cursor]})

    vendor.respond = respond
    batch = client.news(SINCE, SINCE + timedelta(days=1)).batch
    assert list(batch.receipts["return_id"]) == ["None", "p2", "p3"] and len(batch.lines) == 3
    assert [request.query.get("updated_since") for request in vendor.requests] == ["2026-03-01T00:00:00.000000Z"] * 3


def test_a_return_that_changes_while_it_is_read_is_taken_once_and_as_it_is_last(vendor: Vendor, client: Airhouse) -> None:
    vendor.says(
        said({"data": [CREATED], "next_cursor": "p2"}),
        said({"data": [CREATED | {"status": "delivered"}], "next_cursor": None}),
    )
    assert list(client.news(SINCE, SINCE).batch.receipts["rma_status"]) == ["delivered"]


def test_a_list_that_goes_in_circles_or_is_none_fails_the_poll(vendor: Vendor, client: Airhouse) -> None:
    vendor.says(said({"data": [], "next_cursor": "again"}))
    with pytest.raises(StructuralError, match="same cursor"):
        client.news(SINCE, SINCE)
    vendor.says(said({"returns": []}))
    with pytest.raises(StructuralError, match="a shape that is not known"):
        client.news(SINCE, SINCE)


def test_a_range_of_time_is_aware(client: Airhouse) -> None:
    with pytest.raises(ValueError, match="aware"):
        client.news(datetime(2026, 3, 1), SINCE)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<a>Found</a>", 302, {"Location": "/login"}),
        Answer(b"<html>no such site</html>", 404),
        said({"error": {"code": "not_found", "message": "no such path"}}, 404),
        said({"error": {"code": "invalid", "message": "bad filter"}}, 422),
        said({"data": [{"external_id": KEY, "id": "ret_1", "items": "none"}]}),
        said({"returns": []}),
    ],
)
def test_a_read_that_fails_before_a_write_is_passing_and_certain_whatever_it_met(
    vendor: Vendor, client: Airhouse, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backhaul.connectors.http.BACKOFF_FIRST", 0.001)
    vendor.says(answer)
    for write in (lambda: client.update([draft()]), lambda: client.close([KEY]), lambda: client.cancel([KEY])):
        with pytest.raises(TransientVendorError) as caught:
            write()
        assert caught.value.is_certain
    assert {request.method for request in vendor.requests} == {"GET"}


def test_news_in_parts_goes_on_from_airhouses_own_cursor(vendor: Vendor, client: Airhouse) -> None:
    pages = {None: "p2", "p2": "p3", "p3": None}

    def respond(request: Request) -> Answer:
        cursor = request.query.get("cursor")
        return said({"data": [CREATED | {"id": f"ret_{cursor}", "external_id": str(cursor)}], "next_cursor": pages[cursor]})

    vendor.respond = respond
    first = client.news(SINCE, SINCE, calls=2)
    assert (list(first.batch.receipts["return_id"]), first.calls, first.cursor) == (["None", "p2"], 2, "p3")
    rest = client.news(SINCE, SINCE, calls=2, cursor=first.cursor)
    assert (list(rest.batch.receipts["return_id"]), rest.calls, rest.cursor) == (["p3"], 1, None)


def test_a_list_that_pages_without_end_fails_with_what_was_asked(vendor: Vendor, client: Airhouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backhaul.connectors.airhouse.client.PAGES_LONGEST", 30)
    vendor.respond = lambda _: said({"data": [], "next_cursor": f"p{len(vendor.requests)}"})
    with pytest.raises(StructuralError, match=r"updated_since .* has not ended after 30 pages"):
        client.news(SINCE, SINCE)
    with pytest.raises(StructuralError, match=f"external_id {KEY}.* has not ended after 20 pages"):
        client.find([KEY])
    assert len(vendor.requests) == 50
