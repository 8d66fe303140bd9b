"""The list's quirks: envelopes, states, windows, dates, pages and the cursor that loses ties."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from backhaul.sandbox import Sandbox, scenarios

LIST = "/warehouse/return/list"
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def ids(answer: httpx.Response) -> list[int]:
    body = answer.json()
    return [int(each["id"]) for each in (body["returns"] if isinstance(body, dict) else body)]


def span(**more: object) -> dict[str, str]:
    return {"from": "2026-02-20", "to": "2026-03-20"} | {key: str(value) for key, value in more.items()}


def make(box: Sandbox, count: int, *, same_second: bool = False) -> list[int]:
    step = timedelta() if same_second else timedelta(seconds=1)
    return [box.world.create_return("acme", at=START + step * index).id for index in range(count)]


def test_an_unpaginated_list_is_a_bare_array_and_a_paginated_one_an_object(box: Sandbox, loop: httpx.Client) -> None:
    made = make(box, 2)
    assert isinstance(loop.get(LIST, params=span()).json(), list)
    page = loop.get(LIST, params=span(paginate="true")).json()
    assert [int(each["id"]) for each in page["returns"]] == made[::-1]
    assert page["nextPageUrl"] is None and page["previousPageUrl"] is None


def test_the_list_has_string_ids_and_millisecond_dates_and_integer_ids_in_labels(box: Sandbox, loop: httpx.Client) -> None:
    made = make(box, 1)
    box.world.set_tracking("acme", made[0], "9400100000000000000001")
    record = loop.get(LIST, params=span()).json()[0]
    line = record["line_items"][0]
    assert record["id"] == str(made[0]) and record["created_at"] == "2026-03-01T12:00:00.000Z"
    assert isinstance(line["line_item_id"], str) and line["price"] == "42.00"
    label = record["labels"][0]
    assert label["line_items"] == [int(line["line_item_id"])] and label["rate"] == 450 and record["label_rate"] == "4.50"


def test_before_a_label_exists_carrier_and_tracking_say_so(box: Sandbox, loop: httpx.Client) -> None:
    make(box, 1)
    record = loop.get(LIST, params=span()).json()[0]
    assert (record["carrier"], record["tracking_number"], record["label_url"], record["labels"]) == ("N/A", "N/A", None, [])


def test_without_a_state_cancelled_and_review_are_hidden(box: Sandbox, loop: httpx.Client) -> None:
    made = {
        state: box.world.create_return("acme", at=START, state=state).id for state in ("open", "closed", "cancelled", "expired", "review")
    }
    assert set(ids(loop.get(LIST, params=span()))) == {made["open"], made["closed"], made["expired"]}
    assert ids(loop.get(LIST, params=span(state="review"))) == [made["review"]]
    assert loop.get(LIST, params=span(state="open,review")).status_code == 422


def test_the_default_window_is_the_last_24_hours_and_a_lone_to_is_ignored(box: Sandbox, loop: httpx.Client) -> None:
    now = box.world.now
    box.world.create_return("acme", at=now - timedelta(hours=25))
    recent = box.world.create_return("acme", at=now - timedelta(hours=23)).id
    assert ids(loop.get(LIST)) == [recent]
    assert ids(loop.get(LIST, params={"to": "2026-03-20"})) == [recent]


def test_from_alone_means_the_24_hours_after_it(box: Sandbox, loop: httpx.Client) -> None:
    first = box.world.create_return("acme", at=START).id
    box.world.create_return("acme", at=START + timedelta(hours=25))
    assert ids(loop.get(LIST, params={"from": "2026-03-01T12:00:00.000Z"})) == [first]


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00.000Z", "2026-03-01T12:00:00", "2026-03-01 12:00:00"])
def test_both_ends_are_inclusive_to_the_second_in_every_form(box: Sandbox, loop: httpx.Client, text: str) -> None:
    made = make(box, 2)
    assert ids(loop.get(LIST, params={"from": text, "to": text})) == [made[0]]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "2026-01-01", "to": "2026-05-01T00:00:01"}, "to"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "to"),
        ({"from": "soon"}, "from"),
        ({"from": "2026-03-01T12:00:00+00:00"}, "from"),
        ({"paginate": "true", "pageSize": "751"}, "pageSize"),
        ({"filter": "closed_at"}, "filter"),
    ],
)
def test_bad_parameters_are_422_with_the_field_named(loop: httpx.Client, params: dict[str, str], field: str) -> None:
    answer = loop.get(LIST, params=params)
    assert answer.status_code == 422 and list(answer.json()["errors"]) == [field]


def test_exactly_120_days_pass(loop: httpx.Client) -> None:
    assert loop.get(LIST, params={"from": "2026-01-01", "to": "2026-05-01"}).status_code == 200


def test_next_page_url_drops_from_state_and_paginate_but_can_be_followed(box: Sandbox, loop: httpx.Client) -> None:
    made = make(box, 5)
    first = loop.get(LIST, params=span(paginate="true", pageSize=2, state="open"))
    link = first.json()["nextPageUrl"]
    query = parse_qs(urlsplit(link).query)
    assert set(query) == {"to", "filter", "pageSize", "cursor"}
    cursor = query["cursor"][0]
    assert json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4))) == {
        "created_at": "2026-03-01 12:00:03",
        "_pointsToNextItems": True,
    }
    second = loop.get(link)
    with_all = loop.get(LIST, params=span(paginate="true", pageSize=2, state="open", cursor=cursor))
    assert ids(second) == ids(with_all) == made[1:3][::-1]
    third = loop.get(second.json()["nextPageUrl"])
    assert ids(third) == made[:1] and third.json()["nextPageUrl"] is None
    assert ids(loop.get(third.json()["previousPageUrl"])) == made[1:3][::-1]


@pytest.mark.parametrize("order", ["descending", "ascending"])
def test_following_the_cursor_skips_rows_that_tie_at_the_edge_of_a_page(box: Sandbox, loop: httpx.Client, order: str) -> None:
    box.world.loop("acme").options.order = order
    made = make(box, 5, same_second=True)
    first = loop.get(LIST, params=span(paginate="true", pageSize=3))
    assert len(ids(first)) == 3
    assert ids(loop.get(first.json()["nextPageUrl"])) == []
    assert sorted(ids(loop.get(LIST, params=span()))) == made


def test_the_order_can_be_turned_round(box: Sandbox, loop: httpx.Client) -> None:
    made = make(box, 3)
    box.world.loop("acme").options.order = "ascending"
    assert ids(loop.get(LIST, params=span(paginate="true"))) == made


def test_a_change_moves_a_return_in_the_updated_at_filter_only(box: Sandbox, loop: httpx.Client) -> None:
    made = make(box, 1)
    box.world.flag_return("acme", made[0])
    now = {"from": (box.world.now - timedelta(minutes=1)).strftime("%Y-%m-%d %H:%M:%S"), "state": "review"}
    assert ids(loop.get(LIST, params=now | {"filter": "updated_at"})) == made
    assert ids(loop.get(LIST, params=now)) == []


def test_personal_data_is_there_to_be_dropped_and_fictional(box: Sandbox, loop: httpx.Client) -> None:
    make(box, 1)
    assert loop.get(LIST, params=span()).json()[0]["customer"].endswith("@example.com")


def test_a_bulk_of_returns_lists_like_any_other_and_can_be_touched(box: Sandbox, loop: httpx.Client) -> None:
    bulk = scenarios.bulk(box.world, "acme", 20_000, days=30)
    assert len(box.world.loop("acme")) == 20_000
    params = {"from": (box.world.now - timedelta(days=31)).strftime("%Y-%m-%d"), "to": box.world.now.strftime("%Y-%m-%d %H:%M:%S")}
    page = loop.get(LIST, params=params | {"paginate": "true", "pageSize": "750", "state": "open"}).json()["returns"]
    assert len({each["id"] for each in page}) == 750
    assert len({line["line_item_id"] for each in page for line in each["line_items"]}) == sum(len(each["line_items"]) for each in page)
    chosen = page[17]
    details = loop.get("/warehouse/return/details", params={"return_id": chosen["id"]}).json()
    assert details["id"] == int(chosen["id"]) and int(chosen["id"]) in bulk
    assert loop.post(f"/warehouse/return/{chosen['id']}/process").json() is True
    assert chosen["id"] in [each["id"] for each in loop.get(LIST, params=params | {"state": "closed"}).json()]


def test_a_full_page_is_served_fast(box: Sandbox, loop: httpx.Client) -> None:
    scenarios.bulk(box.world, "acme", 5_000, days=30)
    params = {"from": (box.world.now - timedelta(days=31)).strftime("%Y-%m-%d"), "to": box.world.now.strftime("%Y-%m-%d %H:%M:%S")}
    best = min(loop.get(LIST, params=params | {"paginate": "true", "pageSize": "750"}).elapsed for _ in range(8))
    assert best < timedelta(milliseconds=100)  # some 25 ms on a free core


def test_malformed_records_can_be_made(box: Sandbox, loop: httpx.Client) -> None:
    made = make(box, 1)
    box.world.loop("acme").corrupt(made[0], created_at="soon")
    box.world.loop("acme").corrupt(made[0], 0, price="-1.00")
    record = loop.get(LIST, params=span()).json()[0]
    assert record["created_at"] == "soon" and record["line_items"][0]["price"] == "-1.00"
