"""Events that arrived by webhook: kept once, claimed by one run at a time, marked when a run has taken them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.indexed import IS_UNKNOWN, IS_WAITING
from backhaul.store.prepared import Parameter, one_of, prepared
from backhaul.store.tables import deliveries, events
from backhaul.store.transaction import Transaction

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


class Told(NamedTuple):
    """One thing a source told when it was asked. `body` is JSON without personal data."""

    topic: str
    record_key: str
    body_hash: str
    body: str
    occurred_at: datetime | None


class Event(NamedTuple):
    """A claimed event."""

    event_id: int
    source: str
    topic: str
    record_key: str | None
    body: str
    received_at: datetime


class Heard(NamedTuple):
    """What a source told of a record, by whichever channel."""

    record_key: str
    source: str
    channel: str
    topic: str
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
    if not arrived:
        return
    rows = [
        (one.merchant, one.source, "webhook", one.topic, one.record_key, one.body_hash, one.body, one.occurred_at, one.received_at)
        for one in arrived
    ]
    bulk.insert(connection, events, _NEW, rows)
    about = sorted({one.record_key for one in arrived if one.record_key is not None})
    said = {one.body_hash: one for one in arrived}
    tried_since = (
        sa.select(events.c.event_id, events.c.body_hash)
        .join(deliveries, (deliveries.c.merchant == events.c.merchant) & (deliveries.c.return_id == events.c.record_key))
        .where(events.c.channel == "webhook", events.c.handled_at < deliveries.c.last_attempt_at)
        .where(one_of(events.c.body_hash, sorted(said)))
    )
    again = {row.event_id: row.body_hash for row in bulk.select_by_keys(connection, tried_since, events.c.record_key, about)}
    for event_id, body_hash in again.items():
        values = {"handled_at": None, "claimed_until": None, "received_at": said[body_hash].received_at, "body": said[body_hash].body}
        connection.execute(sa.update(events).where(events.c.event_id == event_id).values(values))


def keep_told(tx: Transaction, source: str, channel: str, told: Sequence[Told]) -> None:
    """Keep what a source was asked for and told, as taken in."""
    rows = [
        (tx.merchant, source, channel, one.topic, one.record_key, one.body_hash, one.body, one.occurred_at, tx.now, tx.now, tx.run_id)
        for one in told
    ]
    bulk.insert(tx.connection, events, (*_NEW, "handled_at", "run_id"), rows)


def claim(tx: Transaction, limit: int) -> list[Event]:
    """Take up to `limit` waiting events, oldest first, in the caller's transaction; those that another run holds are passed over."""
    claimed = [Event(*row) for row in _claimable(tx.connection, merchant=tx.merchant, now=tx.now, most=limit)]
    postpone(tx, [event.event_id for event in claimed], tx.now + LEASE)
    return claimed


@prepared
def _claimable(merchant: Parameter, now: Parameter, most: Parameter) -> sa.Select[Any]:
    return (
        sa.select(*(events.c[name] for name in Event._fields))
        .where(events.c.merchant == merchant, _WAITING, _is_free(now))
        .order_by(events.c.event_id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )


def postpone(tx: Transaction, event_ids: Sequence[int], until: datetime) -> None:
    """Leave events waiting, and untouched until then."""
    if event_ids:
        _claim(tx.connection, keys=event_ids, until=until)


@prepared
def _claim(keys: Parameter, until: Parameter) -> sa.Update:
    return sa.update(events).where(one_of(events.c.event_id, keys), _WAITING).values(claimed_until=until)


def settle(tx: Transaction, event_ids: Sequence[int]) -> None:
    """Mark events as taken in."""
    if event_ids:
        _settle(tx.connection, keys=event_ids, now=tx.now, by=tx.run_id)


@prepared
def _settle(keys: Parameter, now: Parameter, by: Parameter) -> sa.Update:
    values = {"handled_at": now, "run_id": by, "claimed_until": None}
    return sa.update(events).where(one_of(events.c.event_id, keys), _WAITING).values(values)


def note_outcome(tx: Transaction, event_ids: Sequence[int], outcome: str | None) -> None:
    """Note what came of events, where they were not simply taken in."""
    if event_ids:
        tx.connection.execute(sa.update(events).where(events.c.event_id.in_(event_ids)).values(outcome=outcome))


def bodies_of(connection: sa.Connection, merchant: str, source: str, record_keys: Sequence[str]) -> list[tuple[str, str]]:
    """(record key, body) of every event that a source has sent about these records, and whose body is still kept."""
    found = _bodies.for_keys(connection, record_keys, merchant=merchant, source=source)
    return [(str(row.record_key), row.body) for row in found]


@prepared
def _bodies(merchant: Parameter, source: Parameter, keys: Parameter) -> sa.Select[Any]:
    theirs = (events.c.merchant == merchant) & one_of(events.c.record_key, keys)
    return sa.select(events.c.record_key, events.c.body).where(theirs, events.c.source == source, events.c.body != "")


def heard_of(connection: sa.Connection, merchant: str, record_keys: Sequence[str]) -> dict[str, list[Heard]]:
    """Every event about these records, by record key."""
    query = sa.select(*(events.c[name] for name in Heard._fields)).where(events.c.merchant == merchant)
    found: dict[str, list[Heard]] = {record_key: [] for record_key in record_keys}
    for row in bulk.select_by_keys(connection, query, events.c.record_key, record_keys):
        found[row.record_key].append(Heard(*row))
    return found


def arrivals_since(connection: sa.Connection, merchant: str, since: datetime) -> dict[tuple[str, str], list[datetime]]:
    """When each event arrived since then, by source and channel; but for those from files, which come when a person brings them."""
    query = sa.select(events.c.source, events.c.channel, events.c.received_at)
    query = query.where(events.c.merchant == merchant, events.c.received_at >= since, events.c.channel != "file")
    found: dict[tuple[str, str], list[datetime]] = {}
    for source, channel, received_at in connection.execute(query):
        found.setdefault((source, channel), []).append(received_at)
    return found


def last_webhook(connection: sa.Connection, merchant: str, source: str) -> datetime | None:
    """When the newest webhook of a source arrived; None where none has."""
    mine = (events.c.merchant == merchant, events.c.source == source, events.c.channel == "webhook")
    return connection.execute(sa.select(sa.func.max(events.c.received_at)).where(*mine)).scalar()


def waiting_of(connection: sa.Connection, merchant: str) -> tuple[int, datetime | None]:
    """How many of a merchant's events no run has taken in, and since when the oldest waits."""
    query = sa.select(sa.func.count(), sa.func.min(events.c.received_at)).where(events.c.merchant == merchant, _WAITING)
    number, oldest_at = connection.execute(query).one()
    return number, oldest_at


def without_record(connection: sa.Connection, merchant: str, received_before: datetime, limit: int) -> list[tuple[int, str]]:
    """(event id, record key) of the oldest events about a return that its source did not show when they came."""
    found = _without_record(connection, merchant=merchant, before=received_before, most=limit)
    return [(row.event_id, row.record_key) for row in found]


@prepared
def _without_record(merchant: Parameter, before: Parameter, most: Parameter) -> sa.Select[Any]:
    return (
        sa.select(events.c.event_id, events.c.record_key)
        .where(events.c.merchant == merchant, IS_UNKNOWN.of(events), events.c.received_at < before)
        .order_by(events.c.event_id)
        .limit(most)
    )


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


def _is_free(now: datetime | Parameter) -> sa.ColumnElement[bool]:
    return sa.or_(events.c.claimed_until.is_(None), events.c.claimed_until <= now)
