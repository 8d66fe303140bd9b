"""Reconcile: notice what hangs, count where everything stands, and sum a run up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from backhaul.calendars import holidays_of
from backhaul.domain.backoff import STUCK_AFTER
from backhaul.domain.business_days import numbered
from backhaul.domain.words import DeliveryKind, ExceptionKind
from backhaul.pipeline import outcomes, reading_back
from backhaul.pipeline.session import Session
from backhaul.store import due
from backhaul.store.deliveries import never_shown
from backhaul.store.exceptions import raise_exception, replace_open
from backhaul.store.guards import note_guards
from backhaul.store.months import keep_months
from backhaul.store.reports import exceptions_by_kind, returns_by_stage
from backhaul.store.runs import Run
from backhaul.store.service_levels import has_targets, keep_targets
from backhaul.store.snapshots import take_snapshot
from backhaul.store.transaction import Transaction

_UNSEEN_AFTER = timedelta(hours=1)  # an RMA that was accepted and still cannot be read back


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did, for people and for Prefect."""

    run_id: str
    flow: str
    merchant: str
    counts: dict[str, int]


def notice(session: Session) -> None:
    """Raise exceptions for what a vendor accepted or told of and never showed, and follow what we processed to its end."""
    notice_what_hangs(session)
    reading_back.ask_again(session)
    outcomes.follow(session)


def notice_what_hangs(session: Session) -> None:
    """Raise an exception for what a vendor accepted and never showed, for what does not get through, and for what waits in vain.

    The latter two close by themselves.
    """
    settle = timedelta(seconds=4 * session.settings.loop.process_settle_seconds)
    with session.write() as tx:
        for kind, return_id in never_shown(tx.connection, tx.merchant, tx.now - settle, tx.now - _UNSEEN_AFTER):
            if kind is DeliveryKind.LOOP_PROCESS:
                why = "Loop took the process, and the return is still open"
                raise_exception(tx, ExceptionKind.PROCESS_UNCONFIRMED, f"{kind}:{return_id}", why, return_id)
            else:
                why = "the warehouse took the RMA, and does not show it"
                raise_exception(tx, ExceptionKind.RMA_NOT_FOUND, return_id, why, return_id)
        replace_open(tx, ExceptionKind.DELIVERY_STUCK, _stuck(tx))
        replace_open(tx, ExceptionKind.DELIVERY_BLOCKED, _blocked(tx))
        note_guards(tx)


def _stuck(tx: Transaction) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for row in due.stuck(tx.connection, tx.merchant, tx.now - STUCK_AFTER):
        tried = f"{row.attempts} attempts, the last: {row.message or 'without an answer'}" if row.attempts else "not tried yet"
        found[f"{row.kind}:{row.return_id}"] = row.return_id, f"{row.kind} is owed since {row.owed_since:%Y-%m-%d %H:%M} UTC; {tried}"
    return found


def _blocked(tx: Transaction) -> dict[str, tuple[str, str]]:
    return {
        f"{row.kind}:{row.return_id}": (row.return_id, f"{row.kind} waits for {row.waits_for}, which is {row.because}")
        for row in due.blocked(tx.connection, tx.merchant)
    }


def snapshot(session: Session) -> None:
    """Keep this day's snapshot, how long steps took by month, and the targets and business days of service levels."""
    targets = session.settings.targets
    wanted = targets.by_step()
    with session.write() as tx:
        if wanted or has_targets(tx.connection, tx.merchant):
            first, last = date(tx.now.year - 2, 1, 1), date(tx.now.year + 1, 12, 31)
            days = numbered(first, last, holidays_of(targets.holidays, *range(first.year, last.year + 1))) if wanted else []
            keep_targets(tx, wanted, days)
        take_snapshot(tx)
        keep_months(tx)


def summary(run: Run) -> RunSummary:
    """A run's counts, as they stand."""
    return RunSummary(run.run_id, run.flow, run.merchant, dict(sorted(run.counts.items())))


def standing(session: Session) -> list[dict[str, str | int]]:
    """How many returns are at each stage, and how many exceptions of each kind are open."""
    with session.store.read() as connection:
        counted = (
            ("stage", returns_by_stage(connection, session.merchant)),
            ("exception", exceptions_by_kind(connection, session.merchant)),
        )
    rows: list[dict[str, str | int]] = []
    for word, counts in counted:
        for name, count in counts.items():
            rows.append({"what": f"{word} {name}", "count": count})
            session.run.add(f"{word}_{name}", count)
    return rows
