"""Steps on warehouse news: poll, and take in."""

from __future__ import annotations

from backhaul.connectors.base import ReceiptBatch
from backhaul.pipeline import receiving
from backhaul.pipeline.session import Session
from backhaul.store.polls import Scan
from tasks.steps import step


class News:
    """Warehouse news on its way between two steps. A plain class, which Prefect passes on without looking into it."""

    def __init__(self, warehouse: str, batch: ReceiptBatch, scan: Scan | None = None) -> None:
        self.warehouse = warehouse
        self.batch = batch
        self.scan = scan


@step("poll-warehouse")
def poll_warehouse(session: Session, warehouse: str) -> News:
    """Ask the warehouse about every RMA that may have news, within the sync's budget."""
    return News(warehouse, *receiving.poll(session, warehouse))


@step("load-receipts")
def load_receipts(session: Session, news: News) -> None:
    """Check the receipts and write them, or quarantine them, in one transaction."""
    receiving.take_in(session, news.warehouse, news.batch, scan=news.scan)
