"""The simulated ShipBob, held against the documented payloads, and its quirks one by one, as a bare HTTP client meets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.shipbob.state import CENTER, CHANNEL, READ_ONLY_CHANNEL, ShipBobAccount
from tests.shipbob.conftest import KEY, payload

Row = dict[str, Any]


@pytest.fixture
def http(box: Sandbox, account: ShipBobAccount) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {account.token}"}
    with httpx.Client(base_url=f"{box.url}/acme/shipbob/2026-01", headers=headers, trust_env=False) as client:
        yield client


def body(account: ShipBobAccount, reference: str = KEY, **changes: Any) -> Row:
    own = account.stock("TEE-BLU-M")[0].inventory_id
    lines = [{"id": own, "quantity": 2, "requested_action": "Default"}]
    return {"reference_id": reference, "fulfillment_center": {"id": CENTER}, "inventory": lines} | changes


def create(http: httpx.Client, account: ShipBobAccount, **changes: Any) -> httpx.Response:
    return http.post("/return", json=body(account, **changes), headers={"shipbob_channel_id": str(CHANNEL)})


def shape(value: Any) -> Any:
    """The names in a record, at every depth."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


def test_the_short_record_and_the_full_one_have_the_documented_fields(http: httpx.Client, account: ShipBobAccount) -> None:
    made = create(http, account)
    assert made.status_code == 201 and shape(made.json()) == shape(payload("return_create_response_201"))
    account.receive(KEY)
    found, documented = http.get("/return", params={"Ids": made.json()["id"]}).json()["items"][0], payload("return_completed_clean")
    assert shape(found | {"transactions": None}) == shape(documented | {"transactions": None})


def test_the_list_and_the_products_have_the_documented_fields(http: httpx.Client, account: ShipBobAccount) -> None:
    create(http, account)
    assert set(http.get("/return").json()) == set(payload("return_list_page"))
    mine = http.get("/product?SKU=any:TEE-BLU-M").json()["items"][0]["variants"][0]
    documented = payload("product_lookup_by_sku")["items"][0]["variants"][0]
    assert set(mine) == set(documented) - {"id"} and set(mine["return_preferences"]) <= set(documented["return_preferences"])


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"reference_id": ""}, 400),
        ({"reference_id": "x" * 51}, 400),
        ({"inventory": []}, 400),
        ({"fulfillment_center": {"id": 1}}, 422),
        ({"inventory": [{"id": 1, "quantity": 1, "requested_action": "Default"}]}, 422),
        ({"inventory": [{"id": 9_500_001, "quantity": 0, "requested_action": "Default"}]}, 400),
        ({"inventory": [{"id": 9_500_001, "quantity": 1, "requested_action": 0}]}, 400),
        ({"inventory": [{"id": 9_500_001, "quantity": 1, "requested_action": "Default"}] * 2}, 400),
    ],
)
def test_a_return_that_is_not_right_is_refused(http: httpx.Client, account: ShipBobAccount, changes: Row, status: int) -> None:
    assert create(http, account, **changes).status_code == status and account.returns == {}


def test_a_reference_can_be_used_once_also_after_a_cancel(http: httpx.Client, account: ShipBobAccount) -> None:
    own = create(http, account).json()["id"]
    assert create(http, account).json()["errors"] == payload("return_create_response_422_duplicate")["errors"]
    assert http.post(f"/return/{own}:cancel").json() == {}
    again = create(http, account)
    assert again.status_code == 422 and "stackTrace" in again.json()


@pytest.mark.parametrize(("channel", "status"), [(None, 400), ("x", 400), (str(READ_ONLY_CHANNEL), 403), ("7", 403)])
def test_a_create_names_a_channel_that_may_write(http: httpx.Client, account: ShipBobAccount, channel: str | None, status: int) -> None:
    headers = {} if channel is None else {"shipbob_channel_id": channel}
    assert http.post("/return", json=body(account), headers=headers).status_code == status


def test_the_oldest_version_wants_the_channel_on_a_change_too_and_one_that_is_over_is_not_there(
    http: httpx.Client, account: ShipBobAccount, box: Sandbox
) -> None:
    own = create(http, account).json()["id"]
    root = f"{box.url}/acme/shipbob"
    assert http.put(f"{root}/2025-07/return/{own}", json=body(account)).status_code == 400
    assert http.put(f"{root}/2026-07/return/{own}", json=body(account)).status_code == 200
    assert http.get(f"{root}/1.0/return").status_code == 404


def test_nothing_can_be_changed_once_it_has_arrived(http: httpx.Client, account: ShipBobAccount) -> None:
    own = create(http, account).json()["id"]
    account.move(account.need(KEY), "Arrived")
    assert http.put(f"/return/{own}", json=body(account)).status_code == 422
    assert http.post(f"/return/{own}:cancel").status_code == 400
    assert http.post("/return/1:cancel").status_code == 404


def test_pages_are_numbers_newest_first_and_their_links_have_two_forms(http: httpx.Client, account: ShipBobAccount) -> None:
    for place in range(3):
        create(http, account, reference=str(place))
    page = http.get("/return?Limit=2").json()
    assert [row["reference_id"] for row in page["items"]] == ["2", "1"] and page["next"].endswith("/2026-01/return?Cursor=2")
    account.options.next_is_path = True
    assert http.get("/return?Limit=2").json()["next"] == "/Return?cursor=2"
    assert [row["reference_id"] for row in http.get("/return?Limit=2&cursor=2&SortOrder=Asc").json()["items"]] == ["2"]


def test_an_empty_list_may_be_a_404(http: httpx.Client, account: ShipBobAccount) -> None:
    assert http.get("/return?ReferenceIds=9").json()["items"] == []
    account.options.empty_is_404 = True
    assert http.get("/return?ReferenceIds=9").status_code == 404


def test_too_many_calls_are_told_in_shipbobs_own_headers(http: httpx.Client, account: ShipBobAccount) -> None:
    account.options.rate_limit = 1
    http.get("/return")
    refused = http.get("/return")
    assert refused.status_code == 429 and refused.headers["x-remaining-calls"] == "0" and 1 <= int(refused.headers["x-retry-after"]) <= 60
    assert set(refused.json()) == set(payload("errors")["429"]) and "retry-after" not in refused.headers


def test_a_wrong_token_gets_nothing(http: httpx.Client) -> None:
    refused = http.get("/return", headers={"Authorization": "Bearer other"})
    assert (refused.status_code, refused.content) == (401, b"")


@pytest.mark.parametrize(
    ("units", "status", "taken"),
    [
        ("all", "Completed", [[("Restock", 2)]]),
        ("damaged", "Completed", [[("Restock", 1), ("Quarantine", 1)]]),
        ("short", "Completed", [[("Restock", 1)]]),
        ("short_key", "Completed", [[("Restock", 1)]]),
        ("empty", "Completed", [[]]),
        ("over", "Completed", [[("Restock", 3)]]),
        ("unexpected", "Completed", [[("Restock", 2)], [("Restock", 1)]]),
        ("quality_control", "Completed", [[("Restock", 1), ("Quarantine", 1)]]),
        ("unknown_status", "Completed", [[("Restock", 1), ("awaiting-authentication", 1)]]),
        ("partial", "Processing", [[("Restock", 1)]]),
    ],
)
def test_each_outcome_of_the_sandbox_is_told_in_actions(
    http: httpx.Client, account: ShipBobAccount, units: str, status: str, taken: list[Any]
) -> None:
    create(http, account)
    account.receive(KEY, units)
    [found] = http.get(f"/return?ReferenceIds={KEY}").json()["items"]
    told = [[(one["action"], one["quantity_processed"]) for one in line["action_taken"]] for line in found["inventory"]]
    assert (found["status"], told) == (status, taken)
    wanted = "Quarantine" if units == "quality_control" else "Restock"
    assert found["inventory"][0]["action_requested"]["action"] == wanted
    assert units != "unexpected" or found["inventory"][1]["quantity"] == 0


def test_words_may_be_spelled_as_prose(http: httpx.Client, account: ShipBobAccount) -> None:
    create(http, account)
    account.blind({"TEE-BLU-M": {"available": 1}})
    account.options.has_spaced_words = True
    told = http.get("/return?SortOrder=Asc").json()["items"]
    assert [(row["status"], row["return_type"]) for row in told] == [("Awaiting Arrival", "Regular"), ("Completed", "RTS")]


def test_a_webhook_that_fails_too_often_is_switched_off(http: httpx.Client, account: ShipBobAccount, box: Sandbox) -> None:
    box.world.courier.options.attempts, account.options.disable_hooks_after = 1, 0
    account.register("http://127.0.0.1:9/hook", ["return.created"], "whsec_" + "a" * 32)
    create(http, account)
    assert box.drain()
    [told] = http.get("/webhook").json()["items"]
    assert told["enabled"] is False and "secret" not in told


def test_a_world_that_is_reset_has_an_empty_shipbob(box: Sandbox, http: httpx.Client, account: ShipBobAccount) -> None:
    create(http, account)
    box.world.reset()
    assert http.get("/return").json()["items"] == [] and box.world.account("acme", ShipBobAccount) is not account
