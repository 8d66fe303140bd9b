"""The console in a real browser: no errors, no other host, nothing that axe objects to, by keyboard alone, on a phone and in the dark."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.console.conftest import World
from tests.console.test_pages import LISTS, some_return

PAGES = ("/", *LISTS, "RETURN", "RUN", "/trends", "/merchants/acme", "/data?question=standing", "/search?q=37", "/returns/acme/none")


@pytest.fixture
def desk(sqlite_world: World) -> World:
    """One world: a page is the same on both databases, which the tests over HTTP hold."""
    return sqlite_world


def opened(browser: Browser, desk: World, path: str, *, is_scripted: bool = True) -> tuple[Page, list[str]]:
    """A page, and what went wrong on it."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}, java_script_enabled=is_scripted).new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda sent: wrong.append(sent.url) if urlsplit(sent.url).hostname != "127.0.0.1" else None)
    page.goto(desk.url + path)
    return page, wrong


def violations(page: Page) -> list[str]:
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in Axe().run(page).response["violations"]]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_clean_wide_and_narrow_light_and_dark(browser: Browser, desk: World, path: str) -> None:
    if path == "RETURN":
        path = f"/returns/acme/{some_return(desk)}"
    if path == "RUN":
        path = f"/runs/{desk.page('/runs?format=json').json()[0]['run_id']}"
    page, wrong = opened(browser, desk, path)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert violations(page) == []
    assert [one for one in wrong if "404" not in one] == []
    page.context.close()


def test_keys_alone_find_and_open_a_return(browser: Browser, desk: World) -> None:
    page, _ = opened(browser, desk, "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
    page.keyboard.press("/")
    page.keyboard.type(some_return(desk, "process")[:6])
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=*")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/returns/*/*")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.context.close()


def test_all_that_can_be_done_is_reached_by_tab(browser: Browser, desk: World) -> None:
    page, _ = opened(browser, desk, "/returns?stage=flagged")
    wanted = page.evaluate("document.querySelectorAll('a[href], button:not([hidden]), input, select, summary, [tabindex=\"0\"]').length")
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
    hidden = page.evaluate("[...document.querySelectorAll('dialog a, dialog button')].length")
    assert len(reached) >= wanted - hidden
    page.context.close()


def test_a_filter_works_without_scripts(browser: Browser, desk: World) -> None:
    page, _ = opened(browser, desk, "/returns", is_scripted=False)
    page.select_option("select[name=stage]", "flagged")
    page.click("text=Filter")
    flagged = len(desk.page("/returns?format=json&stage=flagged").json())
    assert page.locator("table.rows tbody tr").count() == min(flagged, 50)
    assert page.locator("td[data-title=Stage]").all_inner_texts() == ["! flagged"] * min(flagged, 50)
    page.context.close()


def test_a_chart_shows_the_numbers_of_the_table_behind_it(browser: Browser, desk: World) -> None:
    page, _ = opened(browser, desk, "/trends?merchant=acme")
    figure = page.locator("figure").first
    figure.locator("summary").click()
    rows = [text.split("\t") for text in figure.locator("tbody tr").all_inner_texts()]
    total = sum(int(number) for row in rows for number in row[1:])
    held = desk.house.rows(
        "SELECT sum(processed_returns + flagged_returns + open_returns) AS number FROM recon_daily WHERE merchant = 'acme'"
    )
    assert total == held[0]["number"]
    heights = page.evaluate("[...document.querySelectorAll('figure svg')][0].querySelectorAll('rect.rect').length")
    assert heights == sum(1 for row in rows for _ in row[1:])
    page.context.close()
