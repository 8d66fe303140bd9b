"""Warehouse news, from a batch of frames to rows: poll what may have changed, check it, load it or quarantine it whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from backhaul import checks
from backhaul.connectors.base import News, ReceiptBatch, Warehouse
from backhaul.connectors.frames import joined
from backhaul.connectors.loop.vendor import LOOP
from backhaul.connectors.registry import WAREHOUSES
from backhaul.domain import schema
from backhaul.domain.keys import content_hash
from backhaul.domain.plainly import plural
from backhaul.domain.words import ExceptionKind
from backhaul.errors import PermanentVendorError, StructuralError, UnauthorizedError
from backhaul.pipeline.judging import judge, warned
from backhaul.pipeline.session import Session
from backhaul.pipeline.soundness import require_sound
from backhaul.store import events, polls
from backhaul.store.exceptions import raise_exception, resolve_exception
from backhaul.store.polls import Scan
from backhaul.store.quarantine import Quarantined, Warned, held_among, known_quarantine, put_in_quarantine, write_warnings
from backhaul.store.receipts import ReceiptRecord, known_rmas, load_receipts, make_record
from backhaul.store.returns import mark_due, warehouses_of
from backhaul.store.ties import has_untied, tied_skus
from backhaul.store.transaction import Transaction

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
        with session.write() as tx:
            polls.note_polled(tx, warehouse, [*asked, *(key for key in keys if key in listed)])
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
    records = records_of(batch)
    with session.store.read() as connection:
        known = known_rmas(connection, session.merchant, [record.rma_key for record in records])
        in_quarantine = known_quarantine(connection, session.merchant, warehouse)
        moves_to = None if scan is None else _further(polls.scan_of(connection, session.merchant, warehouse), scan)
    news = [
        record
        for record in records
        if not any(map(record.has_content, in_quarantine.get(record.rma_key, ())))
        and ((before := known.get(record.rma_key)) is None or before.is_news(record, warehouse) or before.is_behind(record))
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
        if quarantined.content_hash not in in_quarantine.get(quarantined.record_key, ()):
            bad.append(quarantined)
    if channel == "poll":
        require_sound(session.merchant, f"receipts of {warehouse}", bad, len(records) + len(batch.rejected))
    if not good and not bad and moves_to is None:
        return
    with session.write() as tx:
        if moves_to is not None:
            polls.move_scan(tx, warehouse, moves_to)
        loaded = load_receipts(tx, warehouse, good)
        put_in_quarantine(tx, warehouse, bad)
        mark_due(tx, [held.record_key for held in bad])  # nothing is decided on the older one
        if channel != "webhook":  # a webhook's events are kept by the receiver, before anything is made of them
            events.keep_told(tx, warehouse, channel, [_as_told(record) for record in loaded])
        _write_exceptions(tx, loaded, bad)
        write_warnings(tx, warnings)
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


def _check(session: Session, news: Sequence[ReceiptRecord]) -> tuple[list[ReceiptRecord], list[Quarantined], list[Warned]]:
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
    warnings: list[Warned] = []
    for table, frame, owner in frames:
        report = judge(session, frame, table)
        if report.structural:
            raise StructuralError(f"{session.merchant}: {report.structural[0]}; no receipt of this poll was loaded")
        for failure in report.failures:
            if failure.severity == "critical":
                broken[owner[failure.row]][failure.rule] = failure.description
            else:
                warnings.append(warned(table, news[owner[failure.row]].rma_key, failure))
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


def _as_told(record: ReceiptRecord) -> events.Told:
    return events.Told(f"rma.{record.values['event_status']}", record.rma_key, record.content_hash, record.body, record.values["as_of"])


def _write_exceptions(tx: Transaction, loaded: Sequence[ReceiptRecord], bad: Sequence[Quarantined]) -> None:
    known = _known_returns(tx, [record for record in loaded if record.lines])
    tied = tied_skus(tx.connection, tx.merchant, [record.rma_key for record in loaded if record.lines])
    for record in loaded:
        is_tied = record.rma_key in tied and not has_untied(tx.connection, tx.merchant, record.rma_key)
        if record.lines and not is_tied and (return_id := record.values["return_id"]) not in known:
            units = sum(line[5] or 0 for line in record.lines)
            parcel = record.values["package_id"] or "no tracking number"
            of = "that belongs to no RMA" if return_id is None else f"for return {return_id}, which Loop has not shown"
            why = f"the warehouse received {plural(units, 'unit')} in a parcel {of} ({parcel})"
            raise_exception(tx, ExceptionKind.BLIND_RECEIPT, record.rma_key, why, None)
        resolve_exception(tx, ExceptionKind.RECEIPT_QUARANTINED, record.rma_key)
    for held in bad:
        raise_exception(tx, ExceptionKind.RECEIPT_QUARANTINED, held.record_key, held.reason, held.record_key)


def _known_returns(tx: Transaction, records: Sequence[ReceiptRecord]) -> set[str]:
    """The returns of these records that Loop has shown, among them those whose only version is in quarantine."""
    ids = [return_id for record in records if (return_id := record.values["return_id"]) is not None]
    return warehouses_of(tx.connection, tx.merchant, ids).keys() | held_among(tx.connection, tx.merchant, LOOP.name, ids)
