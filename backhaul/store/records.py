"""Returns as they came: their rows, and the hashes by which the store tells what is news of them.

The list, the details and the webhooks write one return in different forms, and only a change of the return itself is a version
(docs/decisions/0011-what-a-version-is.md). So a record has two hashes: its content, which decides whether the row is written, and its
facts, which every surface tells alike. Both cover the columns of a version (`domain/content.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from backhaul.domain import schema
from backhaul.domain.content import Content, named, version_of, versioned
from backhaul.domain.keys import canonical, forms
from backhaul.domain.matching import line_order
from backhaul.domain.planned import Plan
from backhaul.store import bulk

LISTED = "list"  # the source that tells every column
_CONTENT = Content(schema.RETURNS, schema.RETURN_LINES)
_UPDATED_AT = schema.RETURNS.columns.index("updated_at")
_FACTS = (
    *("return_id", "loop_state", "tracking_number", "is_paid", "return_processed_at", "refund_processed_at"),
    *("gift_card_processed_at", "exchange_processed_at", "shop_cash_processed_at"),
)
_LINE_FACTS = ("line_item_id", "sku")


class ReturnRecord(msgspec.Struct, frozen=True, gc=False):
    """One return as it came: its row and its lines' rows, as the frames have them and its body without personal data."""

    return_id: str
    row: Sequence[Any]
    lines: Sequence[Sequence[Any]]
    body: str
    content_hash: str
    facts_hash: str

    @property
    def updated_at(self) -> datetime | None:
        """Loop's own time of the record; None in a webhook."""
        value: datetime | None = self.row[_UPDATED_AT]
        return value

    @property
    def key(self) -> str:
        """The return's id; of one without an id a hash, of the first version's columns, so that no new column makes it another."""
        return self.return_id or f"sha256:{self._hashes(1)[0]}"

    def has_content(self, stored: str) -> bool:
        """Whether this is the content that was hashed, as far as the columns of that time go."""
        return self._hashes(version_of(stored))[0] == stored

    def has_facts(self, stored: str) -> bool:
        """Whether these are the facts that were hashed, as far as the columns of that time go."""
        return self._hashes(version_of(stored))[1] == stored

    def _hashes(self, version: int) -> tuple[str, str]:
        if version >= _CONTENT.newest:
            return self.content_hash, self.facts_hash
        return _hashes([self.row], [self.lines], version)[0]


class Alone(NamedTuple):
    """A return that is loaded as history, of which nothing but its record is known, with its lines in order and what that calls for."""

    record: ReturnRecord
    lines: Sequence[Sequence[Any]]
    plan: Plan


def in_order(lines: Sequence[bulk.Row]) -> Sequence[bulk.Row]:
    """Lines in the order in which units are tied to them."""
    return lines if len(lines) < 2 else sorted(lines, key=lambda line: line_order(line[1]))


@dataclass(frozen=True, slots=True)
class Known:
    """What the store holds of a return, as far as loading needs it. `facts_hash` is null for one that was loaded before there was any."""

    content_hash: str
    facts_hash: str | None
    updated_at: datetime | None
    version_no: int
    is_history: bool
    first_state: str
    first_seen_at: datetime

    def is_news(self, record: ReturnRecord, is_history: bool, source: str = LISTED) -> bool:
        """Whether a record says anything that is not known: other content that is not older, or the first live sight of history.

        A webhook's record has no time to rank it by, so it never replaces what is known. Times are compared by the second: not every
        surface tells more.
        """
        if source == "webhook":
            return False
        if self.is_history and not is_history:
            return True
        if record.has_content(self.content_hash):
            return False
        return self.updated_at is None or record.updated_at is None or _second(record.updated_at) >= _second(self.updated_at)

    def is_behind(self, record: ReturnRecord, source: str = LISTED) -> bool:
        """Whether all that a record tells beyond this is columns that were added since. The list alone tells every column."""
        is_older = version_of(self.content_hash) < _CONTENT.newest
        return source == LISTED and is_older and record.has_content(self.content_hash)

    def is_changed(self, record: ReturnRecord) -> bool:
        """Whether the return itself is another than the one that is known, so that the record is a version of its own."""
        if self.facts_hash is not None and not record.has_facts(self.facts_hash):
            return True
        return self.updated_at is not None and record.updated_at is not None and _second(record.updated_at) != _second(self.updated_at)


def is_later(one: datetime, other: datetime) -> bool:
    """Whether one moment is in a later second than another."""
    return _second(one) > _second(other)


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def make_records(rows: Sequence[bulk.Row], lines: Sequence[Sequence[bulk.Row]], bodies: Sequence[str]) -> list[ReturnRecord]:
    """Records of frame rows, each with its lines."""
    hashes = _hashes(rows, lines, _CONTENT.newest)
    return [ReturnRecord(row[0], row, own, body, *pair) for row, own, body, pair in zip(rows, lines, bodies, hashes, strict=True)]


def _hashes(rows: Sequence[bulk.Row], lines: Sequence[Sequence[bulk.Row]], version: int) -> list[tuple[str, str]]:
    """Each record's content hash and facts hash. The order in which Loop lists the lines makes no difference to them."""
    places, line_places = _CONTENT.covered(version)
    facts_places, line_facts_places = named(_CONTENT.head, places, _FACTS), named(_CONTENT.lines, line_places, _LINE_FACTS)
    heads, told = forms(rows, places), forms([line for own in lines for line in own], line_places)
    texts, facts_of = canonical(told, line_places), canonical(told, line_facts_places)
    hashes = []
    for own, text, facts in zip(lines, canonical(heads, places), canonical(heads, facts_places), strict=True):
        in_order = sorted(zip([line[1] or "" for line in own], islice(texts, len(own)), strict=True))
        content = versioned(version, ",".join([text, *[line for _, line in in_order]]))
        hashes.append((content, versioned(version, ";".join([facts, *sorted(islice(facts_of, len(own)))]))))
    return hashes
