"""Loading Loop returns: which records are news, and the one transaction that takes them in whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from backhaul.domain import schema
from backhaul.domain.keys import canonical, hash_of
from backhaul.store import bulk
from backhaul.store.quarantine import release
from backhaul.store.tables import check_results, return_lines, return_versions, returns

_COLUMNS, _LINE_COLUMNS = schema.RETURNS.columns, schema.RETURN_LINES.columns
_UPDATED_AT, _DESTINATION, _STATE = (_COLUMNS.index(name) for name in ("updated_at", "destination_id", "loop_state"))
_OWN = (
    "merchant",
    "warehouse",
    "content_hash",
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

    @property
    def updated_at(self) -> datetime | None:
        """Loop's own time of the record; None in a webhook."""
        value: datetime | None = self.row[_UPDATED_AT]
        return value


@dataclass(frozen=True, slots=True)
class Known:
    """What the store holds of a return, as far as loading needs it."""

    content_hash: str
    updated_at: datetime | None
    version_no: int
    is_history: bool
    first_state: str
    first_seen_at: datetime

    def is_news(self, record: ReturnRecord, is_history: bool, source: str = "list") -> bool:
        """Whether a record says anything that is not known: other content that is not older, or the first live sight of history.

        A webhook's record has no time to rank it by, so it never replaces what is known.
        """
        if source == "webhook":
            return False
        if self.is_history and not is_history:
            return True
        if record.content_hash == self.content_hash:
            return False
        return self.updated_at is None or record.updated_at is None or record.updated_at >= self.updated_at


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load took in: how many records, and those of returns that were never seen before."""

    total: int
    first: list[ReturnRecord]


def make_records(rows: Sequence[bulk.Row], lines: Sequence[Sequence[bulk.Row]], bodies: Sequence[str]) -> list[ReturnRecord]:
    """Records of frame rows, each with its lines. The order in which Loop lists the lines makes no difference to the content hash."""
    texts = iter(canonical([line for own in lines for line in own]))
    records = []
    for row, own, body, text in zip(rows, lines, bodies, canonical(rows), strict=True):
        told = sorted(zip([line[1] or "" for line in own], islice(texts, len(own)), strict=True))
        records.append(ReturnRecord(row[0], row, own, body, hash_of(",".join([text, *(line for _, line in told)]))))
    return records


def fill_gaps(connection: sa.Connection, merchant: str, records: Sequence[ReturnRecord]) -> list[ReturnRecord]:
    """Records of the details, with what only the list tells taken from the stored row: the details erase no field, and no payment.

    (contracts/loop.md, section 6.2: the details leave fields of the list out. The next look at the list has the last word.)
    """
    wanted = [record.return_id for record in records if record.return_id]
    heads, lines = (
        sa.select(*(table.c[name] for name in names)).where(table.c.merchant == merchant)
        for table, names in ((returns, _COLUMNS), (return_lines, _LINE_COLUMNS))
    )
    stored = {row.return_id: row for row in bulk.select_by_keys(connection, heads, returns.c.return_id, wanted)}
    stored_lines = {
        (row.return_id, row.line_item_id): row for row in bulk.select_by_keys(connection, lines, return_lines.c.return_id, wanted)
    }
    rows = [_filled(record.row, stored.get(record.return_id)) for record in records]
    lines_of = [[_filled(line, stored_lines.get((line[0], line[1]))) for line in record.lines] for record in records]
    return make_records(rows, lines_of, [record.body for record in records])


def _filled(row: Sequence[Any], stored: Sequence[Any] | None) -> Sequence[Any]:
    """A frame's row, each of its absent values as it is stored; a flag that was seen set stays set. Checked columns stay as they are."""
    if stored is None:
        return row
    known = [old if new is None or new is False else new for new, old in zip(row, stored, strict=False)]
    return [*known, *row[len(stored) :]]


def known_returns(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> dict[str, Known]:
    """What the store holds of these returns, by return id."""
    names = ("return_id", "content_hash", "updated_at", "version_no", "is_history", "first_state", "first_seen_at")
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

    Each gets a version, its lines replaced, its earlier quarantine released, and is marked due for a decision; but for history that was
    never seen before, which the caller decides in the same transaction. `warnings` maps a return id to (table, record key, rule, severity
    and description) of the warnings it raised.
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
    changed = [record for record in news if record.return_id not in known or known[record.return_id].content_hash != record.content_hash]
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


def _bookkeeping(record: ReturnRecord, before: Known | None, is_history: bool, now: datetime) -> tuple[str, int, bool, bool, Any, datetime]:
    """What the store keeps of a return beside its row: hash, version, whether it is history and due, first state and sight."""
    if before is None:
        return record.content_hash, 1, is_history, not is_history, record.row[_STATE], now
    stays_history = is_history and before.is_history
    first_state = before.first_state if before.is_history == stays_history else record.row[_STATE]
    return record.content_hash, _next_version(record, before), stays_history, True, first_state, before.first_seen_at


def _next_version(record: ReturnRecord, before: Known | None) -> int:
    return 1 if before is None else before.version_no + (before.content_hash != record.content_hash)


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
