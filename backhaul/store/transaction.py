"""A transaction of one merchant's run: what every write needs to say who wrote it, when, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction. `now` is its one time, so that all it writes happened at once."""

    connection: sa.Connection
    merchant: str
    run_id: str
    now: datetime
