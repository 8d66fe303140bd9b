"""Audit: prove by counts and ids that the store holds what the vendors hold, repair what is missing, say what cannot be.

| a record is            | when                                                                            | then                          |
|------------------------|---------------------------------------------------------------------------------|-------------------------------|
| missing                | the vendor shows it, or a newer version of it, and the store does not           | loaded as a sync would        |
| repaired               | it was missing, and is now in the tables or in quarantine                       | counted                       |
| a gap (`audit_gap`)    | it is still missing; or the store has it and the vendor shows it no more        | an exception, until it is over|
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from copy import copy
from datetime import datetime, timedelta
from itertools import pairwise

import sqlalchemy as sa

from backhaul.connectors.base import ReturnBatch
from backhaul.domain.windows import Window
from backhaul.domain.words import DeliveryKind, DeliveryState, ExceptionKind, RmaStage
from backhaul.pipeline import intake, receiving
from backhaul.pipeline.backfilling import Proof, shown
from backhaul.pipeline.intake import Intake
from backhaul.pipeline.session import Session
from backhaul.store import bulk
from backhaul.store.exceptions import raise_exception, resolve_exception
from backhaul.store.returns import ReturnRecord
from backhaul.store.tables import deliveries, events, exceptions, quarantine, returns, rmas

SPAN = timedelta(days=1)
LAG = timedelta(minutes=15)  # what is newer than this, the next sync may still be about to bring
_LOOKED_UP = 50  # returns that only the store has, asked for one by one
_NAMED = 20  # ids that a proof or an exception names

_NORMAL_OVER = timedelta(days=28)  # long enough to have seen four weekends
_FEW = 20  # fewer gaps than this say nothing of what is normal
_SILENCE_FACTOR, _SILENCE_LEAST = 1.5, timedelta(hours=6)


def asked_of(now: datetime, days: int) -> Window:
    """The last `days` whole days and today, up to LAG ago."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(midnight - timedelta(days=days), max(now - LAG, midnight - timedelta(days=days) + LAG))


def audit_window(session: Session, window: Window) -> Proof:
    """Audit one window on both sides. Returns the proof: for each vendor what it holds, what we held, what was missing and what is open."""
    proof: Proof = {}
    at_loop = _audit_loop(session, window, proof)
    for name in session.warehouses:
        _audit_warehouse(session, name, window, at_loop, proof)
    for counted in proof.values():
        for word in ("at_vendor", "missing", "repaired"):
            session.run.add("at_vendors" if word == "at_vendor" else word, counted[word])
        session.run.add("gaps", len(counted["gaps"]))
    return proof


def _audit_loop(session: Session, window: Window, proof: Proof) -> dict[str, str]:
    """Compare and repair the returns; gives the warehouse of each that Loop shows, by return id."""
    at_loop: dict[str, str] = {}
    missing: set[str] = set()
    for batch, _ in session.loop.batches(window.start, window.end, intake.BATCH):
        for return_id, destination_id in zip(batch.returns["return_id"], batch.returns["destination_id"], strict=True):
            if return_id is not None:
                at_loop[return_id] = session.settings.warehouse_for(destination_id)
        missing |= _repair(session, batch, "list")
    ours = _stored_in(session, window)
    gaps = {key: "Loop shows it, and it could not be loaded" for key in missing - _held_returns(session, missing)}
    only_here = sorted(ours - at_loop.keys())
    for return_id in only_here[:_LOOKED_UP]:
        found = session.loop.details(return_id)
        if not len(found.returns):
            gaps[return_id] = "the store has it, and Loop shows it no more"
        elif repaired := _repair(session, found, "details"):  # it changed while we looked
            missing |= repaired
    held = _held_returns(session, at_loop.keys())
    proof["loop"] = _proof(len(at_loop), len(held - missing), missing, gaps, only_here)
    _keep_gaps(session, "loop", window, gaps, at_loop.keys() | ours)
    return at_loop


def _repair(session: Session, batch: ReturnBatch, source: str) -> set[str]:
    """Load what the store does not hold; returns its keys. History stays history; what is new is live where the merchant is synced."""
    news = intake.keep_news(session, batch, source, is_history=True)
    missing = {record.return_id for record in news.records} | {bad.record_key for bad in news.bad}
    if not missing:
        return missing
    with session.store.read() as connection:
        is_synced = intake.watermark(connection, session.merchant) is not None
        query = sa.select(returns.c.return_id).where(returns.c.merchant == session.merchant, returns.c.is_history)
        history = {row.return_id for row in bulk.select_by_keys(connection, query, returns.c.return_id, sorted(missing))}
    checked = intake.check(session, news)
    for is_history in (False, True):
        part = _part(checked, [r for r in checked.records if (r.return_id in history or not is_synced) is is_history])
        part.bad = [] if is_history else checked.bad
        intake.load(session, part, is_history=is_history)
    return missing


def _part(whole: Intake, records: list[ReturnRecord]) -> Intake:
    part = copy(whole)
    part.records = records
    return part


def _stored_in(session: Session, window: Window) -> set[str]:
    query = sa.select(returns.c.return_id).where(
        returns.c.merchant == session.merchant, returns.c.updated_at >= window.start, returns.c.updated_at < window.end
    )
    with session.store.read() as connection:
        return set(connection.execute(query).scalars())


def _held_returns(session: Session, keys: Collection[str]) -> set[str]:
    with session.store.read() as connection:
        query = sa.select(returns.c.return_id).where(returns.c.merchant == session.merchant)
        found = {row.return_id for row in bulk.select_by_keys(connection, query, returns.c.return_id, sorted(keys))}
        return found | _quarantined(connection, session.merchant, "loop", keys)


def _quarantined(connection: sa.Connection, merchant: str, source: str, keys: Collection[str]) -> set[str]:
    query = sa.select(quarantine.c.record_key).where(
        quarantine.c.merchant == merchant, quarantine.c.source == source, quarantine.c.released_at.is_(None)
    )
    return {row.record_key for row in bulk.select_by_keys(connection, query, quarantine.c.record_key, sorted(keys))}


def _audit_warehouse(session: Session, name: str, window: Window, at_loop: dict[str, str], proof: Proof) -> None:
    """Compare and repair the RMAs of the window's returns, and those that the warehouse made itself in it."""
    client = session.warehouses[name]
    asked = sorted(return_id for return_id, warehouse in at_loop.items() if warehouse == name)
    batches = [client.find(asked)] if asked else []
    batches.append(client.news(window.start, window.end).batch)
    there = {key for batch in batches for key in batch.receipts["rma_key"] if key is not None}
    before, announced = _known_rmas(session, name, there | set(asked)), _announced(session, name, asked)
    for batch in batches:
        receiving.take_in(session, name, batch)
    with session.store.read() as connection:
        held = _known_rmas(session, name, there) | _quarantined(connection, session.merchant, name, there)
    missing = there - before
    gaps = {key: f"{name} shows it, and it could not be loaded" for key in there - held}
    only_here = sorted(((before & set(asked)) | announced) - there)
    gaps |= {key: f"{name} took the RMA, and does not show it" for key in only_here}
    proof[name] = _proof(len(there), len(there & before), missing, gaps, only_here)
    _keep_gaps(session, name, window, gaps, there | set(asked))


def _known_rmas(session: Session, warehouse: str, keys: Collection[str]) -> set[str]:
    """Those of these RMAs that the store has, but for the withdrawn ones."""
    alive = sa.or_(rmas.c.rma_stage.is_(None), rmas.c.rma_stage != RmaStage.GONE.value)
    query = sa.select(rmas.c.rma_key).where(rmas.c.merchant == session.merchant, rmas.c.warehouse == warehouse, alive)
    with session.store.read() as connection:
        return {row.rma_key for row in bulk.select_by_keys(connection, query, rmas.c.rma_key, sorted(keys))}


def _announced(session: Session, warehouse: str, return_ids: Collection[str]) -> set[str]:
    """Those of these returns whose RMA the warehouse has long accepted, and that we did not withdraw."""
    mine = (deliveries.c.merchant == session.merchant) & (deliveries.c.warehouse == warehouse)
    accepted = deliveries.c.state.in_([DeliveryState.ACCEPTED.value, DeliveryState.CONFIRMED.value])
    query = sa.select(deliveries.c.return_id, deliveries.c.kind).where(mine, accepted)
    create, cancel = DeliveryKind.RMA_CREATE.value, DeliveryKind.RMA_CANCEL.value
    long_ago = sa.or_(deliveries.c.kind == cancel, deliveries.c.accepted_at < session.clock() - LAG)
    found: dict[str, set[str]] = {create: set(), cancel: set()}
    with session.store.read() as connection:
        query = query.where(deliveries.c.kind.in_([create, cancel]), long_ago)
        for row in bulk.select_by_keys(connection, query, deliveries.c.return_id, sorted(return_ids)):
            found[row.kind].add(row.return_id)
    return found[create] - found[cancel]


def _proof(at_vendor: int, in_store: int, missing: set[str], gaps: dict[str, str], only_here: list[str]) -> Proof:
    return {
        "at_vendor": at_vendor,
        "in_store": in_store,
        "missing": len(missing),
        "repaired": len(missing - gaps.keys()),
        "only_in_store": len(only_here),
        "missing_ids": sorted(missing)[:_NAMED],
        "gaps": sorted(gaps)[:_NAMED],
    }


def _keep_gaps(session: Session, source: str, window: Window, gaps: dict[str, str], seen: Collection[str]) -> None:
    """Open an exception for each gap, and close those of records that were looked at and are none any more."""
    now, run_id = session.clock(), session.run.run_id
    query = sa.select(exceptions.c.subject).where(
        exceptions.c.merchant == session.merchant, exceptions.c.kind == ExceptionKind.AUDIT_GAP.value, exceptions.c.resolved_at.is_(None)
    )
    with session.store.read() as connection:
        opened = set(connection.execute(query).scalars())
    over = [subject for key in seen if key not in gaps and (subject := f"{source}:{key}") in opened]
    if not gaps and not over:
        return
    with session.store.write(session.merchant) as connection:
        for key, why in gaps.items():
            words = f"{why} ({shown(window)})"
            raise_exception(
                connection,
                session.merchant,
                ExceptionKind.AUDIT_GAP,
                f"{source}:{key}",
                words,
                return_id=None if source == "window" else key,
                run_id=run_id,
                now=now,
            )
        for subject in over:
            resolve_exception(connection, session.merchant, ExceptionKind.AUDIT_GAP, subject, now)


def note_unaudited(session: Session, whole: Window, failed: Collection[tuple[Window, str]]) -> None:
    """Open an exception for each window that could not be audited, and close those of windows that now were."""
    errors = {f"{window.start:%Y-%m-%d}": error for window, error in failed}
    days = [f"{whole.start + n * SPAN:%Y-%m-%d}" for n in range((whole.end - whole.start) // SPAN + 1)]
    gaps = {day: f"this day could not be audited: {error}" for day, error in errors.items()}
    _keep_gaps(session, "window", whole, gaps, days)


def notice_silence(session: Session) -> None:
    """Raise an exception for each stream of news that is quiet for longer than this merchant's normal; close those that speak again.

    Normal is the second longest gap of the last 28 days (one outage does not make outages normal), and half as long again.
    """
    now = session.clock()
    with session.store.read() as connection:
        streams = _streams(connection, session.merchant, now - _NORMAL_OVER)
    with session.store.write(session.merchant) as connection:
        for (source, channel), times in sorted(streams.items()):
            subject, quiet_for, limit = f"{source}:{channel}", now - max(times), _silence_limit(times)
            if limit is None or quiet_for <= limit:
                resolve_exception(connection, session.merchant, ExceptionKind.SILENCE, subject, now)
                continue
            why = f"nothing from {source} by {channel} since {max(times):%Y-%m-%d %H:%M} UTC; normal is under {_hours(limit)} hours"
            raise_exception(
                connection, session.merchant, ExceptionKind.SILENCE, subject, why, return_id=None, run_id=session.run.run_id, now=now
            )
            session.run.add("silent")


def _streams(connection: sa.Connection, merchant: str, since: datetime) -> dict[tuple[str, str], list[datetime]]:
    """The times of each stream's news since then, by source and channel. Loop's list is dated by Loop, webhooks by their arrival."""
    found: dict[tuple[str, str], list[datetime]] = {}
    listed = sa.select(returns.c.updated_at).where(returns.c.merchant == merchant, returns.c.updated_at >= since)
    if times := list(connection.execute(listed).scalars()):
        found["loop", "list"] = times
    query = sa.select(events.c.source, events.c.channel, events.c.received_at)
    for row in connection.execute(query.where(events.c.merchant == merchant, events.c.received_at >= since, events.c.channel != "file")):
        found.setdefault((row.source, row.channel), []).append(row.received_at)
    return found


def _silence_limit(times: Iterable[datetime]) -> timedelta | None:
    ordered = sorted(times)
    gaps = sorted((later - earlier for earlier, later in pairwise(ordered)), reverse=True)
    return max(gaps[1] * _SILENCE_FACTOR, _SILENCE_LEAST) if len(gaps) >= _FEW else None


def _hours(span: timedelta) -> int:
    return round(span.total_seconds() / 3600)
