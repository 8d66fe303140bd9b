"""Loading Loop returns: which records are news, and the one transaction that takes them in whole.

The list, the details and the webhooks write one return in different forms, and only a change of the return itself is a version
(docs/decisions/0011-what-a-version-is.md). So a record has two hashes: its content, which decides whether the row is written, and its
facts, which every surface tells alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from backhaul.domain import schema
from backhaul.domain.keys import canonical, hash_of
from backhaul.store import bulk
from backhaul.store.quarantine import release
from backhaul.store.tables import check_results, return_lines, return_versions, returns

_COLUMNS, _LINE_COLUMNS = schema.RETURNS.columns, schema.RETURN_LINES.columns
_UPDATED_AT, _DESTINATION, _STATE, _TRACKING = (
    _COLUMNS.index(name) for name in ("updated_at", "destination_id", "loop_state", "tracking_number")
)
_FACTS = (
    "return_id",
    "loop_state",
    "tracking_number",
    "is_paid",
    "return_processed_at",
    "refund_processed_at",
    "gift_card_processed_at",
    "exchange_processed_at",
    "shop_cash_processed_at",
)
_LINE_FACTS = ("line_item_id", "sku")
_facts_of = itemgetter(*map(_COLUMNS.index, _FACTS))
_line_facts_of = itemgetter(*map(_LINE_COLUMNS.index, _LINE_FACTS))
_FORM = ("order_id", "edited_at")  # written in another way by the details: the list alone tells them
_LINE_FORM = ("title",)
_OWN = (
    "merchant",
    "warehouse",
    "content_hash",
    "facts_hash",
    "version_no",
    "is_history",
    "is_due",
    "first_state",
    "first_seen_at",
    "loaded_at",
    "run_id",
)
_KEPT = ("first_seen_at",)


@dataclass(frozen=True, slots=True)
class ReturnRecord:
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

    def is_news(self, record: ReturnRecord, is_history: bool, source: str = "list") -> bool:
        """Whether a record says anything that is not known: other content that is not older, or the first live sight of history.

        A webhook's record has no time to rank it by, so it never replaces what is known. Times are compared by the second: not every
        surface tells more.
        """
        if source == "webhook":
            return False
        if self.is_history and not is_history:
            return True
        if record.content_hash == self.content_hash:
            return False
        return self.updated_at is None or record.updated_at is None or _second(record.updated_at) >= _second(self.updated_at)

    def is_changed(self, record: ReturnRecord) -> bool:
        """Whether the return itself is another than the one that is known, so that the record is a version of its own."""
        if self.facts_hash is not None and record.facts_hash != self.facts_hash:
            return True
        return self.updated_at is not None and record.updated_at is not None and _second(record.updated_at) != _second(self.updated_at)


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load took in: how many records, and those of returns that were never seen before."""

    total: int
    first: list[ReturnRecord]


def make_records(rows: Sequence[bulk.Row], lines: Sequence[Sequence[bulk.Row]], bodies: Sequence[str]) -> list[ReturnRecord]:
    """Records of frame rows, each with its lines. The order in which Loop lists the lines makes no difference to the hashes."""
    texts = iter(canonical([line for own in lines for line in own]))
    records = []
    for row, own, body, text in zip(rows, lines, bodies, canonical(rows), strict=True):
        told = sorted(zip([line[1] or "" for line in own], islice(texts, len(own)), strict=True))
        content = hash_of(",".join([text, *(line for _, line in told)]))
        facts = hash_of(ascii((_facts_of(row), sorted([ascii(_line_facts_of(line)) for line in own]))))
        records.append(ReturnRecord(row[0], row, own, body, content, facts))
    return records


def read_back(connection: sa.Connection, merchant: str, records: Sequence[ReturnRecord]) -> list[ReturnRecord]:
    """Records of the details as they are to be loaded beside what is stored.

    The list is the authority on what both tell, so a read-back that shows the return as it is known fills its gaps alone. One that shows
    it changed (another time, state, parcel or set of lines) is believed, but for what the details write in a form of their own: that is
    left to the list. What they leave out stays as it is stored, and so does a flag that was set (docs/vendors/loop.md, 6.2 and 10).
    """
    wanted = [record.return_id for record in records if record.return_id]
    heads, lines = (
        sa.select(*(table.c[name] for name in names)).where(table.c.merchant == merchant)
        for table, names in ((returns, _COLUMNS), (return_lines, _LINE_COLUMNS))
    )
    stored = {row.return_id: row for row in bulk.select_by_keys(connection, heads, returns.c.return_id, wanted)}
    known_lines: defaultdict[str, dict[str, Sequence[Any]]] = defaultdict(dict)
    for line in bulk.select_by_keys(connection, lines, return_lines.c.return_id, wanted):
        known_lines[line.return_id][line.line_item_id] = line
    filled = [_beside(record, stored.get(record.return_id), known_lines[record.return_id]) for record in records]
    return make_records([row for row, _ in filled], [own for _, own in filled], [record.body for record in records])


def _beside(
    record: ReturnRecord, stored: Sequence[Any] | None, lines: Mapping[str, Sequence[Any]]
) -> tuple[Sequence[Any], Sequence[Sequence[Any]]]:
    """A record's row and its lines' rows, as they are to be loaded beside what is stored of the return."""
    row = list(record.row)
    for place in map(_COLUMNS.index, _FORM):
        row[place] = stored[place] if stored is not None else None
    if stored is None:
        return row, record.lines
    is_changed = _is_changed(record, stored, lines)
    own = [
        _filled(line, lines[line[1]], _LINE_FORM if is_changed else _LINE_COLUMNS, _LINE_COLUMNS) if line[1] in lines else line
        for line in record.lines
    ]
    return _filled(row, stored, () if is_changed else _COLUMNS, _COLUMNS), own


def _is_changed(record: ReturnRecord, stored: Sequence[Any], lines: Mapping[str, Sequence[Any]]) -> bool:
    if record.updated_at is not None and stored[_UPDATED_AT] is not None and _second(record.updated_at) > _second(stored[_UPDATED_AT]):
        return True
    is_moved = any(record.row[place] not in (None, stored[place]) for place in (_STATE, _TRACKING))
    return is_moved or {line[1] for line in record.lines} != set(lines)


def _filled(row: Sequence[Any], stored: Sequence[Any], kept: Sequence[str], columns: Sequence[str]) -> Sequence[Any]:
    """A frame's row: of the columns in `kept`, and of what the row does not have, what is stored. A flag that was seen set stays set."""
    known = [
        old if new is None or new is False or (old is not None and old is not False and name in kept) else new
        for name, new, old in zip(columns, row, stored, strict=False)
    ]
    return [*known, *row[len(columns) :]]


def known_returns(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> dict[str, Known]:
    """What the store holds of these returns, by return id."""
    names = ("return_id", "content_hash", "facts_hash", "updated_at", "version_no", "is_history", "first_state", "first_seen_at")
    query = sa.select(*(returns.c[name] for name in names)).where(returns.c.merchant == merchant)
    return {row.return_id: Known(*row[1:]) for row in bulk.select_by_keys(connection, query, returns.c.return_id, return_ids)}


def load_returns(
    connection: sa.Connection,
    merchant: str,
    records: Sequence[ReturnRecord],
    *,
    source: str,
    is_history: bool,
    warehouse_for: Callable[[str | None], str],
    warnings: Mapping[str, Sequence[tuple[str, str, str, str]]],
    run_id: str,
    now: datetime,
) -> Loaded:
    """Take in the records that are news, in the caller's transaction.

    Each gets a version if it is one, its lines replaced, its earlier quarantine released, and is marked due for a decision; but for
    history that was never seen before, which the caller decides in the same transaction. `warnings` maps a return id to (table, record
    key, rule, severity and description) of the warnings it raised.
    """
    newest = {record.return_id: record for record in records}  # where one comes twice, the later one counts
    known = known_returns(connection, merchant, list(newest))
    first = [record for return_id, record in newest.items() if return_id not in known]
    again = [newest[return_id] for return_id, before in known.items() if before.is_news(newest[return_id], is_history, source)]
    news = first + again
    if not news:
        return Loaded(0, [])

    def header(record: ReturnRecord) -> bulk.Row:
        warehouse, before = warehouse_for(record.row[_DESTINATION]), known.get(record.return_id)
        return (merchant, warehouse, *_bookkeeping(record, before, is_history, now), now, run_id, *record.row[: len(_COLUMNS)])

    bulk.upsert(connection, returns, (*_OWN, *_COLUMNS), [header(record) for record in first], is_new=True)
    bulk.upsert(connection, returns, (*_OWN, *_COLUMNS), [header(record) for record in again], keep=_KEPT)
    ids = [record.return_id for record in news]
    bulk.delete(connection, return_lines, merchant, "return_id", [record.return_id for record in again])
    lines = [(merchant, *line[: len(_LINE_COLUMNS)]) for record in news for line in record.lines]
    bulk.upsert(connection, return_lines, ("merchant", *_LINE_COLUMNS), lines, is_new=True)
    changed = [record for record in news if record.return_id not in known or known[record.return_id].is_changed(record)]
    versions = [
        (merchant, one.return_id, _next_version(one, known.get(one.return_id)), source, one.updated_at, one.body, now, run_id)
        for one in changed
    ]
    bulk.insert(
        connection, return_versions, ("merchant", "return_id", "version_no", "source", "updated_at", "body", "seen_at", "run_id"), versions
    )
    _write_warnings(connection, merchant, ids, known, warnings, run_id, now)
    release(connection, merchant, "loop", ids, now)
    return Loaded(len(news), first)


def _bookkeeping(
    record: ReturnRecord, before: Known | None, is_history: bool, now: datetime
) -> tuple[str, str, int, bool, bool, Any, datetime]:
    """What the store keeps of a return beside its row: hashes, version, whether it is history and due, first state and sight."""
    hashes = record.content_hash, record.facts_hash
    if before is None:
        return *hashes, 1, is_history, not is_history, record.row[_STATE], now
    stays_history = is_history and before.is_history
    first_state = before.first_state if before.is_history == stays_history else record.row[_STATE]
    return *hashes, _next_version(record, before), stays_history, True, first_state, before.first_seen_at


def _next_version(record: ReturnRecord, before: Known | None) -> int:
    return 1 if before is None else before.version_no + before.is_changed(record)


def _write_warnings(
    connection: sa.Connection,
    merchant: str,
    return_ids: Sequence[str],
    known: Mapping[str, Known],
    warnings: Mapping[str, Sequence[tuple[str, str, str, str]]],
    run_id: str,
    now: datetime,
) -> None:
    seen_before = [i for i in return_ids if i in known]
    if seen_before:
        stale = bulk.one_of(connection, check_results.c.record_key, seen_before)
        connection.execute(sa.delete(check_results).where(check_results.c.merchant == merchant, stale))
    rows = [
        (merchant, table, i, rule, severity, words, now, run_id) for i in return_ids for table, rule, severity, words in warnings.get(i, ())
    ]
    columns = ("merchant", "table_name", "record_key", "rule", "severity", "description", "found_at", "run_id")
    bulk.insert(connection, check_results, columns, rows)
