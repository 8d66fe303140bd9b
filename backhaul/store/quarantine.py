"""Quarantine: records that broke a critical rule, kept whole until a version that passes takes their place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.indexed import IS_QUARANTINED
from backhaul.store.prepared import Parameter, prepared
from backhaul.store.tables import check_results, quarantine
from backhaul.store.transaction import Transaction

Warned = tuple[str, str, str, str, str, str]  # table, record key, rule, severity, description, and the engine that judged


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that broke a critical rule. `rules` are rule ids; `reason` says what they mean, and names no value of the record."""

    record_key: str
    order_name: str | None
    rules: tuple[str, ...]
    reason: str
    body: str
    content_hash: str


def known_quarantine(connection: sa.Connection, merchant: str, source: str) -> dict[str, list[str]]:
    """The content hashes of everything in quarantine now, by record key."""
    found: dict[str, list[str]] = {}
    for _, record_key, content_hash in _in_quarantine(connection, merchant=merchant, source=source):
        found.setdefault(record_key, []).append(content_hash)
    return found


@prepared
def _in_quarantine(merchant: Parameter, source: Parameter) -> sa.Select[Any]:
    columns = (quarantine.c.quarantine_id, quarantine.c.record_key, quarantine.c.content_hash)
    return sa.select(*columns).where(_held(merchant), quarantine.c.source == source)


def held_keys(connection: sa.Connection, merchant: str, source: str | None = None) -> set[str]:
    """The keys of the records in quarantine now; of every source when none is named."""
    return {row.record_key for row in _keys(connection, merchant=merchant) if source is None or row.source == source}


@prepared
def _keys(merchant: Parameter) -> sa.Select[Any]:
    return sa.select(quarantine.c.record_key, quarantine.c.source).where(_held(merchant))


def held_among(connection: sa.Connection, merchant: str, source: str, keys: Sequence[str]) -> set[str]:
    """Those of these records that are in quarantine now."""
    query = sa.select(quarantine.c.record_key).where(_held(merchant), quarantine.c.source == source)
    return {row.record_key for row in bulk.select_by_keys(connection, query, quarantine.c.record_key, keys)}


def count_held(connection: sa.Connection, merchant: str) -> int:
    """How many records are in quarantine now."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(quarantine).where(_held(merchant))).scalar_one())


def held_by_source(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """How many records are in quarantine now, by merchant and source."""
    keys = (quarantine.c.merchant, quarantine.c.source)
    query = sa.select(*keys, sa.func.count()).where(IS_QUARANTINED.of(quarantine)).group_by(*keys)
    return {(merchant, source): number for merchant, source, number in connection.execute(query)}


def listed(connection: sa.Connection, merchant: str | None, *, with_released: bool) -> list[dict[str, Any]]:
    """Records in quarantine, oldest first; of every merchant when none is named, and with those that have been released if wanted."""
    query = sa.select(quarantine).order_by(quarantine.c.quarantine_id)
    if merchant is not None:
        query = query.where(quarantine.c.merchant == merchant)
    if not with_released:
        query = query.where(quarantine.c.released_at.is_(None))
    return [dict(row._mapping) for row in connection.execute(query)]


def _held(merchant: str | Parameter) -> sa.ColumnElement[bool]:
    return sa.and_(quarantine.c.merchant == merchant, IS_QUARANTINED.of(quarantine))


def put_in_quarantine(tx: Transaction, source: str, records: Collection[Quarantined]) -> None:
    """Keep what broke a critical rule. A record that comes back with the same content after its release is quarantined anew."""
    release(tx, source, [record.record_key for record in records])
    for record in records:
        key = {"merchant": tx.merchant, "source": source, "record_key": record.record_key, "content_hash": record.content_hash}
        same = sa.and_(*(quarantine.c[name] == value for name, value in key.items()))
        values = {
            "order_name": record.order_name,
            "rules": list(record.rules),
            "reason": record.reason,
            "body": record.body,
            "run_id": tx.run_id,
            "quarantined_at": tx.now,
            "released_at": None,
        }
        if not tx.connection.execute(sa.update(quarantine).where(same).values(values)).rowcount:
            tx.connection.execute(sa.insert(quarantine).values(key | values))


def release(tx: Transaction, source: str, record_keys: Sequence[str]) -> None:
    """Mark these records' quarantine as over: a version that passes has been loaded, or a newer one takes its place."""
    wanted = set(record_keys)
    held = _in_quarantine(tx.connection, merchant=tx.merchant, source=source) if wanted else ()
    over = [row.quarantine_id for row in held if row.record_key in wanted]
    if over:
        tx.connection.execute(sa.update(quarantine).where(quarantine.c.quarantine_id.in_(over)).values(released_at=tx.now))


def write_warnings(tx: Transaction, warnings: Sequence[Warned]) -> None:
    """Keep what broke a rule and is in the tables nevertheless. What is known already keeps its time."""
    columns = ("merchant", "table_name", "record_key", "rule", "severity", "description", "engine", "found_at", "run_id")
    bulk.insert(tx.connection, check_results, columns, [(tx.merchant, *warning, tx.now, tx.run_id) for warning in warnings])
