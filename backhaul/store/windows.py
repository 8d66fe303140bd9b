"""Windows of a backfill or an audit: what is to be done, who is doing it, and what came of it.

A window is claimed with a lease, by one run at a time. The run renews its leases while it lives; when it dies they run out, and any
other run takes its windows over. Doing a window twice changes nothing (I6), so a lease guards against waste, not against damage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from backhaul.domain.windows import Window
from backhaul.store.tables import windows
from backhaul.store.transaction import Transaction

LEASE = timedelta(seconds=30)
PENDING, RUNNING, COMPLETED, FAILED = "pending", "running", "completed", "failed"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which windows are meant: one merchant's, for one purpose, inside one range."""

    merchant: str
    purpose: str
    whole: Window

    @classmethod
    def of_backfill(cls, merchant: str, whole: Window, *, acts: bool) -> Scope:
        """The windows of a backfill. One that acts has its own: what was only read and recorded has not been acted on."""
        return cls(merchant, "backfill_act" if acts else "backfill", whole)

    @property
    def rows(self) -> sa.ColumnElement[bool]:
        """The rows of the table that lie inside."""
        return self.all_rows & (windows.c.window_start >= self.whole.start) & (windows.c.window_end <= self.whole.end)

    @property
    def all_rows(self) -> sa.ColumnElement[bool]:
        """The merchant's rows of this purpose, inside the range or not."""
        return (windows.c.merchant == self.merchant) & (windows.c.purpose == self.purpose)

    def row(self, window: Window) -> sa.ColumnElement[bool]:
        """The row of one window."""
        return self.all_rows & (windows.c.window_start == window.start) & (windows.c.window_end == window.end)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the windows of a scope stand: how many in each state, what they took in, and those that failed, each with its error."""

    states: Counter[str] = field(default_factory=Counter)
    records_in: int = 0
    records_out: int = 0
    quarantined: int = 0
    failed: tuple[tuple[Window, str], ...] = ()

    @property
    def total(self) -> int:
        """How many windows there are."""
        return sum(self.states.values())

    @property
    def settled(self) -> int:
        """How many are completed or have failed."""
        return self.states[COMPLETED] + self.states[FAILED]


def lay_out(tx: Transaction, scope: Scope, pieces: Sequence[Window], *, is_forced: bool) -> tuple[int, int]:
    """Write the windows that are to be done as pending; returns how many those are, and how many are done already.

    A piece that lies inside a completed window is done, unless `is_forced`. What an earlier run left undone, or what lies inside a
    piece that is done now, gives way. One that another run holds stays with it.
    """
    rows = tx.connection.execute(sa.select(windows).where(scope.all_rows)).all()
    states = {(row.window_start, row.window_end): row.state for row in rows}
    held = {(row.window_start, row.window_end) for row in rows if row.state == RUNNING and (row.lease_expires_at or tx.now) > tx.now}
    completed = [(row.window_start, row.window_end) for row in rows if row.state == COMPLETED]
    todo = [piece for piece in pieces if is_forced or not any(start <= piece.start and piece.end <= end for start, end in completed)]
    wanted = {(piece.start, piece.end) for piece in todo}
    for key, state in states.items():
        if key in wanted or key in held:
            continue
        is_inside = scope.whole.start <= key[0] and key[1] <= scope.whole.end
        is_redone = any(start <= key[0] and key[1] <= end for start, end in wanted)
        if is_redone or (is_inside and state != COMPLETED):
            tx.connection.execute(sa.delete(windows).where(scope.row(Window(*key))))
    empty = {"records_in": 0, "records_out": 0, "quarantined": 0}
    fresh = {"state": PENDING, "error": None, "lease_expires_at": None, "started_at": None, "finished_at": None} | empty
    for piece in todo:
        key = (piece.start, piece.end)
        if key in held:
            continue
        if key in states:
            tx.connection.execute(sa.update(windows).where(scope.row(piece)).values(fresh))
        else:
            name = {"merchant": scope.merchant, "purpose": scope.purpose, "window_start": piece.start, "window_end": piece.end}
            tx.connection.execute(sa.insert(windows).values(name | fresh | {"attempts": 0}))
    return len(todo), len(pieces) - len(todo)


def claim(tx: Transaction, scope: Scope, in_hand: Iterable[Window] = ()) -> Window | None:
    """Take the oldest window of the scope that nobody holds, in the caller's transaction; None when there is none.

    A window that is this run's by the table, and not `in_hand`, was claimed when the database went away: nobody is doing it.
    """
    is_lost = sa.and_(windows.c.run_id == tx.run_id, *(~scope.row(window) for window in in_hand))
    is_free = sa.or_(windows.c.state == PENDING, (windows.c.state == RUNNING) & ((windows.c.lease_expires_at < tx.now) | is_lost))
    query = sa.select(windows.c.window_start, windows.c.window_end).where(scope.rows, is_free)
    query = query.order_by(windows.c.window_start).limit(1).with_for_update(skip_locked=True)
    row = tx.connection.execute(query).one_or_none()
    if row is None:
        return None
    window = Window(row.window_start, row.window_end)
    values = {"state": RUNNING, "run_id": tx.run_id, "started_at": tx.now, "lease_expires_at": tx.now + LEASE, "error": None}
    tx.connection.execute(sa.update(windows).where(scope.row(window)).values(values | {"attempts": windows.c.attempts + 1}))
    return window


def renew(tx: Transaction, scope: Scope) -> None:
    """Hold on to the windows that this run is doing."""
    mine = scope.all_rows & (windows.c.run_id == tx.run_id) & (windows.c.state == RUNNING)
    tx.connection.execute(sa.update(windows).where(mine).values(lease_expires_at=tx.now + LEASE))


def give_back(tx: Transaction, scope: Scope) -> None:
    """Leave the windows that this run holds to others: it is being stopped."""
    mine = scope.all_rows & (windows.c.run_id == tx.run_id) & (windows.c.state == RUNNING)
    tx.connection.execute(sa.update(windows).where(mine).values(state=PENDING, lease_expires_at=None))


def settle(
    tx: Transaction,
    scope: Scope,
    window: Window,
    counts: Mapping[str, int],
    *,
    error: str | None = None,
    proof: Mapping[str, Any] | None = None,
) -> None:
    """Write what came of a window; nothing when another run has taken it over in the meantime."""
    values: dict[str, Any] = {name: counts.get(name, 0) for name in ("records_in", "records_out", "quarantined")}
    values |= {"state": FAILED if error else COMPLETED, "finished_at": tx.now, "lease_expires_at": None, "error": error}
    if proof is not None:
        values["proof"] = dict(proof)
    mine = scope.row(window) & (windows.c.run_id == tx.run_id) & (windows.c.state == RUNNING)
    tx.connection.execute(sa.update(windows).where(mine).values(values))


def standing(connection: sa.Connection, scope: Scope) -> Standing:
    """Where the windows of a scope stand now."""
    rows = connection.execute(sa.select(windows).where(scope.rows).order_by(windows.c.window_start)).all()
    return Standing(
        Counter(row.state for row in rows),
        sum(row.records_in for row in rows),
        sum(row.records_out for row in rows),
        sum(row.quarantined for row in rows),
        tuple((Window(row.window_start, row.window_end), row.error or "") for row in rows if row.state == FAILED),
    )
