"""Reconcile: notice what hangs, count where everything stands, and sum a run up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from backhaul.domain.words import DeliveryKind, ExceptionKind
from backhaul.pipeline.session import Session
from backhaul.store.exceptions import raise_exception
from backhaul.store.runs import Run
from backhaul.store.tables import IS_UNCONFIRMED, deliveries, rmas

_UNSEEN_AFTER = timedelta(hours=1)  # an RMA that was accepted and still cannot be read back


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did, for people and for Prefect."""

    run_id: str
    flow: str
    merchant: str
    counts: dict[str, int]


def notice_what_hangs(session: Session) -> None:
    """Raise an exception for what a vendor accepted and never showed: a process that does not close, an RMA that cannot be read back."""
    now = session.clock()
    settle = timedelta(seconds=4 * session.settings.loop.process_settle_seconds)
    late_process = (deliveries.c.kind == DeliveryKind.LOOP_PROCESS.value) & (deliveries.c.accepted_at < now - settle)
    late_rma = (deliveries.c.kind == DeliveryKind.RMA_CREATE.value) & (deliveries.c.accepted_at < now - _UNSEEN_AFTER)
    query = (
        sa.select(deliveries.c.return_id, deliveries.c.kind)
        .outerjoin(rmas, (rmas.c.merchant == deliveries.c.merchant) & (rmas.c.rma_key == deliveries.c.return_id))
        .where(deliveries.c.merchant == session.merchant, IS_UNCONFIRMED.of(deliveries))
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
