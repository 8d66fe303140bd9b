"""Reconcile: notice what hangs, count where everything stands, and sum a run up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from backhaul.domain.backoff import STUCK_AFTER
from backhaul.domain.words import DeliveryKind, ExceptionKind
from backhaul.pipeline.session import Session
from backhaul.store import outbox
from backhaul.store.exceptions import open_exception, replace_open
from backhaul.store.runs import Run
from backhaul.store.tables import IS_UNCONFIRMED, deliveries, rmas
from backhaul.store.transaction import Transaction

_UNSEEN_AFTER = timedelta(hours=1)  # an RMA that was accepted and still cannot be read back


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did, for people and for Prefect."""

    run_id: str
    flow: str
    merchant: str
    counts: dict[str, int]


def notice_what_hangs(session: Session) -> None:
    """Raise an exception for what a vendor accepted and never showed, for what does not get through, and for what waits in vain.

    The latter two close by themselves.
    """
    settle = timedelta(seconds=4 * session.settings.loop.process_settle_seconds)
    with session.write() as tx:
        late_process = (deliveries.c.kind == DeliveryKind.LOOP_PROCESS.value) & (deliveries.c.accepted_at < tx.now - settle)
        late_rma = (deliveries.c.kind == DeliveryKind.RMA_CREATE.value) & (deliveries.c.accepted_at < tx.now - _UNSEEN_AFTER)
        query = (
            sa.select(deliveries.c.return_id, deliveries.c.kind)
            .outerjoin(rmas, (rmas.c.merchant == deliveries.c.merchant) & (rmas.c.rma_key == deliveries.c.return_id))
            .where(deliveries.c.merchant == session.merchant, IS_UNCONFIRMED.of(deliveries))
            .where(sa.or_(late_process, late_rma & rmas.c.rma_key.is_(None)))
        )
        for row in tx.connection.execute(query).all():
            if row.kind == DeliveryKind.LOOP_PROCESS.value:
                why = "Loop took the process, and the return is still open"
                open_exception(tx, ExceptionKind.PROCESS_UNCONFIRMED, f"{row.kind}:{row.return_id}", why, row.return_id)
            else:
                why = "the warehouse took the RMA, and does not show it"
                open_exception(tx, ExceptionKind.RMA_NOT_FOUND, row.return_id, why, row.return_id)
        replace_open(tx, ExceptionKind.DELIVERY_STUCK, _stuck(tx))
        replace_open(tx, ExceptionKind.DELIVERY_BLOCKED, _blocked(tx))


def _stuck(tx: Transaction) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for row in outbox.stuck(tx.connection, tx.merchant, tx.now - STUCK_AFTER):
        tried = f"{row.attempts} attempts, the last: {row.message or 'without an answer'}" if row.attempts else "not tried yet"
        found[f"{row.kind}:{row.return_id}"] = row.return_id, f"{row.kind} is owed since {row.owed_since:%Y-%m-%d %H:%M} UTC; {tried}"
    return found


def _blocked(tx: Transaction) -> dict[str, tuple[str, str]]:
    return {
        f"{row.kind}:{row.return_id}": (row.return_id, f"{row.kind} waits for {row.waits_for}, which is {row.because}")
        for row in outbox.blocked(tx.connection, tx.merchant)
    }


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
