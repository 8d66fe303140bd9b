"""Steps on quarantine: read what is held again from its source."""

from __future__ import annotations

import pandas as pd

from backhaul.connectors.base import ReturnBatch
from backhaul.connectors.loop.normalise import normalise
from backhaul.pipeline.session import Session
from backhaul.store import quarantine
from tasks.receipts import News
from tasks.returns import Batch
from tasks.steps import step


@step("count-held")
def count_held(session: Session) -> int:
    """How many records are in quarantine."""
    with session.store.read() as connection:
        return quarantine.count_held(connection, session.merchant)


@step("read-held-returns")
def read_held_returns(session: Session) -> Batch:
    """The returns in quarantine, as Loop has them now."""
    batches = [session.loop.details(key) for key in _held(session, "loop") if key.isdigit()] or [normalise([], "details")]
    return Batch(
        ReturnBatch(
            pd.concat([batch.returns for batch in batches], ignore_index=True),
            pd.concat([batch.lines for batch in batches], ignore_index=True),
            [body for batch in batches for body in batch.bodies],
            [rejected for batch in batches for rejected in batch.rejected],
        ),
        "details",
    )


@step("read-held-receipts")
def read_held_receipts(session: Session, warehouse: str) -> News:
    """The receipts in quarantine, as the warehouse has them now."""
    return News(
        warehouse, session.warehouses[warehouse].find([key for key in _held(session, warehouse) if not key.startswith(("dc:", "sha256:"))])
    )


def _held(session: Session, source: str) -> list[str]:
    with session.store.read() as connection:
        return sorted(quarantine.held_keys(connection, session.merchant, source))
