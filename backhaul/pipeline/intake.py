"""Loop returns, from a batch of frames to rows: keep what is news, check it, take it in whole or quarantine it whole."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from backhaul.connectors.base import Rejected, ReturnBatch
from backhaul.connectors.loop.endpoints import RETURNS
from backhaul.domain import schema
from backhaul.domain.keys import content_hash
from backhaul.domain.plainly import plural
from backhaul.domain.windows import Window
from backhaul.domain.words import ExceptionKind
from backhaul.errors import StructuralError
from backhaul.pipeline.deciding import count_decided, decide_history
from backhaul.pipeline.judging import judge, warned
from backhaul.pipeline.session import Session
from backhaul.pipeline.soundness import require_sound
from backhaul.store.exceptions import open_subjects, resolve_exception
from backhaul.store.quarantine import Quarantined, Warned, known_quarantine, put_in_quarantine
from backhaul.store.records import LISTED, ReturnRecord, make_records
from backhaul.store.returns import known_returns, load_returns, read_back
from backhaul.store.transaction import Transaction
from backhaul.store.watermarks import move_watermark

log = logging.getLogger(__name__)

SOURCE = "loop"
PULLED = LISTED  # the source that is judged as a whole; a read-back and a webhook bring single returns
BATCH = 1_500  # returns, two pages: the processor's cache holds what is made of them, and a transaction stays short


class Pull:
    """A window of Loop's list, read batch by batch, so that neither memory nor a transaction grows with the window.

    A batch is loaded before the one after the next is read. A crash in between leaves the watermark where it was, and what is met again is
    no news.
    """

    def __init__(self, session: Session, window: Window, states: Sequence[str] | None = None) -> None:
        self.is_through = False  # the batch given last is the last one, and every state pass has completed
        self.total = self.bad = 0  # returns that came, and those of them that were newly put in quarantine
        self.high_water_at: datetime | None = None
        self._batches = session.loop.batches(window.start, window.end, BATCH, states or RETURNS.states)

    def next(self) -> ReturnBatch | None:
        """The next batch; None when all have been given."""
        batch, self.is_through = next(self._batches, (None, True))
        return batch


class Intake:
    """Returns on their way in. `records` are those that say more than the store has; `bad` those that cannot be let in."""

    def __init__(self, total: int, source: str) -> None:
        self.total = total
        self.source = source
        self.records: list[ReturnRecord] = []
        self.frames: tuple[pd.DataFrame, pd.DataFrame] | None = None  # the records' own, where all that came is news
        self.behind: set[str] = set()  # returns whose records are no news, but tell columns that the store does not have of them
        self.bad: list[Quarantined] = []
        self.warnings: dict[str, list[Warned]] = {}
        self.pull: Pull | None = None  # what this is a batch of


def keep_news(session: Session, batch: ReturnBatch, source: str, is_history: bool = False, pull: Pull | None = None) -> Intake:
    """Leave out what the store already holds, in rows or in quarantine, so that nothing is checked or written twice."""
    intake = Intake(len(batch.returns) + len(batch.rejected), source)
    records = _records(batch)
    if pull is not None:
        intake.pull = pull
        pull.total += intake.total
        log.info("%s: %s of Loop so far", session.merchant, plural(pull.total, "return"))
        pull.high_water_at = max((at for at in (pull.high_water_at, *(r.updated_at for r in records)) if at is not None), default=None)
    with session.store.read() as connection:
        known = known_returns(connection, session.merchant, [r.return_id for r in records if r.return_id])
        in_quarantine = known_quarantine(connection, session.merchant, SOURCE)
        if source == "details":
            records = read_back(connection, session.merchant, records)
    for record in records:
        if any(map(record.has_content, in_quarantine.get(record.key, ()))):
            continue
        before = known.get(record.return_id)
        if before is None or before.is_news(record, is_history, source):
            intake.records.append(record)
        elif before.is_behind(record, source):
            intake.records.append(record)
            intake.behind.add(record.return_id)
    if len(intake.records) == len(batch.returns) and source != "details" and batch.returns["return_id"].is_unique:
        intake.frames = batch.returns, batch.lines
    rejected = (_from_rejected(rejected) for rejected in batch.rejected)
    intake.bad = [bad for bad in rejected if bad.content_hash not in in_quarantine.get(bad.record_key, ())]
    session.run.add("records_in", intake.total)
    session.run.add("unchanged", intake.total - len(intake.records) - len(intake.bad))
    return intake


def check(session: Session, intake: Intake) -> Intake:
    """Run the suites over what is news. A critical failure of any row moves its whole return to `bad`; a structural one raises."""
    if intake.records:
        _run_suites(session, intake)
    if intake.source == PULLED:
        _judge(session, intake)
    return intake


def _run_suites(session: Session, intake: Intake) -> None:
    frames = intake.frames or (
        pd.DataFrame([r.row for r in intake.records], columns=list(schema.RETURNS.all_columns), dtype=object),
        pd.DataFrame([line for r in intake.records for line in r.lines], columns=list(schema.RETURN_LINES.all_columns), dtype=object),
    )
    owners = [place for place, record in enumerate(intake.records) for _ in record.lines]
    broken: defaultdict[int, dict[str, str]] = defaultdict(dict)
    reports = (
        ("returns", judge(session, frames[0], "returns", lines=frames[1]), range(len(intake.records))),
        ("return_lines", judge(session, frames[1], "return_lines"), owners),
    )
    for table, report, owner in reports:
        if report.structural:
            raise StructuralError(f"{session.merchant}: {report.structural[0]}; nothing of this window was loaded")
        for failure in report.failures:
            place = owner[failure.row]
            if failure.severity == "critical":
                broken[place][failure.rule] = failure.description
            else:
                return_id = intake.records[place].return_id
                intake.warnings.setdefault(return_id, []).append(warned(table, return_id, failure))
    intake.bad += [_quarantined(intake.records[place], rules) for place, rules in sorted(broken.items())]
    intake.records = [record for place, record in enumerate(intake.records) if place not in broken]


def _judge(session: Session, intake: Intake) -> None:
    """Raise StructuralError when so much of a list is newly bad that the list itself must be; of a window, what has come of it so far."""
    if intake.pull is None:
        require_sound(session.merchant, "returns", intake.bad, intake.total)
        return
    intake.pull.bad += len(intake.bad)
    require_sound(session.merchant, "returns", intake.bad, intake.pull.total, intake.pull.bad)


def load(session: Session, intake: Intake, completes: Window | None = None, *, is_history: bool = False) -> None:
    """Write an intake in one transaction. With the last batch of a window that it `completes`, the watermark moves; history is decided.

    The watermark is the newest source time taken in, never past the window's end: a date from the future must not hide what is before it.
    """
    with session.write() as tx:
        loaded = load_returns(
            tx,
            intake.records,
            source=intake.source,
            is_history=is_history,
            warehouse_for=session.settings.warehouse_for,
            warnings=intake.warnings,
        )
        put_in_quarantine(tx, SOURCE, intake.bad)
        _claim_parcels(tx, {record.return_id for record in loaded.first})
        decided = decide_history(session, tx, loaded.first) if is_history else Counter()
        if completes is not None and intake.pull is not None and intake.pull.is_through:
            newest = min(intake.pull.high_water_at or completes.start, completes.end)
            move_watermark(tx, SOURCE, max(newest, completes.start))
    session.run.add("records_out", loaded.total)
    session.run.add("unchanged", len(intake.records) - loaded.total)
    session.run.add("quarantined", len(intake.bad))
    count_decided(session, decided)


def _claim_parcels(tx: Transaction, return_ids: set[str]) -> None:
    """A parcel that came before its return was known is no longer a stranger."""
    for return_id in open_subjects(tx.connection, tx.merchant, ExceptionKind.BLIND_RECEIPT) & return_ids if return_ids else ():
        resolve_exception(tx, ExceptionKind.BLIND_RECEIPT, return_id)


def _records(batch: ReturnBatch) -> list[ReturnRecord]:
    """One record a return, with the lines that bear its id."""
    rows = batch.returns.to_numpy(dtype=object).tolist()
    by_return: defaultdict[str | None, list[Sequence[Any]]] = defaultdict(list)
    for line in batch.lines.to_numpy(dtype=object).tolist():
        by_return[line[0]].append(line)
    return make_records(rows, [by_return[row[0]] for row in rows], batch.bodies)


def _quarantined(record: ReturnRecord, rules: dict[str, str]) -> Quarantined:
    order_name = record.row[schema.RETURNS.columns.index("order_name")]
    reason = " ".join(f"{rule}: {words}" for rule, words in sorted(rules.items()))
    return Quarantined(record.key, order_name, tuple(sorted(rules)), reason, record.body, record.content_hash)


def _from_rejected(rejected: Rejected) -> Quarantined:
    return Quarantined(
        rejected.record_key,
        rejected.order_name,
        (rejected.rule,),
        f"{rejected.rule}: {rejected.reason}",
        rejected.body,
        content_hash([rejected.body]),
    )
