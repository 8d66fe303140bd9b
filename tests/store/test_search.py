"""One search finds by any name, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backhaul.store.engine import Store
from backhaul.store.search import Search, search
from tests.store.test_query_plans import fill


@pytest.fixture(scope="module")
def store(module_store_url: str) -> Iterator[Store]:
    """Two merchants' returns, of which one is history and one in quarantine; and a parcel that nobody announced."""
    yield from _filled(module_store_url)


def _filled(url: str) -> Iterator[Store]:
    opened = Store(url).ready()
    with opened.write() as connection:
        for merchant, first in (("acme", 1), ("birch", 101)):
            head = {"merchant": f"'{merchant}'", "return_id": "'37' || (600000 + i)", "order_name": "'#' || (1000 + i % 100)"}
            state = {"loop_state": "'open'", "first_state": "'open'", "warehouse": "'masonhub'", "is_history": f"{merchant == 'birch'}"}
            parcel = {"tracking_number": "'420941079400' || (100000000000000000 + i)"}
            fill(connection, "returns", first, 20, head | state | parcel)
            line = {"merchant": f"'{merchant}'", "return_id": "'37' || (600000 + i)", "line_item_id": "'1'", "sku": "'Tee-' || i"}
            fill(connection, "return_lines", first, 20, line)
        rma = {"rma_key": "'37600005'", "return_id": "'37600005'", "rma_id": "'rma_00AB'", "package_id": "'1Z 999-AA1'"}
        fill(connection, "rmas", 1, 1, rma | {"warehouse": "'masonhub'"})
        blind = {"rma_key": "'dc:rma_77'", "return_id": "null", "rma_id": "'rma_77'", "package_id": "'BLIND-1'"}
        fill(connection, "rmas", 1, 1, blind | {"warehouse": "'masonhub'"})
        held = {"source": "'loop'", "record_key": "'37999999'", "order_name": "'#5005'", "content_hash": "'h'", "reason": "'a price'"}
        fill(connection, "quarantine", 1, 1, held)
    yield opened
    opened.close()


def look(store: Store, words: str, merchant: str | None = None, limit: int = 50) -> Search:
    with store.read() as connection:
        return search(connection, words, merchant, limit)


@pytest.mark.parametrize(
    ("words", "what", "return_id"),
    [
        ("37600005", "return", "37600005"),
        ("rma_00ab", "RMA", "37600005"),
        ("1z999aa1", "package", "37600005"),
        ("UPS 1Z 999 AA1", "package", "37600005"),
        ("9400 1000 0000 0000 0000 07", "tracking number", "37600007"),
        ("420941079400100000000000000007", "tracking number", "37600007"),
        ("tee-7", "SKU", "37600007"),
        ("#5005", "quarantined order", "37999999"),
        ("37999999", "quarantined record", "37999999"),
        ("rma_77", "RMA", "dc:rma_77"),
        ("blind", "package", "dc:rma_77"),
    ],
)
def test_whatever_has_a_name_is_found_by_it(store: Store, words: str, what: str, return_id: str) -> None:
    only = look(store, words).only
    assert only is not None
    assert (only.what, only.return_id) == (what, return_id)


def test_an_order_is_found_with_and_without_its_sign_at_every_merchant_and_in_history(store: Store) -> None:
    for words in ("#1007", "1007", " #1007 "):
        assert [(one.merchant, one.return_id, one.what) for one in look(store, words).found] == [
            ("acme", "37600007", "order"),
            ("birch", "37600107", "order"),
        ]
    chosen = look(store, "1007", "birch").only
    assert chosen is not None and chosen.merchant == "birch"


def test_a_beginning_finds_all_that_begin_so_and_the_whole_comes_first(store: Store) -> None:
    assert {one.order_name for one in look(store, "#101", "acme").found} == {f"#{number}" for number in range(1010, 1020)}
    result = look(store, "Tee-1", "acme")
    assert [one.is_exact for one in result.found] == [True] + [False] * 10
    assert result.only is not None and result.only.shown == "Tee-1"


def test_more_than_is_asked_for_is_said_and_opens_nothing(store: Store) -> None:
    result = look(store, "376", limit=5)
    assert (len(result.found), result.is_cut, result.only) == (5, True, None)


@pytest.mark.parametrize("words", ["", "#", "\x00", "%", "_", "' OR 1=1 --", "\ud800", "37600005%", "x" * 5000])
def test_what_is_no_name_finds_nothing(store: Store, words: str) -> None:
    assert look(store, words).found == ()
