"""Frames judged by the suites: by the compiled rules before they are loaded, and by Great Expectations where that delays nobody.

| what | by whom | when |
|---|---|---|
| a frame that is about to be loaded | the compiled rules | always |
| one run's frames of one table in `SHARE`, chosen by the run's id | Great Expectations too | beside, but for runs of events |
| what the tables took in lately | Great Expectations, as a Checkpoint, and the compiled rules | nightly, with the audit |

Where the two differ, an exception `checks_disagree` names the rule. It changes nothing of what was loaded, and it is for a person to close.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import cast
from zlib import crc32

import pandas as pd

from backhaul import checks
from backhaul.checks import Failure, Report, Table
from backhaul.domain import schema
from backhaul.domain.schema import Frame
from backhaul.domain.words import ExceptionKind
from backhaul.pipeline.session import Session
from backhaul.store.exceptions import raise_exception
from backhaul.store.quarantine import Warned, write_warnings
from backhaul.store.stored import Rows, as_frame_rows, stored_since

_AT_ONCE = 10_000  # returns or receipts
_PAIRS = ((schema.RETURNS, schema.RETURN_LINES), (schema.RECEIPTS, schema.RECEIPT_LINES))
SHARE = 2_000  # Great Expectations costs some 200 ms a frame, and 7 s the first time

log = logging.getLogger(__name__)


def judge(session: Session, frame: pd.DataFrame, table: Table, *, lines: pd.DataFrame | None = None) -> Report:
    """What a frame that is about to be loaded breaks; see `checks.validate`."""
    report = checks.validate(frame, table, lines=lines)
    if len(frame) and session.run.flow != "events" and crc32(f"{session.run.run_id}/{table}".encode()) % SHARE == 0:
        session.run.add("frames_judged_twice")
        try:
            _tell(session, table, checks.differences(report, checks.judge_all(frame, table, lines=lines)))
        except Exception as error:  # the other engine is a witness: it must not stop what is right without it
            log.warning("%s: a frame of %s could not be judged twice: %s", session.merchant, table, error.__class__.__name__)
    return report


def judge_stored(session: Session, days: int) -> None:
    """Judge what the tables took in during the last days once more, by both engines; what breaks a rule goes into `check_results`."""
    since = session.clock() - timedelta(days=days)
    for heads, lines in _PAIRS:
        after = ""
        while True:
            with session.store.read() as connection:
                rows, own = stored_since(connection, session.merchant, heads.name, since, after, _AT_ONCE)
            if not rows:
                break
            after = rows[-1][heads.key[0]]
            frames = _frame(rows, heads), _frame(own, lines)
            warnings = _judge_twice(session, frames[0], heads, frames[1] if heads is schema.RETURNS else None)
            warnings += _judge_twice(session, frames[1], lines)
            session.run.add("rows_judged", len(rows) + len(own))
            session.run.add("checks_failed", len(warnings))
            if warnings:
                with session.write() as tx:
                    write_warnings(tx, warnings)


def _frame(rows: Rows, of: Frame) -> pd.DataFrame:
    return pd.DataFrame(as_frame_rows(rows, of), columns=list(of.all_columns), dtype=object)


def _judge_twice(session: Session, frame: pd.DataFrame, of: Frame, lines: pd.DataFrame | None = None) -> list[Warned]:
    table = cast(Table, of.name)
    found = checks.judge_all(frame, table, lines=lines, as_checkpoint=True)
    _tell(session, table, checks.differences(found, checks.validate(frame, table, lines=lines)))
    keys = frame[of.key[0]].tolist()
    return [warned(table, str(keys[failure.row]), failure) for failure in found.failures]


def _tell(session: Session, table: str, differing: Sequence[str]) -> None:
    if not differing:
        return
    session.run.add("checks_disagree", len(differing))
    with session.write() as tx:
        for rule in differing:
            why = f"of a frame of {table}, the compiled rule and Great Expectations do not name the same rows (run {session.run.run_id})"
            raise_exception(tx, ExceptionKind.CHECKS_DISAGREE, rule, why, None)


def warned(table: str, record_key: str, failure: Failure) -> Warned:
    """A failure as `check_results` keeps it."""
    return table, record_key, failure.rule, failure.severity, failure.description, failure.engine
