"""Warehouse news, from a batch of frames to rows: poll what may have changed, check it, load it or quarantine it whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import sqlalchemy as sa

from backhaul import checks
from backhaul.connectors.base import News, ReceiptBatch, Warehouse
from backhaul.connectors.frames import joined
from backhaul.connectors.registry import WAREHOUSES
from backhaul.domain import schema
from backhaul.domain.keys import content_hash
from backhaul.domain.words import ExceptionKind
from backhaul.errors import PermanentVendorError, StructuralError, UnauthorizedError
from backhaul.pipeline.session import Session
from backhaul.pipeline.soundness import require_sound
from backhaul.store import bulk, polls
from backhaul.store.exceptions import raise_exception, resolve_exception
from backhaul.store.polls import Scan
from backhaul.store.quarantine import Quarantined, known_quarantine, put_in_quarantine
from backhaul.store.receipts import ReceiptRecord, known_rmas, load_receipts, make_record, mark_due
from backhaul.store.tables import check_results, events

_EVENT = ("merchant", "source", "channel", "topic", "record_key", "body_hash", "body", "occurred_at", "received_at", "handled_at", "run_id")
_HAS_LINES = schema.RECEIPTS.columns.index("has_lines")
_NEWS_DAYS = 14  # how far back the warehouse's own RMAs, and the first changes of one that lists them, are looked for
_SHARE_OF_NEWS = 4  # a fourth of the calls, and all that the keys leave over, go into the warehouse's own list
_OVERLAP = timedelta(minutes=10)  # changes that the warehouse lists late are met again; loading them again is free


def poll(session: Session, warehouse: str) -> tuple[ReceiptBatch, Scan]:
    """Ask a warehouse for what may have changed: its own list from where the last sync left it, and RMAs by their keys.

    Returns what it told, and how far its list is then taken in. Both together cost at most `poll_calls_per_sync` calls; what is left over
    is asked for first the next time. A warehouse that lists every change is asked by key only for what was announced and never listed.
    """
    client, now = session.warehouses[warehouse], session.clock()
    limits, lists_changes = getattr(session.settings, warehouse), WAREHOUSES[warehouse].lists_changes
    calls, size = limits.poll_calls_per_sync, client.keys_per_find
    with session.store.read() as connection:
        scan = polls.scan_of(connection, session.merchant, warehouse)
        if lists_changes:
            keys, waiting = polls.unseen_keys(connection, session.merchant, warehouse, calls * size)
        else:
            by_us = session.settings.policy.announce != "off"
            keys, waiting = polls.keys_to_poll(connection, session.merchant, warehouse, now, limits.correction_days, by_us, calls * size)
    for_news = max(calls - -(-len(keys) // size), calls // _SHARE_OF_NEWS, 1)
    news = _news(client, scan, now, for_news)
    listed = set(news.batch.receipts["rma_key"])
    asked = [key for key in keys if key not in listed][: max(calls - news.calls, 0) * size]
    left = max(waiting - len(asked) - sum(key in listed for key in keys), 0)
    session.run.add("polled", len(asked))
    session.run.add("left_for_next_sync", left)
    if left:
        with session.store.write(session.merchant) as connection:
            polls.note_polled(connection, session.merchant, warehouse, [*asked, *(key for key in keys if key in listed)], now)
    # A time from the future must not hide what comes before it.
    times = (at for at in news.batch.receipts["as_of"] if at is not None and at <= now)
    newest = max(times, default=None) if lists_changes else None
    return joined([news.batch, client.find(asked)] if asked else [news.batch]), Scan(newest, news.cursor)


def _news(client: Warehouse, scan: Scan, now: datetime, calls: int) -> News:
    since = now - timedelta(days=_NEWS_DAYS) if scan.high_water_at is None else scan.high_water_at - _OVERLAP
    try:
        return client.news(since, now, calls, scan.cursor)
    except UnauthorizedError:
        raise
    except PermanentVendorError:
        if scan.cursor is None:
            raise
        return client.news(since, now, calls)  # the vendor no longer knows the place: from the start


def take_in(session: Session, warehouse: str, batch: ReceiptBatch, channel: str = "poll", scan: Scan | None = None) -> None:
    """Check what is news in a batch and write it in one transaction; what breaks a critical rule is quarantined, and its return waits.

    `scan` is how far the warehouse's own list has been read; it is noted with the rows.
    """
    now = session.clock()
    records = records_of(batch)
    with session.store.read() as connection:
        known = known_rmas(connection, session.merchant, [record.rma_key for record in records])
        in_quarantine = known_quarantine(connection, session.merchant, warehouse)
        moves_to = None if scan is None else _further(polls.scan_of(connection, session.merchant, warehouse), scan)
    news = [
        record
        for record in records
        if (record.rma_key, record.content_hash) not in in_quarantine
        and (record.rma_key not in known or known[record.rma_key].is_news(record, warehouse))
    ]
    good, bad, warnings = _check(session, news)
    for rejected in batch.rejected:
        quarantined = Quarantined(
            rejected.record_key,
            rejected.order_name,
            (rejected.rule,),
            f"{rejected.rule}: {rejected.reason}",
            rejected.body,
            content_hash([rejected.body]),
        )
        if (quarantined.record_key, quarantined.content_hash) not in in_quarantine:
            bad.append(quarantined)
    if channel == "poll":
        require_sound(session.merchant, f"receipts of {warehouse}", bad, len(records) + len(batch.rejected))
    if not good and not bad and moves_to is None:
        return
    with session.store.write(session.merchant) as connection:
        if moves_to is not None:
            polls.move_scan(connection, session.merchant, warehouse, moves_to)
        loaded = load_receipts(connection, session.merchant, warehouse, good, run_id=session.run.run_id, now=now)
        put_in_quarantine(connection, session.merchant, warehouse, bad, session.run.run_id, now)
        mark_due(connection, session.merchant, [held.record_key for held in bad])  # nothing is decided on the older one
        _write_events(connection, session, warehouse, channel, loaded)
        _write_exceptions(connection, session, loaded, bad)
        columns = ("merchant", "table_name", "record_key", "rule", "severity", "description", "found_at", "run_id")
        bulk.insert(connection, check_results, columns, [(session.merchant, *warning, now, session.run.run_id) for warning in warnings])
    # Counted apart from the returns, so that the counts of each add up.
    session.run.add("receipts_in", len(good) + len(bad))
    session.run.add("receipts_out", len(loaded))
    session.run.add("receipts_unchanged", len(good) - len(loaded))
    session.run.add("receipts_quarantined", len(bad))


def _further(before: Scan, now: Scan) -> Scan | None:
    """What is new of a scan: a high water that is higher, another place to go on from; None when neither is."""
    is_higher = now.high_water_at is not None and (before.high_water_at is None or now.high_water_at > before.high_water_at)
    return Scan(now.high_water_at if is_higher else None, now.cursor) if is_higher or now.cursor != before.cursor else None


def records_of(batch: ReceiptBatch) -> list[ReceiptRecord]:
    """One record a row. A key that comes twice in a batch, as a list read page by page can have it, keeps its two sets of lines apart."""
    lines: defaultdict[str, list[list[Sequence[Any]]]] = defaultdict(list)
    for line in batch.lines.to_numpy(dtype=object).tolist():
        sets = lines[line[0]]
        if not sets or line[1] <= sets[-1][-1][1]:
            sets.append([])
        sets[-1].append(line)
    rows = batch.receipts.to_numpy(dtype=object).tolist()
    return [make_record(row, _next_set(lines[row[0]], row), body) for row, body in zip(rows, batch.bodies, strict=True)]


def _next_set(sets: list[list[Sequence[Any]]], row: Sequence[Any]) -> list[Sequence[Any]]:
    return sets.pop(0) if sets and row[_HAS_LINES] else []


def _check(
    session: Session, news: Sequence[ReceiptRecord]
) -> tuple[list[ReceiptRecord], list[Quarantined], list[tuple[str, str, str, str, str]]]:
    if not news:
        return [], [], []
    owners = [place for place, record in enumerate(news) for _ in record.lines]
    frames: tuple[tuple[checks.Table, pd.DataFrame, Sequence[int]], ...] = (
        ("receipts", pd.DataFrame([r.row for r in news], columns=list(schema.RECEIPTS.all_columns), dtype=object), range(len(news))),
        (
            "receipt_lines",
            pd.DataFrame([line for r in news for line in r.lines], columns=list(schema.RECEIPT_LINES.all_columns), dtype=object),
            owners,
        ),
    )
    broken: defaultdict[int, dict[str, str]] = defaultdict(dict)
    warnings: list[tuple[str, str, str, str, str]] = []
    for table, frame, owner in frames:
        report = checks.validate(frame, table)
        if report.structural:
            raise StructuralError(f"{session.merchant}: {report.structural[0]}; no receipt of this poll was loaded")
        for failure in report.failures:
            if failure.severity == "critical":
                broken[owner[failure.row]][failure.rule] = failure.description
            else:
                warnings.append((table, news[owner[failure.row]].rma_key, failure.rule, failure.severity, failure.description))
    good = [record for place, record in enumerate(news) if place not in broken]
    bad = [
        Quarantined(
            news[place].rma_key,
            news[place].values["manifest_id"],
            tuple(sorted(rules)),
            " ".join(f"{rule}: {words}" for rule, words in sorted(rules.items())),
            news[place].body,
            news[place].content_hash,
        )
        for place, rules in sorted(broken.items())
    ]
    return good, bad, warnings


def _write_events(connection: sa.Connection, session: Session, warehouse: str, channel: str, loaded: Sequence[ReceiptRecord]) -> None:
    """Keep what the warehouse said, as it said it. A webhook's events are kept by the receiver, before anything is made of them."""
    if channel == "webhook":
        return
    now = session.clock()
    rows = [
        (
            *(
                session.merchant,
                warehouse,
                channel,
                f"rma.{record.values['event_status']}",
                record.rma_key,
                record.content_hash,
                record.body,
            ),
            *(record.values["as_of"], now, now, session.run.run_id),
        )
        for record in loaded
    ]
    bulk.insert(connection, events, _EVENT, rows)


def _write_exceptions(connection: sa.Connection, session: Session, loaded: Sequence[ReceiptRecord], bad: Sequence[Quarantined]) -> None:
    now, run_id = session.clock(), session.run.run_id
    for record in loaded:
        return_id = record.values["return_id"]
        if return_id is None and record.lines:
            units = sum(line[5] or 0 for line in record.lines)
            parcel = record.values["package_id"] or "no tracking number"
            why = f"the warehouse received {units} units in a parcel that belongs to no RMA ({parcel})"
            raise_exception(
                connection, session.merchant, ExceptionKind.BLIND_RECEIPT, record.rma_key, why, return_id=None, run_id=run_id, now=now
            )
        resolve_exception(connection, session.merchant, ExceptionKind.RECEIPT_QUARANTINED, record.rma_key, now)
    for held in bad:
        raise_exception(
            connection,
            session.merchant,
            ExceptionKind.RECEIPT_QUARANTINED,
            held.record_key,
            held.reason,
            return_id=held.record_key,
            run_id=run_id,
            now=now,
        )
