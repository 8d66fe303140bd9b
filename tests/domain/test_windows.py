"""Windows cover what was asked for, with no gap and no overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.domain.windows import Window, next_sync_window, parse_day_or_time, parse_range, split

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
times = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
spans = st.timedeltas(timedelta(hours=1), timedelta(days=400))
overlaps = st.timedeltas(timedelta(0), timedelta(days=2))


@given(times, st.timedeltas(timedelta(microseconds=1), timedelta(days=400)), spans)
def test_windows_cover_the_range_exactly_with_no_gap_or_overlap(start: datetime, length: timedelta, max_span: timedelta) -> None:
    windows = split(start, start + length, max_span)
    assert (windows[0].start, windows[-1].end) == (start, start + length)
    assert all(earlier.end == later.start for earlier, later in pairwise(windows))
    assert all(timedelta(0) < window.end - window.start <= max_span for window in windows)
    assert len(windows) == -(-length // max_span)


def test_a_range_as_long_as_a_window_is_one_window() -> None:
    assert split(NOW, NOW + timedelta(days=120), timedelta(days=120)) == [Window(NOW, NOW + timedelta(days=120))]


def test_a_change_of_clocks_makes_no_window_longer() -> None:
    paris = ZoneInfo("Europe/Paris")
    windows = split(datetime(2026, 10, 24, tzinfo=paris), datetime(2026, 10, 27, tzinfo=paris), timedelta(days=1))
    assert [window.end - window.start for window in windows] == [timedelta(days=1)] * 3 + [timedelta(hours=1)]


def test_a_window_that_ends_before_it_starts_has_no_zone_or_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        Window(NOW, NOW)
    with pytest.raises(ValueError, match="the end of a window needs a zone"):
        Window(NOW, datetime(2027, 1, 1))
    with pytest.raises(ValueError, match="positive span"):
        split(NOW, NOW + timedelta(days=1), timedelta(0))
    with pytest.raises(ValueError, match="overlap"):
        next_sync_window(NOW, NOW, 7, -timedelta(minutes=1))


def test_the_first_sync_looks_back_the_days_it_is_told() -> None:
    assert next_sync_window(None, NOW, 7, timedelta(minutes=10)) == Window(NOW - timedelta(days=7), NOW)


def test_a_later_sync_starts_before_the_watermark_and_ends_now() -> None:
    watermark = NOW - timedelta(minutes=5)
    assert next_sync_window(watermark, NOW, 7, timedelta(minutes=10)) == Window(NOW - timedelta(minutes=15), NOW)


def test_a_sync_reaches_past_a_watermark_that_is_ahead_of_our_clock() -> None:
    window = next_sync_window(NOW + timedelta(minutes=2), NOW, 7, timedelta(minutes=10))
    assert window == Window(NOW - timedelta(minutes=10), NOW + timedelta(minutes=2, seconds=1))


def test_one_absurd_watermark_neither_hides_what_comes_after_nor_asks_for_years() -> None:
    window = next_sync_window(NOW + timedelta(days=20_000), NOW, 7, timedelta(minutes=10))
    assert window.start == NOW - timedelta(minutes=10)
    assert window.end - NOW <= timedelta(hours=2)


@given(st.one_of(st.none(), times), times, st.integers(1, 120), overlaps)
def test_a_sync_window_never_starts_after_the_watermark_and_reaches_now(
    watermark: datetime | None, now: datetime, days: int, overlap: timedelta
) -> None:
    window = next_sync_window(watermark, now, days, overlap)
    assert window.start < window.end
    assert window.end >= now
    if watermark is not None:
        assert window.start <= min(watermark, now) - overlap


def test_a_plain_day_is_its_midnight_in_utc() -> None:
    assert parse_day_or_time(" 2026-11-01 ") == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-01T09:00:00Z", "2026-11-01 11:00+02:00", "2026-11-01T04:00:00-05:00"])
def test_a_time_with_its_zone_is_understood(text: str) -> None:
    parsed = parse_day_or_time(text)
    assert parsed == datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert parsed.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["2026-11-01T09:00:00", "2026-11-01 09:00", "20261101"])
def test_a_time_without_a_zone_is_refused_with_a_way_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="has no zone; give a day"):
        parse_day_or_time(text)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "01/11/2026", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_date_is_refused_with_a_way_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="not a date or a time; give a day"):
        parse_day_or_time(text)


def test_a_range_of_days_leaves_the_last_one_out() -> None:
    window = parse_range("2026-11-01", "2026-11-03", NOW)
    assert window == Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC))


def test_a_range_may_take_in_today_and_then_ends_now() -> None:
    assert parse_range("2026-11-19", "2026-11-21", NOW).end == NOW


@pytest.mark.parametrize("end", ["2026-11-01", "2026-10-31"])
def test_a_range_that_ends_before_it_starts_is_refused(end: str) -> None:
    with pytest.raises(ValueError, match=f"ends at {end}"):
        parse_range("2026-11-01", end, NOW)


@pytest.mark.parametrize(
    ("start", "end"), [("2026-11-21", "2026-11-22"), ("2026-11-01", "2026-11-22"), ("2026-11-20T13:00Z", "2026-11-21")]
)
def test_a_range_that_lies_in_the_future_is_refused(start: str, end: str) -> None:
    with pytest.raises(ValueError, match="in the future; it is 2026-11-20T12:00:00Z now"):
        parse_range(start, end, NOW)


def test_now_may_be_told_in_any_zone() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    assert next_sync_window(None, there, 7, timedelta(0)) == next_sync_window(None, NOW, 7, timedelta(0))
    assert parse_range("2026-11-19", "2026-11-21", there) == parse_range("2026-11-19", "2026-11-21", NOW)
