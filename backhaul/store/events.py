"""Events that arrived by webhook: kept once, claimed by one run at a time, marked when a run has taken them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.tables import IS_UNKNOWN, IS_WAITING, deliveries, events

LEASE = timedelta(seconds=120)  # a batch takes seconds; after this its run is taken for dead
_NEW = ("merchant", "source", "channel", "topic", "record_key", "body_hash", "body", "occurred_at", "received_at")
_WAITING = IS_WAITING.of(events)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One thing a vendor told by webhook. `body_hash` is of the raw bytes; `body` is JSON without personal data."""

    merchant: str
    source: str
    topic: str
    record_key: str | None
    body_hash: str
    body: str
    occurred_at: datetime | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """A claimed event."""

    event_id: int
    source: str
    topic: str
    record_key: str | None
    body: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """A merchant's events that no run has taken in: how many, how many of them are free to claim, and since when the oldest waits."""

    merchant: str
    waiting: int
    free: int
    oldest_at: datetime


def keep(connection: sa.Connection, arrived: Sequence[NewEvent]) -> None:
    """Keep events in the caller's transaction. One whose bytes were kept before is a duplicate, and passed over.

    But for one that was taken in before our newest attempt at the return it is about: the vendor says the same words of another attempt,
    such as a process that fails once more, so that it waits anew.
    """
    rows = [
        (one.merchant, one.source, "webhook", one.topic, one.record_key, one.body_hash, one.body, one.occurred_at, one.received_at)
        for one in arrived
    ]
    bulk.insert(connection, events, _NEW, rows)
    about = sorted({one.record_key for one in arrived if one.record_key is not None})
    hashes = {one.body_hash: one.received_at for one in arrived}
    tried_since = (
        sa.select(events.c.event_id, events.c.body_hash)
        .join(deliveries, (deliveries.c.merchant == events.c.merchant) & (deliveries.c.return_id == events.c.record_key))
        .where(events.c.channel == "webhook", events.c.handled_at < deliveries.c.last_attempt_at)
        .where(bulk.one_of(connection, events.c.body_hash, sorted(hashes)))
    )
    again = {row.event_id: row.body_hash for row in bulk.select_by_keys(connection, tried_since, events.c.record_key, about)}
    for event_id, body_hash in again.items():
        values = {"handled_at": None, "claimed_until": None, "received_at": hashes[body_hash]}
        connection.execute(sa.update(events).where(events.c.event_id == event_id).values(values))


def claim(connection: sa.Connection, merchant: str, now: datetime, limit: int) -> list[Event]:
    """Take up to `limit` waiting events, oldest first, in the caller's transaction; those that another run holds are passed over."""
    query = (
        sa.select(events.c.event_id, events.c.source, events.c.topic, events.c.record_key, events.c.body, events.c.received_at)
        .where(events.c.merchant == merchant, _WAITING, _is_free(now))
        .order_by(events.c.event_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claimed = [Event(*row) for row in connection.execute(query)]
    postpone(connection, [event.event_id for event in claimed], now + LEASE)
    return claimed


def postpone(connection: sa.Connection, event_ids: Sequence[int], until: datetime) -> None:
    """Leave events waiting, and untouched until then."""
    if event_ids:
        connection.execute(sa.update(events).where(events.c.event_id.in_(event_ids), _WAITING).values(claimed_until=until))


def settle(connection: sa.Connection, event_ids: Sequence[int], run_id: str, now: datetime) -> None:
    """Mark events as taken in by a run."""
    if event_ids:
        values = {"handled_at": now, "run_id": run_id, "claimed_until": None}
        connection.execute(sa.update(events).where(events.c.event_id.in_(event_ids), _WAITING).values(values))


def note_outcome(connection: sa.Connection, event_ids: Sequence[int], outcome: str | None) -> None:
    """Note what came of events, where they were not simply taken in."""
    if event_ids:
        connection.execute(sa.update(events).where(events.c.event_id.in_(event_ids)).values(outcome=outcome))


def bodies_of(connection: sa.Connection, merchant: str, source: str, record_keys: Sequence[str]) -> list[tuple[str, str]]:
    """(record key, body) of every event that a source has ever sent about these records."""
    query = sa.select(events.c.record_key, events.c.body).where(events.c.merchant == merchant, events.c.source == source)
    return [(str(row.record_key), row.body) for row in bulk.select_by_keys(connection, query, events.c.record_key, record_keys)]


def without_record(connection: sa.Connection, merchant: str, received_before: datetime, limit: int) -> list[tuple[int, str]]:
    """(event id, record key) of the oldest events about a return that its source did not show when they came."""
    query = (
        sa.select(events.c.event_id, events.c.record_key)
        .where(events.c.merchant == merchant, IS_UNKNOWN.of(events), events.c.received_at < received_before)
        .order_by(events.c.event_id)
        .limit(limit)
    )
    return [(row.event_id, row.record_key) for row in connection.execute(query)]


def backlog(connection: sa.Connection, now: datetime) -> list[Backlog]:
    """What waits, by merchant; a merchant for whom nothing waits is absent."""
    free = sa.func.sum(sa.case((_is_free(now), 1), else_=0))
    query = (
        sa.select(events.c.merchant, sa.func.count(), free, sa.func.min(events.c.received_at))
        .where(_WAITING)
        .group_by(events.c.merchant)
        .order_by(events.c.merchant)
    )
    return [Backlog(*row) for row in connection.execute(query)]


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(events.c.claimed_until.is_(None), events.c.claimed_until <= now)
