"""Loading warehouse news: RMAs, and what arrived under them. Facts are ranked by the warehouse's own time, then by version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from backhaul.domain import schema
from backhaul.domain.keys import content_hash
from backhaul.domain.words import RmaStage
from backhaul.store import bulk
from backhaul.store.quarantine import release
from backhaul.store.tables import receipt_lines, receipts, returns, rmas

_COLUMNS, _LINE_COLUMNS = schema.RECEIPTS.columns, schema.RECEIPT_LINES.columns
_RMA = ("return_id", "rma_id", "rma_status", "rma_stage", "is_terminal", "package_id", "return_type", "manifest_id", "version", "as_of")
_RECEIPT = ("return_id", "event_status", "as_of", "delivered_at", "received_at", "closed_at")
_DERIVED = {place for place, field in enumerate(schema.RECEIPTS.fields) if field.is_derived}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReceiptRecord:
    """One RMA as the warehouse told it: its row and its lines' rows as the frames have them, its values by column, its body."""

    row: Sequence[Any]
    values: dict[str, Any]
    lines: Sequence[Sequence[Any]]
    body: str
    content_hash: str

    @property
    def rma_key(self) -> str:
        """The RMA's key: the Loop return id, or one of the warehouse's own."""
        return str(self.values["rma_key"])

    @property
    def rank(self) -> tuple[datetime, int]:
        """What decides which of two facts about an RMA is the newer."""
        return self.values["as_of"] or _EPOCH, self.values["version"] or 0


def make_record(row: Sequence[Any], lines: Sequence[Sequence[Any]], body: str) -> ReceiptRecord:
    """A record of frame rows."""
    flat = [value for place, value in enumerate(row) if place not in _DERIVED]
    for line in lines:
        flat.extend(line)
    return ReceiptRecord(row, dict(zip(_COLUMNS, row, strict=False)), lines, body, content_hash(flat))


@dataclass(frozen=True, slots=True)
class KnownRma:
    """What the store holds of an RMA, as far as loading needs it."""

    values: dict[str, Any]
    content_hash: str
    first_seen_at: datetime

    def is_news(self, record: ReceiptRecord, warehouse: str) -> bool:
        """Whether a record says anything that is not known, and is not older than what is.

        Of a return that moved to another warehouse, what the old one says of its withdrawn RMA is no news any more.
        """
        if record.content_hash == self.content_hash:
            return False
        if warehouse != self.values["warehouse"] and record.values["rma_stage"] == RmaStage.GONE:
            return False
        if not record.values["has_lines"]:  # a carrier's event says nothing of the record itself
            return self.values["rma_status"] is None
        if self.values["rma_status"] is None:  # so far only a carrier's event has told of it
            return True
        return record.rank >= (self.values["as_of"] or _EPOCH, self.values["version"] or 0)


def known_rmas(connection: sa.Connection, merchant: str, rma_keys: Sequence[str]) -> dict[str, KnownRma]:
    """What the store holds of these RMAs, by key."""
    query = sa.select(rmas).where(rmas.c.merchant == merchant)
    rows = bulk.select_by_keys(connection, query, rmas.c.rma_key, rma_keys)
    return {row.rma_key: KnownRma(dict(row._mapping), row.content_hash, row.first_seen_at) for row in rows}


def load_receipts(
    connection: sa.Connection, merchant: str, warehouse: str, records: Sequence[ReceiptRecord], *, run_id: str, now: datetime
) -> list[ReceiptRecord]:
    """Take in the records that are news, in the caller's transaction, and mark their returns due; returns those taken in."""
    newest: dict[str, ReceiptRecord] = {}
    for record in records:
        if record.rma_key not in newest or _weight(record) >= _weight(newest[record.rma_key]):
            newest[record.rma_key] = record
    known = known_rmas(connection, merchant, list(newest))
    news = [record for key, record in newest.items() if key not in known or known[key].is_news(record, warehouse)]
    if not news:
        return []
    columns = ("merchant", "warehouse", "content_hash", "first_seen_at", "run_id", "rma_key", *_RMA)
    rows = []
    for record in news:
        first_seen_at = known[record.rma_key].first_seen_at if record.rma_key in known else now
        values = [record.values[name] for name in _RMA]
        rows.append((merchant, warehouse, record.content_hash, first_seen_at, run_id, record.rma_key, *values))
    bulk.upsert(connection, rmas, columns, rows, keep=("first_seen_at",))
    told = [(merchant, record.rma_key, *(record.values[name] for name in _RECEIPT)) for record in news]
    bulk.upsert(connection, receipts, ("merchant", "rma_key", *_RECEIPT), told)
    _replace_lines(connection, merchant, news)
    due = [record.values["return_id"] for record in news if record.values["return_id"] is not None]
    mark_due(connection, merchant, due)
    release(connection, merchant, warehouse, [record.rma_key for record in news], now)
    return news


def _weight(record: ReceiptRecord) -> tuple[bool, tuple[datetime, int]]:
    """What decides which of two records in one batch is taken: one that has lines before one that tells of the carrier only."""
    return bool(record.values["has_lines"]), record.rank


def _replace_lines(connection: sa.Connection, merchant: str, news: Sequence[ReceiptRecord]) -> None:
    whole = [record for record in news if record.values["has_lines"]]
    bulk.delete(connection, receipt_lines, merchant, "rma_key", [record.rma_key for record in whole])
    lines = [(merchant, *line[: len(_LINE_COLUMNS)]) for record in whole for line in record.lines]
    bulk.upsert(connection, receipt_lines, ("merchant", *_LINE_COLUMNS), lines)


def mark_due(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> None:
    """Mark returns as having news that a decision must take in."""
    if return_ids:
        which = bulk.one_of(connection, returns.c.return_id, return_ids)
        connection.execute(sa.update(returns).where(returns.c.merchant == merchant, which).values(is_due=True))
