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

from backhaul.connectors.base import ReturnBatch
from backhaul.domain.windows import Window
from backhaul.domain.words import ExceptionKind
from backhaul.pipeline import intake, receiving
from backhaul.pipeline.backfilling import Proof
from backhaul.pipeline.intake import Intake
from backhaul.pipeline.session import Session
from backhaul.store.deliveries import announced_before
from backhaul.store.events import arrivals_since
from backhaul.store.exceptions import open_subjects, raise_exception, resolve_exception
from backhaul.store.quarantine import held_among
from backhaul.store.receipts import shown_rmas
from backhaul.store.records import ReturnRecord
from backhaul.store.returns import changed_in, changes_since, history_among, warehouses_of
from backhaul.store.watermarks import watermark

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
    with session.store.read() as connection:
        ours = changed_in(connection, session.merchant, window)
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
    missing = {record.return_id for record in news.records if record.return_id not in news.behind} | {bad.record_key for bad in news.bad}
    if not missing:
        return missing
    with session.store.read() as connection:
        is_synced = watermark(connection, session.merchant, intake.SOURCE) is not None
        history = history_among(connection, session.merchant, sorted(missing))
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


def _held_returns(session: Session, keys: Collection[str]) -> set[str]:
    with session.store.read() as connection:
        stored = warehouses_of(connection, session.merchant, sorted(keys)).keys()
        return stored | held_among(connection, session.merchant, intake.SOURCE, sorted(keys))


def _audit_warehouse(session: Session, name: str, window: Window, at_loop: dict[str, str], proof: Proof) -> None:
    """Compare and repair the RMAs of the window's returns, and those that the warehouse made itself in it."""
    client = session.warehouses[name]
    asked = sorted(return_id for return_id, warehouse in at_loop.items() if warehouse == name)
    batches = [client.find(asked)] if asked else []
    batches.append(client.news(window.start, window.end).batch)
    there = {key for batch in batches for key in batch.receipts["rma_key"] if key is not None}
    with session.store.read() as connection:
        before = shown_rmas(connection, session.merchant, name, sorted(there | set(asked)))
        announced = announced_before(connection, session.merchant, name, asked, session.clock() - LAG)
    for batch in batches:
        receiving.take_in(session, name, batch)
    with session.store.read() as connection:
        held = shown_rmas(connection, session.merchant, name, sorted(there)) | held_among(connection, session.merchant, name, sorted(there))
    missing = there - before
    gaps = {key: f"{name} shows it, and it could not be loaded" for key in there - held}
    only_here = sorted(((before & set(asked)) | announced) - there)
    gaps |= {key: f"{name} took the RMA, and does not show it" for key in only_here}
    proof[name] = _proof(len(there), len(there & before), missing, gaps, only_here)
    _keep_gaps(session, name, window, gaps, there | set(asked))


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
    with session.store.read() as connection:
        opened = open_subjects(connection, session.merchant, ExceptionKind.AUDIT_GAP)
    over = [subject for key in seen if key not in gaps and (subject := f"{source}:{key}") in opened]
    if not gaps and not over:
        return
    with session.write() as tx:
        for key, why in gaps.items():
            return_id = None if source == "window" else key
            raise_exception(tx, ExceptionKind.AUDIT_GAP, f"{source}:{key}", f"{why} ({window})", return_id)
        for subject in over:
            resolve_exception(tx, ExceptionKind.AUDIT_GAP, subject)


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
    since = session.clock() - _NORMAL_OVER
    with session.store.read() as connection:
        streams = arrivals_since(connection, session.merchant, since)
        if listed := changes_since(connection, session.merchant, since):  # Loop's list is dated by Loop, all else by its arrival
            streams["loop", "list"] = listed
    with session.write() as tx:
        for (source, channel), times in sorted(streams.items()):
            subject, quiet_for, limit = f"{source}:{channel}", tx.now - max(times), _silence_limit(times)
            if limit is None or quiet_for <= limit:
                resolve_exception(tx, ExceptionKind.SILENCE, subject)
                continue
            why = f"nothing from {source} by {channel} since {max(times):%Y-%m-%d %H:%M} UTC; normal is under {_hours(limit)} hours"
            raise_exception(tx, ExceptionKind.SILENCE, subject, why, None)
            session.run.add("silent")


def _silence_limit(times: Iterable[datetime]) -> timedelta | None:
    ordered = sorted(times)
    gaps = sorted((later - earlier for earlier, later in pairwise(ordered)), reverse=True)
    return max(gaps[1] * _SILENCE_FACTOR, _SILENCE_LEAST) if len(gaps) >= _FEW else None


def _hours(span: timedelta) -> int:
    return round(span.total_seconds() / 3600)
