"""The console over HTTP: what each page says, in every form, and what it says when something is not there."""

from __future__ import annotations

import csv
import io
import json
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from backhaul.console.broken import broken_fields
from backhaul.console.service import refuse_strangers
from backhaul.console.setting_up import make_desk
from backhaul.errors import ConfigError, StoreError
from backhaul.store.engine import Store
from tests.console.conftest import HOSTILE, World, serving

LISTS = ("/returns", "/exceptions", "/quarantine", "/deliveries", "/events", "/runs")
PAGES = ("/", *LISTS, "/trends", "/merchants/acme", "/data", "/data?question=standing", "/search?q=37", "/quarantine?state=all")


class Read(HTMLParser):
    """The tags of a page, and its links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def links(self, start: str) -> list[str]:
        found = [attributes.get("href") or "" for tag, attributes in self.tags if tag == "a"]
        return [link for link in found if link.startswith(start)]


def some_return(world: World, decision: str = "flag") -> str:
    query = "SELECT return_id FROM recon_returns WHERE merchant = 'acme' AND decision = :decision ORDER BY return_id LIMIT 1"
    return str(world.house.rows(query, decision=decision)[0]["return_id"])


@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers_under_a_strict_policy_and_without_scripts_or_styles_of_its_own(world: World, path: str) -> None:
    answer = world.page(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert len(answer.content) < 200_000
    for tag, attributes in Read(answer.text).tags:
        assert tag != "style" and "style" not in attributes, attributes
        assert not any(name.startswith("on") for name in attributes), attributes
        for name in ("src", "href", "action"):
            assert not (attributes.get(name) or "").startswith(("http:", "https:", "//", "javascript:", "data:")), attributes
        assert tag != "script" or (attributes.get("src") or "").startswith("/static/")


@pytest.mark.parametrize("path", [*LISTS, "/trends", "/data?question=standing", "/data?view=recon_lines", "/search?q=37"])
def test_every_list_is_also_csv_and_json_with_the_same_rows(world: World, path: str) -> None:
    more = "&" if "?" in path else "?"
    told = world.page(f"{path}{more}format=json")
    assert told.headers["content-type"].startswith("application/json")
    rows = list(csv.DictReader(io.StringIO(world.page(f"{path}{more}format=csv").text)))
    assert len(rows) == len(told.json()) > 0


def test_no_text_becomes_a_formula_in_a_file_for_spreadsheets(world: World) -> None:
    with world.house.store.write() as connection:
        connection.execute(sa.text("UPDATE runs SET error = '=cmd()' WHERE merchant = 'birch'"))
    errors = {row["error"] for row in csv.DictReader(io.StringIO(world.page("/runs?format=csv&merchant=birch").text))}
    with world.house.store.write() as connection:
        connection.execute(sa.text("UPDATE runs SET error = :error WHERE merchant = 'birch'"), {"error": HOSTILE})
    assert errors == {"'=cmd()"}


def test_pages_of_a_list_hold_every_row_once(world: World) -> None:
    path, seen = "/returns?sort=created_at", []
    while path:
        page = Read(world.page(path).text)
        seen += [link for link in page.links("/returns/") if link.count("/") == 3]
        path = next((str(attributes["href"]) for tag, attributes in page.tags if tag == "a" and attributes.get("rel") == "next"), "")
    every = world.house.rows("SELECT merchant, return_id FROM recon_returns")
    assert sorted(seen) == sorted(f"/returns/{row['merchant']}/{row['return_id']}" for row in every)


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("merchant=birch", "merchant = 'birch'"),
        ("stage=flagged", "stage = 'flagged'"),
        ("decision=hold", "decision = 'hold'"),
        ("warehouse=airhouse", "warehouse = 'airhouse'"),
        ("from=2000-01-01&to=2001-01-01", "1 = 0"),
        (
            "sku=chn-nav-m",
            "return_id IN (SELECT return_id FROM return_lines WHERE sku = 'CHN-NAV-M' AND merchant = recon_returns.merchant)",
        ),
    ],
)
def test_a_filter_filters(world: World, query: str, where: str) -> None:
    expected = {
        (row["merchant"], row["return_id"]) for row in world.house.rows(f"SELECT merchant, return_id FROM recon_returns WHERE {where}")
    }
    assert {(row["merchant"], row["return_id"]) for row in world.page(f"/returns?format=json&{query}").json()} == expected


@pytest.mark.parametrize("way", ["", "&way=turned"])
def test_a_list_is_sorted_as_it_is_asked_to_be(world: World, way: str) -> None:
    rows = world.page(f"/returns?format=json&sort=value_at_risk{way}").json()
    values = [float(row["value_at_risk"]) for row in rows]
    assert values == sorted(values, reverse=not way) and len(set(values)) > 2


@pytest.mark.parametrize(
    "path",
    ["/returns?from=yesterday", "/exceptions?age=old", "/returns?after=rubbish", "/trends?month=soon", "/exceptions?value=x&format=csv"],
)
def test_a_filter_that_is_none_is_told_and_not_guessed(world: World, path: str) -> None:
    answer = world.page(path)
    assert answer.status_code == 400
    assert "should be" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/returns/acme/none",
        "/returns/nobody/1",
        "/runs/none",
        "/merchants/nobody",
        "/nope",
        "/data?question=none",
        "/data?view=runs&format=csv",
    ],
)
def test_what_is_not_there_is_a_page_with_the_search_box(world: World, path: str) -> None:
    answer = world.page(path)
    assert answer.status_code == 404
    assert sum(tag == "input" and attributes.get("name") == "q" for tag, attributes in Read(answer.text).tags) == 2


def test_a_merchants_page_says_what_is_wrong_with_its_webhooks_and_the_way_out(world: World) -> None:
    text = unescape(world.page("/merchants/acme").text)
    assert "no receiver is open for loop and masonhub: none has ever been" in text
    assert "Start 'backhaul serve' on this store" in text


def test_one_match_opens_and_several_are_listed(world: World) -> None:
    return_id = some_return(world, "process")
    only = world.page(f"/search?q={return_id}&merchant=acme")
    assert (only.status_code, only.headers["location"]) == (302, f"/returns/acme/{return_id}")
    both = world.page(f"/search?q={return_id[:5]}")
    assert both.status_code == 200 and len(Read(both.text).links("/returns/")) > 10
    assert "Nothing is called" in world.page("/search?q=nobody").text


def test_a_return_leads_with_its_sentence_then_its_lines_and_its_life(world: World) -> None:
    return_id = some_return(world, "process")
    text = unescape(world.page(f"/returns/acme/{return_id}").text)
    life = json.loads(world.house.command("show", return_id, "--merchant", "acme", "--json").stdout)[0]
    assert life["sentence"] in text and life["next"] in text
    assert "every unit arrived in good condition (rule 8)" in text
    assert f"https://admin.loopreturns.com/returns/{return_id}" in text
    for line in life["lines"]:
        assert line["sku"] in text and line["title"] in text


def test_a_parcel_that_nobody_announced_has_a_page_too(world: World) -> None:
    [blind] = world.house.rows("SELECT rma_key FROM rmas WHERE return_id IS NULL")
    assert "A parcel arrived that nobody had announced" in world.page(f"/returns/acme/{quote(blind['rma_key'])}").text


def test_a_run_adds_up(world: World) -> None:
    runs = world.page("/runs?format=json&state=completed").json()
    assert all(run["records_in"] == run["records_out"] + run["unchanged"] + run["quarantined"] for run in runs)
    assert "do not add up" not in world.page(f"/runs/{runs[0]['run_id']}").text


@pytest.mark.parametrize("path", [*PAGES, "RETURN", "RUN"])
def test_hostile_text_is_shown_as_text(world: World, path: str) -> None:
    if path == "RETURN":
        path = f"/returns/acme/{some_return(world)}"
    if path == "RUN":
        path = f"/runs/{world.page('/runs?format=json&merchant=birch').json()[0]['run_id']}"
    text = world.page(path).text
    assert "<script>alert" not in text and "<img src=x" not in text and "\u202e" not in text
    if path.startswith(("/exceptions", "/quarantine", "/runs/")):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_a_request_that_names_another_host_is_refused(world: World) -> None:
    assert world.page("/returns", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written_to_a_console_that_reads(world: World, method: str) -> None:
    assert world.http.request(method, "/exceptions").status_code == 405
    with pytest.raises((StoreError, sa.exc.SQLAlchemyError)), world.desk.store.read() as connection:
        connection.execute(sa.text("DELETE FROM exceptions"))


def test_a_store_that_is_down_is_a_page_that_says_so(world: World, tmp_path: Path) -> None:
    gone = Store(f"sqlite:///{tmp_path / 'gone.db'}", for_reading=True)
    with serving(type(world.desk)(world.desk.settings, gone, world.desk.clock)) as (_, client):
        answer = client.get("/returns")
    assert (answer.status_code, "The store cannot be read" in answer.text) == (503, True)
    assert not (tmp_path / "gone.db").exists()


def test_a_store_of_an_older_version_is_told_before_anything_is_served(world: World, tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch(mode=0o600)
    settings = world.desk.settings.model_copy(update={"store": world.desk.settings.store.model_copy(update={"url": f"sqlite:///{empty}"})})
    with pytest.raises(StoreError, match="db upgrade"):
        make_desk(settings)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "desk.example"])
def test_nobody_else_reaches_a_console_that_asks_nobody_who_they_are(sqlite_world: World, host: str) -> None:
    with pytest.raises(ConfigError, match="loopback only"):
        refuse_strangers(host, sqlite_world.desk.settings)


def test_trends_count_what_the_store_holds(world: World) -> None:
    rows = world.page("/trends?format=json&merchant=acme").json()
    [held] = world.house.rows("SELECT count(*) AS number FROM returns WHERE merchant = 'acme'")
    assert sum(row["returns"] for row in rows) == held["number"]


@pytest.mark.parametrize(
    ("reason", "record", "broken"),
    [
        ("LINE-004: A line's price is never negative.", {"price": "-5.00", "tax": "1.00", "line_item_id": "1"}, {"price"}),
        ("LINE-004: A line's price is never negative.", {"price": "5.00"}, set()),
        (
            "RET-007: Every date of a return parses as a time.",
            {"updated_at": "next Tuesday", "created_at": "2026-11-19T14:47:22.000Z"},
            {"updated_at"},
        ),
        (
            "RET-006: Every amount of a return parses as money.",
            {"return_total": "ten", "refund": "1.50", "id": "x"},
            {"return_total"},
        ),
        ("RET-004: A return's state is one that Loop documents.", {"state": "odd", "label_status": "new"}, {"state"}),
        ("RET-016: Every key of a return is at most 100 characters, all of them readable.", {"id": "7" * 101, "state": "open"}, {"id"}),
    ],
)
def test_the_field_that_broke_a_rule_is_marked_and_no_other(reason: str, record: dict[str, str], broken: set[str]) -> None:
    assert broken_fields(record, reason) == broken


def test_a_quarantined_record_shows_its_rule_and_the_field_that_broke_it(world: World) -> None:
    text = world.page("/quarantine?merchant=birch").text
    assert "LINE-004" in text
    assert [tag for tag, attributes in Read(text).tags if attributes.get("class") == "broken"]
