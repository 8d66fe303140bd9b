"""The ShipBob client against the simulator over real HTTP: what it sends, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from backhaul.connectors.base import Verdict, Warehouse
from backhaul.connectors.shipbob.client import ShipBob
from backhaul.connectors.shipbob.items import Items
from backhaul.domain.rma import RmaLine
from backhaul.errors import ConfigError, StructuralError, TransientVendorError, UnauthorizedError
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.shipbob.state import READ_ONLY_CHANNEL, ShipBobAccount
from tests.connectors.vendor_server import SECRET, Vendor, said
from tests.shipbob.conftest import KEY, Connect, draft, payload, receipt, settings, units


def verdict(outcomes: list[Any]) -> Verdict:
    (outcome,) = outcomes
    return outcome.verdict


def calls(box: Sandbox, operation: str) -> list[dict[str, str]]:
    return [call.params for call in box.world.journal.calls(operation)]


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    running = Vendor()
    yield running
    running.stop()


@pytest.fixture
def told_client(vendor: Vendor) -> Iterator[ShipBob]:
    """A client of a server that answers as it is told."""
    mine = settings(vendor.url)
    with ShipBob.connect(mine, merchant="acme", token=SecretStr(SECRET), mode="shadow") as client:
        client.items = Items()
        yield client


def test_shipbob_is_a_warehouse_that_takes_one_return_a_call_and_closes_them_itself(shipbob: ShipBob) -> None:
    warehouse: Warehouse = shipbob
    assert (warehouse.name, warehouse.batch_size, warehouse.must_close) == ("shipbob", 1, False)


@pytest.mark.parametrize(("mode", "assumed", "is_let_in"), [("shadow", False, True), ("live", True, True), ("live", False, False)])
def test_a_merchant_is_live_only_where_the_contract_is_assumed(connect: Connect, mode: str, assumed: bool, is_let_in: bool) -> None:
    if is_let_in:
        connect(mode=mode, assumed_contract=assumed)
        return
    with pytest.raises(ConfigError, match=r"^merchants\.acme\.shipbob\.assumed_contract is not true, so merchants\.acme\.mode must"):
        connect(mode=mode, assumed_contract=assumed)


def test_a_draft_is_announced_by_inventory_ids_each_once(shipbob: ShipBob, box: Sandbox, account: ShipBobAccount) -> None:
    assert verdict(shipbob.create([draft()])) is Verdict.ACCEPTED
    (write,) = box.world.journal.writes("shipbob.create")
    tee, cap = (account.stock(sku)[0].inventory_id for sku in ("TEE-BLU-M", "CAP-RED"))
    assert write.body == {
        "reference_id": KEY,
        "fulfillment_center": {"id": 22},
        "inventory": [
            {"id": tee, "quantity": 2, "requested_action": "Default"},
            {"id": cap, "quantity": 1, "requested_action": "Default"},
        ],
        "tracking_number": "1Z01",
    }
    assert set(write.body) == set(payload("return_create_request"))


def test_no_tracking_number_is_left_out(shipbob: ShipBob, box: Sandbox) -> None:
    shipbob.create([draft(tracking_number=None)])
    assert "tracking_number" not in box.world.journal.writes("shipbob.create")[0].body


def test_commas_and_colons_go_out_as_they_are(told_client: ShipBob, vendor: Vendor) -> None:
    raw: list[str] = []
    vendor.respond = lambda request: said({"items": [], "next": None})
    original = told_client.http._client.send
    told_client.http._client.send = lambda request, **more: (raw.append(str(request.url)), original(request, **more))[1]  # type: ignore[method-assign]
    told_client.find(["1", "2"])
    told_client.news(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
    told_client.create([draft()])
    assert "ReferenceIds=1,2&" in raw[0]
    assert "CompletedStartDate=2026-10-30T00:00:00Z&CompletedEndDate=2026-11-02T00:00:00Z&" in raw[1]
    assert "Status=AwaitingArrival,Arrived,Processing&SortOrder=Asc" in raw[2]
    assert "SKU=any:TEE-BLU-M,CAP-RED&" in raw[3]
    assert vendor.requests[0].headers["User-Agent"].startswith("backhaul/")


def test_inventory_ids_are_looked_up_once_and_kept_for_a_day(connect: Connect, box: Sandbox) -> None:
    time = [0.0]
    client = connect()
    client.items = Items(clock=lambda: time[0])
    for place in range(3):
        client.create([draft(str(place))])
    assert len(calls(box, "shipbob.product.list")) == 1
    time[0] = timedelta(days=1).total_seconds() + 1
    client.create([draft("3")])
    assert len(calls(box, "shipbob.product.list")) == 2


@pytest.mark.parametrize(
    ("code", "variants"),
    [
        ("unknown_sku", []),
        ("unknown_sku", [{"is_active": False}]),
        ("ambiguous_sku", [{}, {}]),
        ("bundle", [{"parts": ("A", "B")}]),
        ("no_stock", [{"is_digital": True}]),
    ],
)
def test_a_sku_that_shipbob_cannot_take_back_is_refused_before_anything_is_sent(
    shipbob: ShipBob, box: Sandbox, account: ShipBobAccount, code: str, variants: list[dict[str, Any]]
) -> None:
    account.options.known_skus = frozenset({"TEE-BLU-M"})
    for fields in variants:
        account.add_variant("CAP-RED", **fields)
    (outcome,) = shipbob.create([draft()])
    assert (outcome.verdict, outcome.code) == (Verdict.REFUSED, code)
    assert "CAP-RED" in (outcome.message or "") and box.world.journal.writes() == []


def test_one_active_item_among_inactive_ones_is_the_one(shipbob: ShipBob, account: ShipBobAccount) -> None:
    account.add_variant("CAP-RED", is_active=False)
    wanted = account.add_variant("CAP-RED").inventory_id
    shipbob.create([draft()])
    assert wanted in [line["id"] for line in account.need(KEY).lines]


def test_a_sku_that_was_unfit_is_asked_for_again(shipbob: ShipBob, account: ShipBobAccount) -> None:
    account.options.known_skus = frozenset({"TEE-BLU-M"})
    assert verdict(shipbob.create([draft()])) is Verdict.REFUSED
    account.options.known_skus = None
    assert verdict(shipbob.create([draft()])) is Verdict.ACCEPTED


def test_a_reference_that_is_taken_exists_and_says_when_it_is_not_what_we_announced(shipbob: ShipBob, box: Sandbox) -> None:
    shipbob.create([draft()])
    (same,) = shipbob.create([draft()])
    (other,) = shipbob.create([draft(lines=(RmaLine("CAP-RED", 3, "other"),))])
    assert (same.verdict, same.message) == (Verdict.EXISTS, None)
    assert (other.verdict, other.message) == (Verdict.EXISTS, "it is there with other items or quantities than ours")
    assert box.world.effects("acme", "shipbob.create") == 1


def test_a_reference_of_a_cancelled_return_is_refused_with_the_reason(shipbob: ShipBob) -> None:
    shipbob.create([draft()])
    shipbob.cancel([KEY])
    (outcome,) = shipbob.create([draft()])
    assert outcome.verdict is Verdict.REFUSED and "cancelled return 3300001" in (outcome.message or "")


def test_a_create_without_a_channel_that_may_write_is_unauthorized(connect: Connect) -> None:
    with pytest.raises(UnauthorizedError, match="returns_write"):
        connect(channel_id=READ_ONLY_CHANNEL).create([draft()])


def test_a_create_whose_answer_is_not_ours_is_uncertain(told_client: ShipBob, vendor: Vendor) -> None:
    vendor.says(said(payload("product_lookup_by_sku")), said(payload("return_create_response_201") | {"reference_id": "7"}, 201))
    assert told_client.create([draft()]) == []


def test_the_documented_answer_to_a_create_is_accepted(told_client: ShipBob, vendor: Vendor) -> None:
    vendor.says(said(payload("product_lookup_by_sku")), said(payload("return_create_response_201"), 201))
    assert verdict(told_client.create([draft()])) is Verdict.ACCEPTED
    assert vendor.requests[1].json == payload("return_create_request") | {
        "tracking_number": "1Z01",
        "inventory": [line | {"requested_action": "Default"} for line in payload("return_create_request")["inventory"]],
    }
    assert vendor.requests[1].headers["shipbob_channel_id"] == "100102"


def test_the_documented_refusal_is_read_from_the_record_and_not_from_its_words(told_client: ShipBob, vendor: Vendor) -> None:
    refused = said(payload("return_create_response_422_duplicate"), 422)
    vendor.says(said(payload("product_lookup_by_sku")), refused, said({"items": [payload("return_get_awaiting_arrival")], "next": None}))
    assert verdict(told_client.create([draft()])) is Verdict.EXISTS
    vendor.says(refused, said({"items": [], "next": None}))
    assert verdict(told_client.create([draft()])) is Verdict.REFUSED


def test_an_update_replaces_the_whole_return_by_its_own_id(shipbob: ShipBob, box: Sandbox, account: ShipBobAccount) -> None:
    shipbob.create([draft(tracking_number=None)])
    assert verdict(shipbob.update([draft(tracking_number="1Z02", lines=(RmaLine("CAP-RED", 4, "other"),))])) is Verdict.ACCEPTED
    item = account.need(KEY)
    assert item.tracking_number == "1Z02" and [line["quantity"] for line in item.lines] == [4]
    assert box.world.journal.writes("shipbob.update")[0].path.endswith(f"/return/{item.id}")


@pytest.mark.parametrize("status", ["Arrived", "Processing", "Completed"])
def test_once_the_parcel_has_arrived_nothing_is_tried(shipbob: ShipBob, box: Sandbox, account: ShipBobAccount, status: str) -> None:
    shipbob.create([draft()])
    account.move(account.need(KEY), status)
    assert verdict(shipbob.update([draft()])) is Verdict.NOT_OPEN
    assert verdict(shipbob.cancel([KEY])) is Verdict.NOT_OPEN
    assert [write.operation for write in box.world.journal.writes()] == ["shipbob.create"]


@pytest.mark.parametrize("write", ["update", "cancel"])
def test_a_parcel_that_arrives_between_the_look_and_the_write_is_not_open(told_client: ShipBob, vendor: Vendor, write: str) -> None:
    waiting, arrived = payload("return_get_awaiting_arrival"), payload("return_get_processing_partial")
    told = payload("return_update_and_cancel")["put_too_late" if write == "update" else "cancel_too_late"]
    refusal = said(told["body"], told["status"])
    answers = [said({"items": [waiting], "next": None}), refusal, said({"items": [arrived], "next": None})]
    if write == "update":
        answers.insert(1, said(payload("product_lookup_by_sku")))
    vendor.says(*answers)
    assert verdict(told_client.update([draft()]) if write == "update" else told_client.cancel([KEY])) is Verdict.NOT_OPEN


def test_a_status_that_nobody_knows_lets_shipbob_decide(told_client: ShipBob, vendor: Vendor) -> None:
    odd = payload("return_get_awaiting_arrival") | {"status": "Pending Approval"}
    vendor.says(said({"items": [odd], "next": None}), said({}, 200), said({"items": [odd], "next": None}))
    assert told_client.cancel([KEY]) == []
    assert [(request.method, request.path) for request in vendor.requests][1] == ("POST", "/api/2026-01/return/3300001:cancel")


def test_a_cancel_is_read_back_and_may_be_repeated(shipbob: ShipBob, box: Sandbox) -> None:
    shipbob.create([draft()])
    assert [verdict(shipbob.cancel([KEY])) for _ in range(2)] == [Verdict.ACCEPTED] * 2
    assert box.world.effects("acme", "shipbob.cancel", KEY) == 1
    assert receipt(shipbob.find([KEY]))["rma_status"] == "Cancelled"


def test_what_was_cancelled_is_missing_to_an_update(shipbob: ShipBob) -> None:
    shipbob.create([draft()])
    shipbob.cancel([KEY])
    assert verdict(shipbob.update([draft()])) is Verdict.MISSING


def test_find_asks_for_fifty_at_a_time(shipbob: ShipBob, box: Sandbox) -> None:
    for place in range(3):
        shipbob.create([draft(str(place))])
    box.world.journal.clear()
    batch = shipbob.find([str(place) for place in range(120)])
    assert sorted(batch.receipts["rma_key"]) == ["0", "1", "2"]
    assert [len(asked["ReferenceIds"].split(",")) for asked in calls(box, "shipbob.return.list")] == [50, 50, 20]


@pytest.mark.parametrize("options", [{"next_is_path": True}, {"next_is_path": False}])
def test_pages_are_followed_to_the_end_whatever_form_their_links_have(
    shipbob: ShipBob, box: Sandbox, account: ShipBobAccount, options: dict[str, Any]
) -> None:
    for name, value in (options | {"page_cap": 3}).items():
        setattr(account.options, name, value)
    for place in range(7):
        shipbob.create([draft(str(place))])
    box.world.journal.clear()
    now = datetime.now(UTC)
    assert len(shipbob.news(now - timedelta(days=1), now + timedelta(minutes=1)).batch.receipts) == 7
    assert [asked["Cursor"] for asked in calls(box, "shipbob.return.list") if "Status" in asked and "Cursor" in asked] == ["2", "3"]


def test_nothing_found_may_be_a_404(shipbob: ShipBob, account: ShipBobAccount) -> None:
    account.options.empty_is_404 = True
    assert shipbob.find(["404"]).receipts.empty


def test_a_filter_that_falls_away_is_noticed(shipbob: ShipBob, account: ShipBobAccount) -> None:
    for place in range(30):
        account.create({"reference_id": str(place), "inventory": [], "fulfillment_center": {"id": 22}}, 1)
    account.options.is_filter_ignored, account.options.page_cap = True, 5
    with pytest.raises(StructuralError, match="sends returns that were not asked for, so ReferenceIds finds nothing out"):
        shipbob.find(["404"])
    assert list(shipbob.find(["29"]).receipts["rma_key"]) == ["29"]  # it came before the patience ended
    now = datetime.now(UTC)
    assert set(shipbob.news(now, now).batch.receipts["rma_status"]) == {"AwaitingArrival"}


def test_news_holds_nothing_that_does_not_answer_its_filters(shipbob: ShipBob, account: ShipBobAccount, box: Sandbox) -> None:
    for key in ("1", "2", "3"):
        shipbob.create([draft(key)])
    account.receive("1")
    shipbob.cancel(["2"])
    now = box.world.advance(timedelta(days=30))
    account.options.is_filter_ignored = True
    assert list(shipbob.news(now - timedelta(days=14), now).batch.receipts["rma_key"]) == ["3"]


def test_news_is_what_was_completed_and_what_is_open_each_once(shipbob: ShipBob, account: ShipBobAccount, box: Sandbox) -> None:
    for key in ("1", "2", "3"):
        shipbob.create([draft(key)])
    account.receive("1")
    account.receive("2", "partial")
    shipbob.cancel(["3"])
    now = box.world.now
    batch = shipbob.news(now - timedelta(days=14), now + timedelta(seconds=1)).batch
    assert dict(zip(batch.receipts["rma_key"], batch.receipts["rma_status"], strict=True)) == {"1": "Completed", "2": "Processing"}


def test_news_is_read_in_parts_that_go_on_where_the_last_one_ended(shipbob: ShipBob, account: ShipBobAccount, box: Sandbox) -> None:
    for place in range(12):
        shipbob.create([draft(str(place))])
        if place < 4:
            account.receive(str(place))
    account.options.page_cap = 2
    box.world.journal.clear()
    since, until = box.world.now - timedelta(days=1), box.world.now + timedelta(seconds=1)
    parts = [shipbob.news(since, until, 3)]
    while parts[-1].cursor is not None:
        parts.append(shipbob.news(since + timedelta(days=9), until, 3, parts[-1].cursor))
    assert [part.calls for part in parts] == [3, 3] and len(calls(box, "shipbob.return.list")) == 6
    assert list(parts[0].batch.receipts["rma_status"]).count("Completed") == 4 and len(parts[0].batch.receipts) == 6
    assert sorted(key for part in parts for key in part.batch.receipts["rma_key"]) == sorted(map(str, range(12)))


def test_others_returns_have_a_key_of_their_own_and_are_found_by_it(shipbob: ShipBob, account: ShipBobAccount, box: Sandbox) -> None:
    made = account.blind({"TEE-BLU-M": {"available": 1}})
    typed = account.blind({"TEE-BLU-M": {"available": 1}}, "#1001", "Regular")
    now = box.world.now
    batch = shipbob.news(now - timedelta(days=1), now + timedelta(seconds=1)).batch
    assert set(batch.receipts["rma_key"]) == {f"dc:{made.id}", f"dc:{typed.id}"} and set(batch.receipts["return_id"]) == {None}
    assert list(shipbob.find([f"dc:{made.id}"]).receipts["rma_id"]) == [str(made.id)]


def test_a_loop_id_on_a_return_to_sender_is_not_our_return(shipbob: ShipBob, account: ShipBobAccount) -> None:
    account.blind({"TEE-BLU-M": {"available": 1}}, KEY)
    assert shipbob.find([KEY]).receipts.empty


def test_a_bare_default_is_resolved_by_the_items_own_preference(shipbob: ShipBob, account: ShipBobAccount) -> None:
    account.options.resolves_default = False
    account.add_variant("CAP-RED", primary="Quarantine")
    account.add_variant("TEE-BLU-M", primary=None)
    shipbob.create([draft()])
    account.receive(KEY, {"TEE-BLU-M": {"available": 1, "damaged": 1}, "CAP-RED": {"damaged": 1}})
    batch = shipbob.find([KEY])
    assert units(batch) == [
        ("TEE-BLU-M", "Restock", "available", 1),
        ("TEE-BLU-M", "Quarantine", "damaged", 1),
        ("CAP-RED", "Quarantine", "pending", 1),
    ]
    assert list(batch.lines["is_known"]) == [True] * 3


def test_the_rate_limit_is_a_certain_failure_of_a_write(connect: Connect, account: ShipBobAccount) -> None:
    client = connect()
    client.create([draft("1")])
    account.options.rate_limit, account.options.rate_window = 0, 2.0
    with pytest.raises(TransientVendorError) as caught:
        client.create([draft("2")])
    assert caught.value.is_certain and "Rate limit is exceeded" in str(caught.value)


def test_a_list_of_another_shape_is_structural(told_client: ShipBob, vendor: Vendor) -> None:
    vendor.says(said({"returns": []}))
    with pytest.raises(StructuralError, match="find_returns has a shape that is not known"):
        told_client.find(["1"])
    vendor.says(said({"items": [{"id": 1}], "next": "/Return?cursor=2"}))
    with pytest.raises(StructuralError, match=r"the same page|the same cursor"):
        told_client.news(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
