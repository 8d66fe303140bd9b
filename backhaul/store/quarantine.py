"""Quarantine: records that broke a critical rule, kept whole until a version that passes takes their place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from backhaul.store.tables import quarantine


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that broke a critical rule. `rules` are rule ids; `reason` says what they mean, and names no value of the record."""

    record_key: str
    order_name: str | None
    rules: tuple[str, ...]
    reason: str
    body: str
    content_hash: str


def known_quarantine(connection: sa.Connection, merchant: str, source: str) -> set[tuple[str, str]]:
    """(record key, content hash) of everything in quarantine now."""
    query = sa.select(quarantine.c.record_key, quarantine.c.content_hash).where(
        quarantine.c.merchant == merchant, quarantine.c.source == source, quarantine.c.released_at.is_(None)
    )
    return {(row.record_key, row.content_hash) for row in connection.execute(query)}


def put_in_quarantine(
    connection: sa.Connection, merchant: str, source: str, records: Collection[Quarantined], run_id: str, now: datetime
) -> None:
    """Keep what broke a critical rule. A record that comes back with the same content after its release is quarantined anew."""
    release(connection, merchant, source, [record.record_key for record in records], now)
    for record in records:
        same = (
            (quarantine.c.merchant == merchant)
            & (quarantine.c.source == source)
            & (quarantine.c.record_key == record.record_key)
            & (quarantine.c.content_hash == record.content_hash)
        )
        values = {
            "order_name": record.order_name,
            "rules": list(record.rules),
            "reason": record.reason,
            "body": record.body,
            "run_id": run_id,
            "quarantined_at": now,
            "released_at": None,
        }
        if not connection.execute(sa.update(quarantine).where(same).values(values)).rowcount:
            key = {"merchant": merchant, "source": source, "record_key": record.record_key, "content_hash": record.content_hash}
            connection.execute(sa.insert(quarantine).values(key | values))


def release(connection: sa.Connection, merchant: str, source: str, record_keys: Sequence[str], now: datetime) -> None:
    """Mark these records' quarantine as over: a version that passes has been loaded, or a newer one takes its place."""
    held = connection.execute(
        sa.select(quarantine.c.quarantine_id, quarantine.c.record_key).where(
            quarantine.c.merchant == merchant, quarantine.c.source == source, quarantine.c.released_at.is_(None)
        )
    ).all()
    wanted = set(record_keys)
    over = [row.quarantine_id for row in held if row.record_key in wanted]
    if over:
        connection.execute(sa.update(quarantine).where(quarantine.c.quarantine_id.in_(over)).values(released_at=now))
