"""A transaction of one merchant's run: what every write needs to say who wrote it, when, and for whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction. `now` is its one time, so that all it writes happened at once.

    `moved` are the returns of which it wrote something that their whereabouts follow from; they are worked out at its end.
    """

    connection: sa.Connection
    merchant: str
    run_id: str
    now: datetime
    moved: set[str] = field(default_factory=set)

    def move(self, return_ids: Iterable[str | None]) -> None:
        """Note that what is known of these returns has changed."""
        self.moved.update(return_id for return_id in return_ids if return_id is not None)
