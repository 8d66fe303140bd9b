"""The archive: returns that are over, set aside so that open work stands out. Nothing is deleted, and news still reaches them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.prepared import one_of
from backhaul.store.tables import decisions, returns

# Over: processed, ended without us, or flagged and since ended in Loop by a person.
_OVER = sa.text(
    "SELECT return_id FROM recon_returns WHERE merchant = :merchant"
    " AND (stage IN ('processed', 'ended') OR (stage = 'flagged' AND loop_state IN ('closed', 'cancelled', 'expired')))"
)


def archive_returns(connection: sa.Connection, merchant: str, before: datetime, now: datetime) -> int:
    """Archive the returns that are over, and that neither Loop nor a decision has touched since `before`; returns how many."""
    over = list(connection.execute(_OVER, {"merchant": merchant}).scalars())
    query = (
        sa.select(returns.c.return_id)
        .join(decisions, (decisions.c.merchant == returns.c.merchant) & (decisions.c.return_id == returns.c.return_id))
        .where(returns.c.merchant == merchant, returns.c.archived_at.is_(None), sa.not_(returns.c.is_due))
        .where(decisions.c.is_current, decisions.c.assessed_at < before)
        .where(sa.func.coalesce(returns.c.updated_at, returns.c.loaded_at) < before)
    )
    ids = [row.return_id for row in bulk.select_by_keys(connection, query, returns.c.return_id, over)]
    if ids:
        which = one_of(returns.c.return_id, ids)
        connection.execute(sa.update(returns).where(returns.c.merchant == merchant, which).values(archived_at=now))
    return len(ids)
