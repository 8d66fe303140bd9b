"""A hash covers the columns that were known when it was made: a column that is added is no news by itself."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from backhaul.domain import schema
from backhaul.domain.content import Content, version_of, versioned
from backhaul.domain.keys import hash_of
from backhaul.domain.schema import Field, Frame, Kind
from backhaul.store import records
from backhaul.store.records import Known, ReturnRecord, make_records

AT = datetime(2026, 3, 1, tzinfo=UTC)
PAIRS = {"returns": Content(schema.RETURNS, schema.RETURN_LINES), "receipts": Content(schema.RECEIPTS, schema.RECEIPT_LINES)}
# What each version's hashes cover, for good. A new column takes the next number, and a line of its own here.
COVERED = {
    ("returns", 1): "caaf63fd8983e42ce709df5518e2ed87",
    ("returns", 2): "8304ffab2168ed56398713444c3b7d98",
    ("receipts", 1): "80fe43ad5c8f1422848b44813f5a0c66",
    ("receipts", 2): "0c38a2db49b40836b1c8da66d05b8617",
}


@pytest.mark.parametrize(("kind", "version"), COVERED)
def test_what_a_version_covers_never_changes(kind: str, version: int) -> None:
    content = PAIRS[kind]
    names = [
        [frame.all_columns[place] for place in places]
        for frame, places in zip((content.head, content.lines), content.covered(version), strict=True)
    ]
    assert hash_of(repr(names)) == COVERED[kind, version], f"{names}: a new column takes a new number as its `since`"


def test_every_version_is_held_here() -> None:
    assert {kind: content.newest for kind, content in PAIRS.items()} == {kind: version for kind, version in COVERED}


def test_a_hash_says_which_columns_it_covers() -> None:
    assert [version_of(versioned(version, "x")) for version in (1, 2, 12)] == [1, 2, 12]
    assert versioned(1, "x") == hash_of("x")  # as it was before there were versions


def with_a_column(frame: Frame, name: str, since: int) -> Frame:
    return replace(frame, fields=(*frame.fields, Field(name, Kind.TEXT, "Added.", since=since)))


def row_of(frame: Frame, **told: Any) -> list[Any]:
    return [told.get(name) for name in frame.all_columns]


def record_of(**told: Any) -> ReturnRecord:
    """A return with one line, by the columns that the store knows now."""
    content = records._CONTENT
    row = row_of(content.head, **({"return_id": "1", "loop_state": "open", "updated_at": AT} | told))
    line = row_of(content.lines, return_id="1", line_item_id="a", sku="TEE", **told)
    [record] = make_records([row], [[line]], ["{}"])
    return record


def known(record: ReturnRecord) -> Known:
    return Known(record.content_hash, record.facts_hash, record.updated_at, 1, False, "open", AT)


@pytest.mark.parametrize("widened", ["head", "lines"])
def test_a_column_that_is_added_is_no_news_and_is_brought_up_to_date(widened: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = known(record_of())
    content = PAIRS["returns"]
    wider = replace(content, **{widened: with_a_column(getattr(content, widened), "colour", content.newest + 1)})
    monkeypatch.setattr(records, "_CONTENT", wider)
    now = record_of(colour="navy")
    assert now.content_hash != before.content_hash
    assert not before.is_news(now, is_history=False) and not before.is_changed(now)
    assert before.is_behind(now) and not before.is_behind(now, "details")
    assert not known(now).is_behind(now)
    assert known(now).is_news(record_of(colour="olive"), is_history=False)


def test_news_in_a_column_that_was_known_is_news_beside_a_new_column(monkeypatch: pytest.MonkeyPatch) -> None:
    before = known(record_of())
    content = PAIRS["returns"]
    monkeypatch.setattr(records, "_CONTENT", replace(content, head=with_a_column(content.head, "colour", content.newest + 1)))
    changed = record_of(colour="navy", loop_state="closed")
    assert before.is_news(changed, is_history=False) and before.is_changed(changed) and not before.is_behind(changed)


def test_a_derived_column_is_never_hashed() -> None:
    assert record_of(reason_key="too small").content_hash == record_of().content_hash
