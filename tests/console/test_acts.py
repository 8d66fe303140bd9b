"""What an operator does in the console: previewed, confirmed with a token, done once, and written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
import sqlalchemy as sa

from backhaul.config import load
from backhaul.console.acts import told
from backhaul.console.setting_up import make_desk
from tests.console.conftest import World, serving
from tests.console.test_pages import Read


@pytest.fixture(params=["sqlite", "postgresql"])
def acting(request: pytest.FixtureRequest) -> Iterator[World]:
    """The console of an operator named Kim."""
    world: World = request.getfixturevalue(f"{request.param}_world")
    desk = make_desk(load(world.house.file), is_operator=True, name="Kim")
    with serving(desk) as (url, client):
        yield replace(world, desk=desk, url=url, http=client)
    desk.operator.by.store.close()
    desk.store.close()


def confirm(world: World, address: str, why: str = "seen with the warehouse", **more: str) -> httpx.Response:
    """Confirm what a preview shows, as its form does."""
    fields = [
        attributes for tag, attributes in Read(world.page(address).text).tags if tag == "input" and attributes.get("type") == "hidden"
    ]
    told = {name: [str(one["value"]) for one in fields if one["name"] == name] for name in ("token", "item")}
    return world.http.post(address.split("?")[0], data=told | {"why": why} | more)


def acts(world: World, action: str) -> list[tuple[str, str, str]]:
    query = "SELECT operator, subject, why FROM operator_actions WHERE action = :action ORDER BY action_id"
    return [(row["operator"], row["subject"], row["why"]) for row in world.house.rows(query, action=action)]


def resolvable(world: World) -> list[str]:
    page = Read(world.page("/exceptions").text)
    return [str(attributes["value"]) for tag, attributes in page.tags if tag == "input" and attributes.get("type") == "checkbox"]


def test_a_preview_changes_nothing_and_a_confirmation_resolves_once_and_is_written_down(acting: World) -> None:
    item = resolvable(acting)[0]
    merchant, kind, subject = item.split("|")
    address = f"/acts/resolve?{httpx.QueryParams({'item': item})}"
    assert subject in acting.page(address).text
    assert item in resolvable(acting)
    first = confirm(acting, address)
    assert (first.status_code, first.headers["location"]) == (303, "/exceptions?done=resolve:1")
    assert item not in resolvable(acting)
    assert confirm(acting, address).headers["location"] == "/exceptions?done=resolve:0"
    assert acts(acting, "resolve") == [("Kim", subject, "seen with the warehouse")]
    assert "Kim: resolve" in acting.page(f"/merchants/{merchant}").text
    with acting.house.store.write() as connection:  # the other tests of this world count them
        connection.execute(sa.text("UPDATE exceptions SET resolved_at = NULL, is_settled = :no WHERE subject = :s AND kind = :k"),
                           {"no": False, "s": subject, "k": kind})  # fmt: skip


def test_an_exception_is_taken_by_a_person_found_by_it_and_let_go(acting: World) -> None:
    item = resolvable(acting)[0]
    merchant, kind, subject = item.split("|")
    address = f"/acts/assign?{httpx.QueryParams({'item': item})}"
    assert 'name="to" value="Kim"' in acting.page(address).text
    assert subject not in [row["subject"] for row in acting.page("/exceptions?assigned=Noor&format=json").json()]
    assert confirm(acting, address, why="", to="Noor").headers["location"] == "/exceptions?done=assign:1"
    assert confirm(acting, address, why="", to="Noor").headers["location"] == "/exceptions?done=assign:0"
    listed = acting.page("/exceptions?assigned=Noor&format=json").json()
    assert [(row["merchant"], row["kind"], row["subject"], row["assigned_to"]) for row in listed] == [(merchant, kind, subject, "Noor")]
    nobodys = acting.page("/exceptions?assigned=nobody&format=json").json()
    assert nobodys and (merchant, kind, subject) not in [(row["merchant"], row["kind"], row["subject"]) for row in nobodys]
    assert "Noor" in acting.page("/exceptions").text
    assert confirm(acting, address, why="back from leave", to=" ").headers["location"] == "/exceptions?done=assign:1"
    assert acting.page("/exceptions?assigned=Noor&format=json").json() == []
    assert acts(acting, "assign") == [("Kim", subject, None), ("Kim", subject, "back from leave")]


def test_many_are_resolved_at_once(acting: World) -> None:
    items = resolvable(acting)[:3]
    address = f"/acts/resolve?{httpx.QueryParams([('item', item) for item in items])}"
    assert confirm(acting, address).headers["location"] == "/exceptions?done=resolve:3"
    with acting.house.store.write() as connection:
        connection.execute(sa.text("UPDATE exceptions SET resolved_at = NULL, is_settled = :no"), {"no": False})


def test_a_dead_delivery_is_owed_again(acting: World) -> None:
    [row] = acting.house.rows("SELECT delivery_id, return_id, kind FROM deliveries WHERE merchant = 'acme' AND kind = 'loop.flag' LIMIT 1")
    was = acting.house.rows("SELECT state FROM deliveries WHERE delivery_id = :d", d=row["delivery_id"])[0]["state"]
    with acting.house.store.write() as connection:
        connection.execute(sa.text("UPDATE deliveries SET state = 'dead' WHERE delivery_id = :d"), {"d": row["delivery_id"]})
    item = f"acme|{row['kind']}|{row['return_id']}"
    assert item in acting.page("/deliveries?state=dead").text
    address = f"/acts/retry?{httpx.QueryParams({'item': item})}"
    assert confirm(acting, address).headers["location"] == "/deliveries?done=retry:1"
    assert confirm(acting, address).headers["location"] == "/deliveries?done=retry:0"
    assert acting.house.state(row["return_id"], row["kind"]) == "pending"
    with acting.house.store.write() as connection:
        connection.execute(sa.text("UPDATE deliveries SET state = :was WHERE delivery_id = :d"), {"was": was, "d": row["delivery_id"]})


def test_a_merchant_is_paused_and_resumed_and_both_pages_say_so(acting: World) -> None:
    assert confirm(acting, "/acts/pause?item=birch|loop").headers["location"] == "/merchants/birch?done=pause:1"
    for page in ("/", "/merchants/birch"):
        assert "nothing is sent to loop" in acting.page(page).text.lower()
    assert confirm(acting, "/acts/resume?item=birch|loop").headers["location"] == "/merchants/birch?done=resume:1"
    assert "nothing is sent" not in acting.page("/merchants/birch").text.lower()
    assert confirm(acting, "/acts/resume?item=birch|loop").headers["location"] == "/merchants/birch?done=resume:0"


@pytest.mark.parametrize(
    ("forged", "headers"),
    [
        ({"token": "0" * 64}, {}),
        ({"token": ""}, {}),
        ({"token": "\u00e9"}, {}),
        ({}, {"origin": "https://evil.example"}),
        ({}, {"cookie": "backhaul_desk=another"}),
    ],
)
def test_a_confirmation_from_elsewhere_is_refused(acting: World, forged: dict[str, str], headers: dict[str, str]) -> None:
    page = Read(acting.page("/acts/pause?item=acme|loop").text)
    [token] = [attributes["value"] for tag, attributes in page.tags if tag == "input" and attributes.get("name") == "token"]
    fields = {"token": token, "item": "acme|loop", "why": "x"} | forged
    assert acting.http.post("/acts/pause", data=fields, headers=headers).status_code == 403
    assert "nothing is sent" not in acting.page("/merchants/acme").text.lower()


def test_an_act_without_a_reason_or_about_nothing_is_refused(acting: World) -> None:
    assert confirm(acting, "/acts/pause?item=acme|loop", why=" ").status_code == 400
    assert acting.page("/acts/resolve").status_code == 400
    assert acting.page("/acts/resolve?item=half").status_code == 400
    assert acting.page("/acts/erase?item=acme|loop").status_code == 404


@pytest.mark.parametrize(("item", "status"), [("nobody|loop", 404), ("nobody|", 404), ("acme|nowhere", 400), ("acme|*", 400)])
def test_a_pause_of_what_the_config_does_not_have_is_refused_and_not_written(acting: World, item: str, status: int) -> None:
    address = f"/acts/pause?{httpx.QueryParams({'item': item})}"
    assert acting.page(address).status_code == status
    token = Read(acting.page("/acts/pause?item=acme|loop").text)
    [given] = [attributes["value"] for tag, attributes in token.tags if tag == "input" and attributes.get("name") == "token"]
    assert acting.http.post("/acts/pause", data={"token": given, "item": item, "why": "x"}).status_code == status
    assert acting.house.rows("SELECT merchant FROM pauses") == []


def test_a_console_that_reads_has_no_acts(sqlite_world: World) -> None:
    assert sqlite_world.page("/acts/resolve?item=a|b|c").status_code == 404
    assert "checkbox" not in sqlite_world.page("/exceptions").text


def test_what_was_done_is_told_in_our_words_alone() -> None:
    assert told("resolve:3") == "3 exceptions resolved."
    assert told("retry:1") == "1 delivery owed again."
    assert told("resolve:0") == "Nothing was left to do: it had been done already."
    assert [told(done) for done in ("", "x:1", "resolve:<b>", "resolve:²")] == ["", "", "", ""]
