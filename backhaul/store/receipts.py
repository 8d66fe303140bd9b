"""Loading warehouse news: RMAs, and what arrived under them. Facts are ranked by the warehouse's own time, then by version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from backhaul.domain import schema
from backhaul.domain.content import Content, version_of, versioned
from backhaul.domain.keys import canonical, forms
from backhaul.domain.words import RmaStage
from backhaul.store import bulk
from backhaul.store.prepared import Parameter, one_of, prepared
from backhaul.store.quarantine import release
from backhaul.store.returns import mark_due
from backhaul.store.tables import receipt_lines, receipts, rmas
from backhaul.store.transaction import Transaction

_COLUMNS, _LINE_COLUMNS = schema.RECEIPTS.columns, schema.RECEIPT_LINES.columns
_RMA = ("return_id", "rma_id", "rma_status", "rma_stage", "is_terminal", "package_id", "return_type", "manifest_id", "version", "as_of")
_RECEIPT = ("return_id", "event_status", "as_of", "delivered_at", "received_at", "closed_at")
_CONTENT = Content(schema.RECEIPTS, schema.RECEIPT_LINES)
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

    def has_content(self, stored: str) -> bool:
        """Whether this is the content that was hashed, as far as the columns of that time go."""
        version = version_of(stored)
        return (self.content_hash if version >= _CONTENT.newest else _hash(self.row, self.lines, version)) == stored


def make_record(row: Sequence[Any], lines: Sequence[Sequence[Any]], body: str) -> ReceiptRecord:
    """A record of frame rows."""
    return ReceiptRecord(row, dict(zip(_COLUMNS, row, strict=False)), lines, body, _hash(row, lines, _CONTENT.newest))


def _hash(row: Sequence[Any], lines: Sequence[Sequence[Any]], version: int) -> str:
    places, line_places = _CONTENT.covered(version)
    texts = *canonical(forms([row], places), places), *canonical(forms(lines, line_places), line_places)
    return versioned(version, ",".join(texts))


@dataclass(frozen=True, slots=True)
class KnownRma:
    """What the store holds of an RMA, as far as loading needs it."""

    values: dict[str, Any]
    content_hash: str

    def is_news(self, record: ReceiptRecord, warehouse: str) -> bool:
        """Whether a record says anything that is not known, and is not older than what is.

        Of a return that moved to another warehouse, what the old one says of its withdrawn RMA is no news any more.
        """
        if record.has_content(self.content_hash):
            return False
        if warehouse != self.values["warehouse"] and record.values["rma_stage"] == RmaStage.GONE:
            return False
        if not record.values["has_lines"]:  # a carrier's event says nothing of the record itself
            return self.values["rma_status"] is None
        if self.values["rma_status"] is None:  # so far only a carrier's event has told of it
            return True
        return record.rank >= (self.values["as_of"] or _EPOCH, self.values["version"] or 0)

    def is_behind(self, record: ReceiptRecord) -> bool:
        """Whether all that a record tells beyond this is columns that were added since."""
        return version_of(self.content_hash) < _CONTENT.newest and record.has_content(self.content_hash)


def known_rmas(connection: sa.Connection, merchant: str, rma_keys: Sequence[str]) -> dict[str, KnownRma]:
    """What the store holds of these RMAs, by key."""
    rows = _known.for_keys(connection, rma_keys, merchant=merchant)
    return {row.rma_key: KnownRma(dict(row._mapping), row.content_hash) for row in rows}


@prepared
def _known(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    return sa.select(rmas).where(rmas.c.merchant == merchant, one_of(rmas.c.rma_key, keys))


def load_receipts(tx: Transaction, warehouse: str, records: Sequence[ReceiptRecord]) -> list[ReceiptRecord]:
    """Take in the records that are news, in the caller's transaction, and mark their returns due; returns those taken in.

    A row that is only behind, for columns that were added, is brought up to date and nothing else.
    """
    newest: dict[str, ReceiptRecord] = {}
    for record in records:
        if record.rma_key not in newest or _weight(record) >= _weight(newest[record.rma_key]):
            newest[record.rma_key] = record
    known = known_rmas(tx.connection, tx.merchant, list(newest))
    news = [record for key, record in newest.items() if key not in known or known[key].is_news(record, warehouse)]
    behind = [newest[key] for key, before in known.items() if before.is_behind(newest[key])]
    _write_rmas(tx, warehouse, news, keep=("first_seen_at",))
    _write_rmas(tx, warehouse, behind, keep=("first_seen_at", "run_id", "warehouse"))
    mark_due(tx, [record.rma_key for record in news])
    release(tx, warehouse, [record.rma_key for record in news])
    return news


def _write_rmas(tx: Transaction, warehouse: str, taken: Sequence[ReceiptRecord], keep: Sequence[str]) -> None:
    """Write RMAs, what was told of their parcels, and their lines. `keep` names what stays of an RMA that is there."""
    columns = ("merchant", "warehouse", "content_hash", "first_seen_at", "run_id", "rma_key", *_RMA)
    own = (tx.merchant, warehouse)
    head = [(*own, one.content_hash, tx.now, tx.run_id, one.rma_key, *(one.values[name] for name in _RMA)) for one in taken]
    bulk.upsert(tx.connection, rmas, columns, head, keep)
    told = [(tx.merchant, record.rma_key, *(record.values[name] for name in _RECEIPT)) for record in taken]
    bulk.upsert(tx.connection, receipts, ("merchant", "rma_key", *_RECEIPT), told)
    whole = [record for record in taken if record.values["has_lines"]]
    bulk.delete(tx.connection, receipt_lines, tx.merchant, "rma_key", [record.rma_key for record in whole])
    lines = [(tx.merchant, *line[: len(_LINE_COLUMNS)]) for record in whole for line in record.lines]
    bulk.upsert(tx.connection, receipt_lines, ("merchant", *_LINE_COLUMNS), lines)
    tx.move(record.rma_key for record in taken)


def _weight(record: ReceiptRecord) -> tuple[bool, tuple[datetime, int]]:
    """What decides which of two records in one batch is taken: one that has lines before one that tells of the carrier only."""
    return bool(record.values["has_lines"]), record.rank


def shown_rmas(connection: sa.Connection, merchant: str, warehouse: str, keys: Sequence[str]) -> set[str]:
    """Those of these RMAs that are stored as a warehouse's, but for the withdrawn ones."""
    alive = sa.or_(rmas.c.rma_stage.is_(None), rmas.c.rma_stage != RmaStage.GONE.value)
    query = sa.select(rmas.c.rma_key).where(rmas.c.merchant == merchant, rmas.c.warehouse == warehouse, alive)
    return {row.rma_key for row in bulk.select_by_keys(connection, query, rmas.c.rma_key, keys)}


def rma_ids(connection: sa.Connection, merchant: str, keys: Sequence[str]) -> dict[str, str]:
    """The warehouses' own ids of these RMAs, by key, where they have told them."""
    query = sa.select(rmas.c.rma_key, rmas.c.rma_id).where(rmas.c.merchant == merchant, rmas.c.rma_id.is_not(None))
    return {row.rma_key: row.rma_id for row in bulk.select_by_keys(connection, query, rmas.c.rma_key, keys)}
