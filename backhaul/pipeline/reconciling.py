"""Reconcile: hold the list against the shipping notice, notice what hangs, and sum a run up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from backhaul.connectors.loop.client import AsnRow
from backhaul.domain.windows import Window
from backhaul.domain.words import DeliveryKind, DeliveryState, ExceptionKind
from backhaul.errors import UnauthorizedError, VendorError
from backhaul.pipeline.session import Session
from backhaul.store import bulk
from backhaul.store.exceptions import raise_exception, resolve_exception
from backhaul.store.runs import Run
from backhaul.store.tables import deliveries, exceptions, return_lines, rmas

_ASN_KINDS = (ExceptionKind.ASN_ONLY, ExceptionKind.ASN_MISMATCH)
_UNSEEN_AFTER = timedelta(hours=1)  # an RMA that was accepted and still cannot be read back


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did, for people and for Prefect."""

    run_id: str
    flow: str
    merchant: str
    counts: dict[str, int]


def pull_asn(session: Session, window: Window) -> list[AsnRow]:
    """The shipping notice of the window's days. It is a second source: when it cannot be read, the run says so and goes on."""
    try:
        return session.loop.asn(window.start.date(), window.end.date())
    except UnauthorizedError:
        raise
    except VendorError:
        session.run.add("asn_unavailable")
        return []


def compare_asn(session: Session, window: Window, rows: list[AsnRow]) -> None:
    """Raise an exception for each return that only the shipping notice knows, and for each line that the list does not show.

    Only rows that Loop says changed inside the window are judged: those outside it were never asked for.
    """
    inside = [row for row in rows if row.updated_at is not None and window.start <= row.updated_at < window.end and row.line_item_id]
    by_return: defaultdict[str, list[AsnRow]] = defaultdict(list)
    for row in inside:
        by_return[row.report_id].append(row)
    with session.store.read() as connection:
        lines = sa.select(return_lines.c.line_item_id, return_lines.c.return_id).where(return_lines.c.merchant == session.merchant)
        found = {
            row.line_item_id: row.return_id
            for row in bulk.select_by_keys(connection, lines, return_lines.c.line_item_id, [row.line_item_id for row in inside])
        }
        open_now = set(
            connection.execute(
                sa.select(exceptions.c.subject).where(
                    exceptions.c.merchant == session.merchant,
                    exceptions.c.resolved_at.is_(None),
                    exceptions.c.kind.in_([kind.value for kind in _ASN_KINDS]),
                )
            ).scalars()
        )
    news = {key: group for key, group in by_return.items() if key in open_now or any(row.line_item_id not in found for row in group)}
    if news:
        _write(session, news, found)


def _write(session: Session, news: dict[str, list[AsnRow]], found: dict[str, str]) -> None:
    now = session.clock()
    with session.store.write(session.merchant) as connection:
        for subject, group in news.items():
            unknown = sorted(row.line_item_id for row in group if row.line_item_id not in found)
            known_return = next((found[row.line_item_id] for row in group if row.line_item_id in found), None)
            name = group[0].order_name or "no order name"
            for kind in _ASN_KINDS:
                if not unknown or (kind is ExceptionKind.ASN_MISMATCH) != (known_return is not None):
                    resolve_exception(connection, session.merchant, kind, subject, now)
                    continue
                why = f"the shipping notice names {len(unknown)} lines ({', '.join(unknown[:5])}) of {name} that no state of the return list shows"
                raise_exception(
                    connection, session.merchant, kind, subject, why, return_id=known_return or subject, run_id=session.run.run_id, now=now
                )
            session.run.add("asn_unknown_lines", len(unknown))


def notice_what_hangs(session: Session) -> None:
    """Raise an exception for what a vendor accepted and never showed: a process that does not close, an RMA that cannot be read back."""
    now = session.clock()
    settle = timedelta(seconds=4 * session.settings.loop.process_settle_seconds)
    late_process = (deliveries.c.kind == DeliveryKind.LOOP_PROCESS.value) & (deliveries.c.accepted_at < now - settle)
    late_rma = (deliveries.c.kind == DeliveryKind.RMA_CREATE.value) & (deliveries.c.accepted_at < now - _UNSEEN_AFTER)
    query = (
        sa.select(deliveries.c.return_id, deliveries.c.kind)
        .outerjoin(rmas, (rmas.c.merchant == deliveries.c.merchant) & (rmas.c.rma_key == deliveries.c.return_id))
        .where(deliveries.c.merchant == session.merchant, deliveries.c.state == DeliveryState.ACCEPTED.value)
        .where(sa.or_(late_process, late_rma & rmas.c.rma_key.is_(None)))
    )
    with session.store.read() as connection:
        hanging = connection.execute(query).all()
    if not hanging:
        return
    with session.store.write(session.merchant) as connection:
        for row in hanging:
            is_process = row.kind == DeliveryKind.LOOP_PROCESS.value
            kind = ExceptionKind.PROCESS_UNCONFIRMED if is_process else ExceptionKind.RMA_NOT_FOUND
            subject = f"{row.kind}:{row.return_id}" if is_process else row.return_id
            why = (
                "Loop took the process, and the return is still open" if is_process else "the warehouse took the RMA, and does not show it"
            )
            raise_exception(connection, session.merchant, kind, subject, why, return_id=row.return_id, run_id=session.run.run_id, now=now)


def summary(run: Run) -> RunSummary:
    """A run's counts, as they stand."""
    return RunSummary(run.run_id, run.flow, run.merchant, dict(sorted(run.counts.items())))


def standing(session: Session) -> list[dict[str, str | int]]:
    """How many returns are at each stage, and how many exceptions of each kind are open."""
    stages = sa.text("SELECT stage, count(*) AS count FROM recon_returns WHERE merchant = :merchant GROUP BY stage ORDER BY stage")
    kinds = sa.text("SELECT kind, count(*) AS count FROM recon_exceptions WHERE merchant = :merchant GROUP BY kind ORDER BY kind")
    rows: list[dict[str, str | int]] = []
    with session.store.read() as connection:
        for word, query in (("stage", stages), ("exception", kinds)):
            for name, count in connection.execute(query, {"merchant": session.merchant}):
                rows.append({"what": f"{word} {name}", "count": count})
                session.run.add(f"{word}_{name}", count)
    return rows
