"""What people did: every act of a person is a row, written in the transaction of the act."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from backhaul.domain.words import Act
from backhaul.store.tables import operator_actions
from backhaul.store.transaction import Transaction


def record(
    tx: Transaction,
    operator: str,
    act: Act,
    subject: str,
    *,
    return_id: str | None = None,
    detail: str | None = None,
    why: str | None = None,
) -> None:
    """Keep who did what about what, and why."""
    values: dict[str, Any] = {"merchant": tx.merchant, "acted_at": tx.now, "operator": operator, "action": act.value, "subject": subject}
    tx.connection.execute(sa.insert(operator_actions).values(values | {"return_id": return_id, "detail": detail, "why": why}))
