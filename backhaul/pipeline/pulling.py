"""What a run pulls: the windows it asks Loop for, a window's batches, single returns, what is in quarantine, and a warehouse's news.

`Batch` and `Receipts` are what steps hand to each other: plain classes, which Prefect passes on without looking into them.
"""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from backhaul.connectors.base import ReceiptBatch, ReturnBatch
from backhaul.connectors.loop.endpoints import RETURNS
from backhaul.connectors.loop.normalise import normalise
from backhaul.domain.windows import Window, next_sync_window, split
from backhaul.pipeline import acting, intake, receiving
from backhaul.pipeline.intake import Intake, Pull
from backhaul.pipeline.session import Session
from backhaul.store import quarantine
from backhaul.store.polls import Scan
from backhaul.store.watermarks import watermark

OVERLAP = timedelta(minutes=10)  # rows that Loop commits late are met again; upserts make it free


class Batch:
    """Returns that a source has just told."""

    def __init__(self, returns: ReturnBatch, source: str = intake.PULLED, pull: Pull | None = None) -> None:
        self.returns = returns
        self.source = source
        self.pull = pull


class Receipts:
    """Receipts that a warehouse has just told."""

    def __init__(self, warehouse: str, batch: ReceiptBatch, scan: Scan | None = None) -> None:
        self.warehouse = warehouse
        self.batch = batch
        self.scan = scan


def pending_windows(session: Session) -> list[Window]:
    """The windows that a sync has to ask Loop for; the end is fixed here, once."""
    session.run.window = what_came_since(session)
    return split(session.run.window.start, session.run.window.end, RETURNS.max_window)


def what_came_since(session: Session) -> Window:
    """From a little before the watermark until now. Loop's own times bound it, so that a clock that is off on one side hides nothing."""
    with session.store.read() as connection:
        newest = watermark(connection, session.merchant, intake.SOURCE)
    return next_sync_window(newest, session.clock(), session.settings.loop.first_sync_days, OVERLAP)


def extract(session: Session, pull: Pull) -> Batch | None:
    """The next batch of the Loop returns that changed in a window, as typed frames; None when all have been given."""
    batch = pull.next()
    return None if batch is None else Batch(batch, pull=pull)


def read_return(session: Session, return_id: str) -> Batch:
    """One return as Loop has it now."""
    return Batch(session.loop.details(return_id), "details")


def keep_news(session: Session, batch: Batch, is_history: bool = False) -> Intake:
    """Leave out what the store holds already."""
    return intake.keep_news(session, batch.returns, batch.source, is_history, batch.pull)


def poll(session: Session, warehouse: str) -> Receipts:
    """Ask the warehouse about every RMA that may have news, within the sync's budget."""
    return Receipts(warehouse, *receiving.poll(session, warehouse))


def load_receipts(session: Session, receipts: Receipts) -> None:
    """Check the receipts and write them, or quarantine them, in one transaction."""
    receiving.take_in(session, receipts.warehouse, receipts.batch, scan=receipts.scan)


def count_held(session: Session) -> int:
    """How many records are in quarantine."""
    with session.store.read() as connection:
        return quarantine.count_held(connection, session.merchant)


def begin_retry(session: Session, operator: str | None, why: str | None) -> int:
    """Keep who has the quarantine read again; returns how many records are in it."""
    with session.write() as tx:
        held = quarantine.count_held(tx.connection, tx.merchant)
        acting.retry_quarantine(tx, operator or acting.login(), held, why)
    return held


def read_held_returns(session: Session) -> Batch:
    """The returns in quarantine, as Loop has them now."""
    batches = [session.loop.details(key) for key in _held(session, intake.SOURCE) if key.isdigit()] or [normalise([], "details")]
    return Batch(
        ReturnBatch(
            pd.concat([batch.returns for batch in batches], ignore_index=True),
            pd.concat([batch.lines for batch in batches], ignore_index=True),
            [body for batch in batches for body in batch.bodies],
            [rejected for batch in batches for rejected in batch.rejected],
        ),
        "details",
    )


def read_held_receipts(session: Session, warehouse: str) -> Receipts:
    """The receipts in quarantine, as the warehouse has them now."""
    keys = [key for key in _held(session, warehouse) if not key.startswith(("dc:", "sha256:"))]
    return Receipts(warehouse, session.warehouses[warehouse].find(keys))


def _held(session: Session, source: str) -> list[str]:
    with session.store.read() as connection:
        return sorted(quarantine.held_keys(connection, session.merchant, source))
