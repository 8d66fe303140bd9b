"""No row is lost and no server is asked for ever, whatever its order, its page size and its ties."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backhaul.connectors.loop.paginate import Ask, Pager, Row
from backhaul.errors import StructuralError

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
FAR = START + timedelta(days=120)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Server:
    """Loop's list as the contract has it: inclusive bounds, and a cursor on one non-unique second that skips ties."""

    def __init__(self, rows: list[Row], order: str, size: int) -> None:
        self.rows, self.order, self.size, self.asks = rows, order, size, []

    def answer(self, ask: Ask) -> tuple[list[Row], bool]:
        self.asks.append(ask)
        inside = [row for row in self.rows if row.updated_at and ask.start <= row.updated_at <= ask.end]
        if self.order == "shuffled":
            random.Random(len(self.asks)).shuffle(inside)
        else:
            inside.sort(key=lambda row: row.updated_at.replace(microsecond=0), reverse=self.order == "descending")
        if not ask.is_paginated:
            return inside, False
        return inside[: self.size], len(inside) > self.size

    def follow_cursor(self) -> set[str]:
        """What a client gets that trusts the cursor: each page starts strictly after the last second of the one before."""
        got, start = set(), START
        while True:
            inside = sorted((row for row in self.rows if row.updated_at >= start), key=lambda row: row.updated_at)
            page = inside[: self.size]
            got |= {row.key for row in page}
            if len(inside) <= self.size:
                return got
            start = page[-1].updated_at.replace(microsecond=0) + timedelta(seconds=1)


def read(server: Server, start: datetime = START, end: datetime = FAR) -> set[str]:
    pager, got = Pager(start, end), set()
    while (ask := pager.next()) is not None:
        rows, has_more = server.answer(ask)
        got |= {row.key for row in rows}
        pager.feed(rows, has_more)
    return got


def rest(pager: Pager) -> list[Ask]:
    """The asks that are left when each is answered in full."""
    asks = []
    while (ask := pager.next()) is not None:
        asks.append(ask)
        pager.feed([], has_more=False)
    return asks


moments = st.lists(st.integers(0, 40_000).map(lambda ms: at(ms / 1000)), max_size=60)
tied = st.lists(st.sampled_from([0, 1, 1, 1, 2, 3, 3, 900]).map(at), max_size=60)


@settings(max_examples=300, deadline=None)
@example([at(second) for second in (1, 3, 5, 0, 4, 0, 0, 0, 0, 2, 1, 0, 0, 2, 0, 0)], "shuffled", 6)  # the same rows twice are no evidence
@given(st.one_of(moments, tied), st.sampled_from(["ascending", "descending", "shuffled"]), st.integers(1, 20))
def test_every_row_of_the_range_is_read_whatever_the_order_the_ties_and_the_page_size(times, order, size):
    rows = [Row(str(number), moment) for number, moment in enumerate(times)]
    server = Server(rows, order, size)
    assert read(server) == {row.key for row in rows}
    assert all(START <= ask.start <= ask.end <= FAR + timedelta(seconds=1) for ask in server.asks)


@settings(max_examples=100, deadline=None)
@given(tied, st.integers(0, 900_000), st.integers(0, 900_000), st.integers(1, 5))
def test_both_ends_of_the_range_are_included(times, one, other, size):
    start, end = sorted((at(one / 1000), at(other / 1000)))
    rows = [Row(str(number), moment) for number, moment in enumerate(times)]
    wanted = {row.key for row in rows if start <= row.updated_at <= end}
    assert wanted <= read(Server(rows, "ascending", size), start, end)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=200, unique=True), st.sampled_from(["ascending", "descending"]))
def test_rows_that_do_not_tie_cost_no_more_calls_than_their_pages_and_overlaps(seconds, order):
    server = Server([Row(str(second), at(second)) for second in seconds], order, 50)
    read(server)
    assert len(server.asks) <= max(1, -(-(len(seconds) - 1) // 49))


def test_the_cursor_would_have_lost_rows_that_this_reading_keeps():
    rows = [Row(str(number), at(number // 4)) for number in range(12)]
    server = Server(rows, "ascending", 5)
    assert len(server.follow_cursor()) < 12
    assert len(read(server)) == 12


def test_an_ascending_page_is_followed_by_its_last_second_inclusive():
    pager = Pager(START, FAR)
    pager.feed([*(Row(str(number), at(number)) for number in range(10)), Row("a", at(12.25)), Row("b", at(12.75))], has_more=True)
    assert rest(pager) == [Ask(at(12), FAR)]


def test_a_descending_page_is_followed_by_its_last_second_whole():
    pager = Pager(START, FAR)
    pager.feed([Row(str(number), at(19.25 - number)) for number in range(10)], has_more=True)
    assert rest(pager) == [Ask(START, at(10.999))]


def test_a_page_too_small_to_prove_an_order_is_not_trusted_with_what_lies_before_it():
    pager = Pager(START, FAR)
    pager.feed([Row("1", at(5)), Row("2", at(9))], has_more=True)
    assert rest(pager) == [Ask(START, at(8.999)), Ask(at(9), FAR)]


def test_small_pages_are_trusted_once_enough_of_them_agree():
    server = Server([Row(str(second), at(second)) for second in range(100)], "ascending", 5)
    read(server)
    assert len(server.asks) <= 25 + 4


def test_pages_that_disagree_are_not_trusted_however_long_they_are():
    pager = Pager(START, at(1000))
    pager.feed([Row(f"a{number}", at(number)) for number in range(50)], has_more=True)
    pager.feed([Row(f"b{number}", at(900 - number)) for number in range(50)], has_more=True)
    assert rest(pager) == [Ask(at(49), at(524.999)), Ask(at(525), at(1000))]


def test_a_second_that_fills_a_page_is_read_unpaginated_and_then_both_its_sides():
    pager = Pager(START, FAR)
    pager.feed([Row("1", at(5)), Row("2", at(5.5))], has_more=True)
    assert rest(pager) == [Ask(at(5), at(5.999), is_paginated=False), Ask(at(6), FAR), Ask(START, at(4.999))]


def test_a_page_in_no_order_halves_the_range():
    pager = Pager(START, at(100))
    pager.feed([Row("1", at(50)), Row("2", at(10)), Row("3", at(70))], has_more=True)
    assert rest(pager) == [Ask(START, at(50.999)), Ask(at(51), at(100))]


def test_next_page_url_alone_says_that_there_is_more():
    pager = Pager(START, FAR)
    pager.feed([Row(str(number), at(number)) for number in range(750)], has_more=False)
    assert pager.next() is None


def test_rows_without_a_readable_time_are_kept_and_stop_nothing():
    pager = Pager(START, FAR)
    pager.feed([*(Row(str(number), at(number)) for number in range(10)), Row("bad", None), Row("b", at(12))], has_more=True)
    assert rest(pager) == [Ask(at(12), FAR)]


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled", "one second"])
def test_a_server_that_repeats_itself_ends_in_a_structural_error(order):
    seconds = {"ascending": [1, 2, 3], "descending": [3, 2, 1], "shuffled": [2, 3, 1], "one second": [2, 2, 2]}[order]
    page = [Row(str(number), at(second)) for number, second in enumerate(seconds)]
    server = Server([], order, 3)
    server.answer = lambda ask: server.asks.append(ask) or (page, True)
    with pytest.raises(StructuralError):
        read(server)
    assert len(server.asks) <= 70


@pytest.mark.parametrize("rows", [[], [Row("1", None)], [Row("1", START - timedelta(days=1))]])
def test_a_page_that_proves_nothing_but_says_there_is_more_is_a_structural_error(rows):
    with pytest.raises(StructuralError, match="sent no return of that time"):
        Pager(START, FAR).feed(rows, has_more=True)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_a_server_that_answers_at_random_is_never_asked_for_ever(seed, size):
    chance, pager, asked = random.Random(seed), Pager(START, at(5000)), 0
    try:
        while pager.next() is not None:
            asked += 1
            assert asked < 50_000
            pager.feed([Row(str(chance.randrange(50)), at(chance.randrange(5000))) for _ in range(size)], has_more=chance.random() < 0.9)
    except StructuralError:
        pass


@settings(max_examples=100, deadline=None)
@given(tied, st.sampled_from(["ascending", "descending"]), st.integers(1, 5))
def test_every_ask_covers_less_than_the_one_it_came_from(times, order, size):
    server = Server([Row(str(number), moment) for number, moment in enumerate(times)], order, size)
    read(server)
    assert len(set(server.asks)) == len(server.asks)
    assert all(one != two for one, two in pairwise(server.asks))


def test_a_server_that_pages_without_end_is_stopped_with_the_count_of_what_it_sent():
    pager, asks = Pager(START, START + timedelta(days=120)), []

    def read_on() -> None:
        while (ask := pager.next()) is not None:
            asks.append(ask)
            rows = [Row(f"{len(asks)}-{place}", ask.start + timedelta(seconds=place)) for place in range(2)]
            pager.feed(rows, has_more=ask.is_paginated)

    with pytest.raises(StructuralError, match=r"pages without end: it has sent \d+ pages with \d+ returns"):
        read_on()
    assert 200 < len(asks) < 1_000


def test_a_long_range_of_full_pages_is_read_to_its_end():
    pager, asks = Pager(START, START + timedelta(days=120)), 0
    while (ask := pager.next()) is not None:
        asks += 1
        rows = [Row(str(ask.start + timedelta(seconds=place)), ask.start + timedelta(seconds=place)) for place in range(50)]
        pager.feed(rows, has_more=asks < 2_000)
    assert asks >= 2_000
