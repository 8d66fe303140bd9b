"""Loading Loop returns: which records are news, and the one transaction that takes them in whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from backhaul.domain import schema
from backhaul.domain.windows import Window
from backhaul.store import bulk
from backhaul.store.prepared import Parameter, one_of, prepared
from backhaul.store.quarantine import Warned, release, write_warnings
from backhaul.store.records import Known, ReturnRecord, is_later, make_records
from backhaul.store.tables import check_results, return_lines, return_versions, returns, ties
from backhaul.store.transaction import Transaction

_COLUMNS, _LINE_COLUMNS = schema.RETURNS.columns, schema.RETURN_LINES.columns
_UPDATED_AT, _DESTINATION, _STATE, _TRACKING = (
    _COLUMNS.index(name) for name in ("updated_at", "destination_id", "loop_state", "tracking_number")
)
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
_VERSION = ("merchant", "return_id", "version_no", "source", "updated_at", "body", "seen_at", "run_id")
_KEPT = ("first_seen_at",)
_KEPT_IN_SILENCE = tuple(name for name in _OWN if name not in ("merchant", "content_hash", "facts_hash"))


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load took in: how many records, and those of returns that were never seen before."""

    total: int
    first: list[ReturnRecord]


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
    if record.updated_at is not None and stored[_UPDATED_AT] is not None and is_later(record.updated_at, stored[_UPDATED_AT]):
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
    return {row.return_id: Known(*row[1:]) for row in _known.for_keys(connection, return_ids, merchant=merchant)}


@prepared
def _known(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    names = ("return_id", "content_hash", "facts_hash", "updated_at", "version_no", "is_history", "first_state", "first_seen_at")
    mine = (returns.c.merchant == merchant) & one_of(returns.c.return_id, keys)
    return sa.select(*(returns.c[name] for name in names)).where(mine)


def load_returns(
    tx: Transaction,
    records: Sequence[ReturnRecord],
    *,
    source: str,
    is_history: bool,
    warehouse_for: Callable[[str | None], str],
    warnings: Mapping[str, Sequence[Warned]],
) -> Loaded:
    """Take in the records that are news, in the caller's transaction.

    Each gets a version if it is one, its lines replaced, its earlier quarantine released, and is marked due for a decision; but for
    history that was never seen before, which the caller decides in the same transaction. A row that is only behind, for columns that were
    added, is brought up to date and nothing else. `warnings` maps a return id to the warnings it raised.
    """
    newest = {record.return_id: record for record in records}  # where one comes twice, the later one counts
    known = known_returns(tx.connection, tx.merchant, list(newest))
    first = [record for return_id, record in newest.items() if return_id not in known]
    again = [newest[return_id] for return_id, before in known.items() if before.is_news(newest[return_id], is_history, source)]
    news, taken = first + again, {record.return_id for record in again}
    behind = [newest[key] for key, before in known.items() if key not in taken and before.is_behind(newest[key], source)]

    def header(record: ReturnRecord) -> bulk.Row:
        warehouse, before = warehouse_for(record.row[_DESTINATION]), known.get(record.return_id)
        own = _bookkeeping(record, before, is_history, tx.now)
        return (tx.merchant, warehouse, *own, tx.now, tx.run_id, *record.row[: len(_COLUMNS)])

    columns = (*_OWN, *_COLUMNS)
    bulk.upsert(tx.connection, returns, columns, [header(record) for record in first], is_new=True)
    bulk.upsert(tx.connection, returns, columns, [header(record) for record in again], keep=_KEPT)
    bulk.upsert(tx.connection, returns, columns, [header(record) for record in behind], keep=_KEPT_IN_SILENCE)
    bulk.delete(tx.connection, return_lines, tx.merchant, "return_id", [record.return_id for record in again + behind])
    lines = [(tx.merchant, *line[: len(_LINE_COLUMNS)]) for record in news + behind for line in record.lines]
    bulk.upsert(tx.connection, return_lines, ("merchant", *_LINE_COLUMNS), lines, is_new=True)
    changed = [record for record in news if record.return_id not in known or known[record.return_id].is_changed(record)]
    versions = [
        (tx.merchant, one.return_id, _next_version(one, known.get(one.return_id)), source, one.updated_at, one.body, tx.now, tx.run_id)
        for one in changed
    ]
    bulk.insert(tx.connection, return_versions, _VERSION, versions)
    ids = [record.return_id for record in news]
    _write_warnings(tx, ids, known, warnings)
    release(tx, "loop", ids)
    tx.move(record.return_id for record in news + behind)
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
    tx: Transaction,
    return_ids: Sequence[str],
    known: Mapping[str, Known],
    warnings: Mapping[str, Sequence[Warned]],
) -> None:
    seen_before = [i for i in return_ids if i in known]
    if seen_before:
        stale = one_of(check_results.c.record_key, seen_before)
        tx.connection.execute(sa.delete(check_results).where(check_results.c.merchant == tx.merchant, stale))
    write_warnings(tx, [warned for i in return_ids for warned in warnings.get(i, ())])


def mark_due(tx: Transaction, return_ids: Sequence[str]) -> None:
    """Mark returns as having news that a decision must take in, and those to which units of their RMAs are tied."""
    if return_ids:
        _mark_due(tx.connection, whose=tx.merchant, keys=return_ids)
        _mark_tied_due(tx.connection, whose=tx.merchant, keys=return_ids)


@prepared
def _mark_due(whose: Parameter, keys: Parameter) -> sa.Update:
    return sa.update(returns).where(returns.c.merchant == whose, one_of(returns.c.return_id, keys)).values(is_due=True)


@prepared
def _mark_tied_due(whose: Parameter, keys: Parameter) -> sa.Update:
    tied = sa.select(ties.c.return_id).where(ties.c.merchant == whose, one_of(ties.c.rma_key, keys))
    return sa.update(returns).where(returns.c.merchant == whose, returns.c.return_id.in_(tied)).values(is_due=True)


def mark_decided(tx: Transaction, return_ids: Sequence[str]) -> None:
    """Mark returns as having no news any more: a decision has taken it in."""
    _mark_decided(tx.connection, whose=tx.merchant, keys=return_ids)


@prepared
def _mark_decided(whose: Parameter, keys: Parameter) -> sa.Update:
    due = (returns.c.merchant == whose) & returns.c.is_due & one_of(returns.c.return_id, keys)
    return sa.update(returns).where(due).values(is_due=False)


# What is asked about returns


class Version(NamedTuple):
    """A return as a source told it at a time."""

    return_id: str
    version_no: int
    source: Literal["list", "details", "webhook"]
    body: str
    seen_at: datetime


def versions_of(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> dict[str, list[Version]]:
    """Every version of these returns, by return id."""
    query = sa.select(*(return_versions.c[name] for name in Version._fields)).where(return_versions.c.merchant == merchant)
    found: dict[str, list[Version]] = {return_id: [] for return_id in return_ids}
    for row in bulk.select_by_keys(connection, query, return_versions.c.return_id, return_ids):
        found[row.return_id].append(Version(*row))
    return found


def warehouses_of(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> dict[str, str]:
    """The warehouse of each of these returns that is stored."""
    query = sa.select(returns.c.return_id, returns.c.warehouse).where(returns.c.merchant == merchant)
    return {row.return_id: row.warehouse for row in bulk.select_by_keys(connection, query, returns.c.return_id, return_ids)}


def history_among(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> set[str]:
    """Those of these returns that are stored as history."""
    return _among(connection, merchant, return_ids, returns.c.is_history)


def only_told_of(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> set[str]:
    """Those of these returns that are stored as an event told them, and not as Loop shows them."""
    return _among(connection, merchant, return_ids, returns.c.updated_at.is_(None))


def shown_by_loop(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> set[str]:
    """Those of these returns that are stored as Loop itself shows them."""
    return _among(connection, merchant, return_ids, returns.c.updated_at.is_not(None))


def _among(connection: sa.Connection, merchant: str, return_ids: Sequence[str], such: sa.ColumnElement[bool]) -> set[str]:
    query = sa.select(returns.c.return_id).where(returns.c.merchant == merchant, such)
    return {row.return_id for row in bulk.select_by_keys(connection, query, returns.c.return_id, return_ids)}


def changed_in(connection: sa.Connection, merchant: str, window: Window) -> set[str]:
    """The returns that Loop says changed last in a window."""
    inside = (returns.c.updated_at >= window.start) & (returns.c.updated_at < window.end)
    return set(connection.execute(sa.select(returns.c.return_id).where(returns.c.merchant == merchant, inside)).scalars())


def changes_since(connection: sa.Connection, merchant: str, since: datetime) -> list[datetime]:
    """When each return changed last that has changed at Loop since then."""
    query = sa.select(returns.c.updated_at).where(returns.c.merchant == merchant, returns.c.updated_at >= since)
    return list(connection.execute(query).scalars())


def lines_of(connection: sa.Connection, merchant: str, return_ids: Sequence[str], order_names: Sequence[str]) -> dict[str, str]:
    """The return of each stored line of these returns, and of the returns of these orders, by line id."""
    found = {row.return_id for row in _of_orders.for_keys(connection, order_names, merchant=merchant)}
    lines = _lines.for_keys(connection, sorted(found.union(return_ids)), merchant=merchant)
    return {row.line_item_id: row.return_id for row in lines}


@prepared
def _of_orders(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    return sa.select(returns.c.return_id).where(returns.c.merchant == merchant, one_of(returns.c.order_name, keys))


@prepared
def _lines(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    mine = (return_lines.c.merchant == merchant) & one_of(return_lines.c.return_id, keys)
    return sa.select(return_lines.c.line_item_id, return_lines.c.return_id).where(mine)


def reasons_since(connection: sa.Connection, merchant: str, since: datetime) -> dict[str, int]:
    """How many lines of the returns started since then give each reason."""
    same = (returns.c.merchant == return_lines.c.merchant) & (returns.c.return_id == return_lines.c.return_id)
    query = (
        sa.select(return_lines.c.return_reason, sa.func.count())
        .join(returns, same)
        .where(return_lines.c.merchant == merchant, return_lines.c.return_reason.is_not(None), returns.c.created_at >= since)
        .group_by(return_lines.c.return_reason)
    )
    return {reason: lines for reason, lines in connection.execute(query)}
