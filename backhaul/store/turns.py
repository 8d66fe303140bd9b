"""Whose turn it is in a round over many merchants, when several workers share it (PostgreSQL).

A merchant is claimed with a lease, renewed while its run lives; one that a dead worker leaves is claimed anew when its lease is out. What
is done in a round is not taken again in it: a round is known by the database's time when it began, so that no worker's clock matters.
On SQLite, where one process runs a round, nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from backhaul.store.engine import Store
from backhaul.store.prepared import Parameter, prepared
from backhaul.store.tables import runs, turns

LEASE = timedelta(seconds=60)
_NOW = sa.func.clock_timestamp()


class Turns:
    """One worker's part in a round of `flow`. `since` is when the round began, from the worker that began it."""

    def __init__(self, store: Store, flow: str, owner: str, since: datetime | None = None) -> None:
        self._store, self._flow, self._owner = store, flow, owner
        self.since = since or self._database_time()

    def open(self, merchants: Sequence[str]) -> None:
        """Make a row for each merchant that has none."""
        if self._store.is_sqlite or not merchants:
            return
        rows = [{"merchant": name, "flow": self._flow} for name in merchants]
        with self._store.write() as connection:
            connection.execute(postgresql.insert(turns).on_conflict_do_nothing(), rows)

    def take(self, wanted: Sequence[str], count: int) -> list[str]:
        """Claim up to `count` of the merchants, the first ones that are neither held by another worker nor done in this round."""
        if self._store.is_sqlite or not wanted:
            return list(wanted[:count])
        is_free = turns.c.lease_expires_at.is_(None) | (turns.c.lease_expires_at < _NOW)
        order = sa.func.array_position(sa.cast(list(wanted), postgresql.ARRAY(sa.Text)), turns.c.merchant)
        free = sa.select(turns.c.merchant).where(self._mine(wanted), self._undone(), is_free).order_by(order).limit(count)
        held = {"lease_owner": self._owner, "lease_expires_at": _NOW + LEASE, "done_at": None}
        with self._store.write() as connection:
            found = list(connection.execute(free.with_for_update(skip_locked=True)).scalars())
            if found:
                connection.execute(sa.update(turns).where(self._mine(found)).values(held))
        return sorted(found, key=wanted.index)

    def undone(self, wanted: Sequence[str]) -> list[str]:
        """Those of the merchants that nobody has done in this round, whoever may hold them."""
        if self._store.is_sqlite or not wanted:
            return list(wanted)
        with self._store.read() as connection:
            found = set(connection.execute(sa.select(turns.c.merchant).where(self._mine(wanted), self._undone())).scalars())
        return [name for name in wanted if name in found]

    def renew(self, merchants: Collection[str]) -> None:
        """Hold on to those whose runs go on."""
        self._write_mine(merchants, {"lease_expires_at": _NOW + LEASE})

    def finish(self, merchant: str) -> None:
        """Say that a merchant is done, well or not."""
        self._write_mine([merchant], {"done_at": _NOW, "lease_owner": None, "lease_expires_at": None})

    def _write_mine(self, merchants: Collection[str], values: dict[str, object]) -> None:
        if not self._store.is_sqlite and merchants:
            with self._store.write() as connection:
                connection.execute(sa.update(turns).where(self._mine(merchants), turns.c.lease_owner == self._owner).values(values))

    def _mine(self, merchants: Collection[str]) -> sa.ColumnElement[bool]:
        return (turns.c.flow == self._flow) & turns.c.merchant.in_(list(merchants))

    def _undone(self) -> sa.ColumnElement[bool]:
        return turns.c.done_at.is_(None) | (turns.c.done_at < self.since)

    def _database_time(self) -> datetime | None:
        if self._store.is_sqlite:
            return None
        with self._store.read() as connection:
            now: datetime = connection.execute(sa.select(_NOW)).scalar_one()
        return now


def longest_waiting_first(connection: sa.Connection, flow: str, merchants: Sequence[str]) -> list[str]:
    """The merchants by when their last run of the flow began; those that never had one come first."""
    last = {name: _last_start(connection, merchant=name, flow=flow).scalar_one_or_none() for name in merchants}
    return sorted(merchants, key=lambda name: (last[name] is not None, last[name] or 0, name))


@prepared
def _last_start(merchant: Parameter, flow: Parameter) -> sa.Select[Any]:
    """One merchant's: PostgreSQL and SQLite would read all runs to group them, and look one up by its index."""
    query = sa.select(runs.c.started_at).where(runs.c.merchant == merchant, runs.c.flow == flow)
    return query.order_by(runs.c.started_at.desc()).limit(1)


def completed_under(connection: sa.Connection, flow: str, flow_run_id: str, since: datetime) -> set[str]:
    """The merchants that a round, by its Prefect flow run, has completed already: what a retry of it leaves alone."""
    same = (runs.c.flow == flow) & (runs.c.flow_run_id == flow_run_id) & (runs.c.state == "completed")
    return set(connection.execute(sa.select(runs.c.merchant).where(runs.c.started_at >= since, same)).scalars())
