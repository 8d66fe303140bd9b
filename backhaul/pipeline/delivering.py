"""Deliver: drain the outbox of a merchant. Each vendor is a lane of its own (lane.py): what one holds up, the others do not wait for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime, timedelta

from backhaul.connectors.deadline import left
from backhaul.connectors.http import CALL_DEADLINE
from backhaul.domain.circuit import Circuit
from backhaul.pipeline import acting
from backhaul.pipeline.lane import ANNOUNCEMENTS, LOOP, Lane
from backhaul.pipeline.session import Session
from backhaul.store import circuits, due, outbox

_PATIENCE = timedelta(seconds=20)  # a retry due sooner than this is waited for; later ones are the next run's


class Courier:
    """Delivers one merchant's outbox for one run."""

    def __init__(self, session: Session, sleep: Callable[[float], None] = time.sleep, *, only_announces: bool = False) -> None:
        self.session = session
        self.sleep = sleep
        warehouses = sorted(session.warehouses)
        if only_announces:
            self.lanes = [Lane(session, name, ANNOUNCEMENTS) for name in warehouses]
        else:
            self.lanes = [Lane(session, LOOP), *(Lane(session, name) for name in warehouses)]

    @property
    def acts(self) -> int:
        """Processes and flags that Loop accepted, and will now show."""
        return sum(lane.acts for lane in self.lanes)

    def drain(self) -> int:
        """Deliver everything that is due, and what falls due within moments; returns how many calls were accepted.

        Raises what ended a lane, once the others are through.
        """
        with self.session.store.read() as connection:
            gone = outbox.dead_owners(connection, self.session.merchant, self.session.clock())
        if gone:
            with self.session.write() as tx:
                outbox.expire(tx, gone)
        accepted, give_up_at = 0, time.monotonic() + 3 * _PATIENCE.total_seconds()
        while ready := self._lanes_due():
            claimed = sum(lane.claimed for lane in self.lanes)
            through = self._drain_lanes(ready)
            accepted += through
            is_idle = claimed == sum(lane.claimed for lane in self.lanes)
            if is_idle or (not through and time.monotonic() > give_up_at):
                break  # the vendors have been saying no for a minute; the next run tries again
        self.session.run.add("delivered", accepted)
        with self.session.store.read() as connection:
            waiting = due.paused(connection, self.session.merchant)
        self.session.run.add("paused", waiting - self.session.run.count("paused"))  # as it stood at the last drain of the run
        for lane in self.lanes:
            if lane.error is not None:
                raise lane.error
        return accepted

    def _lanes_due(self) -> list[Lane]:
        """The lanes that have something due; when none has, those whose turn comes within moments, after waiting for it."""
        session = self.session
        with session.store.read() as connection:
            upcoming = due.upcoming(connection, session.merchant, session.clock())
            known = circuits.read_circuits(connection, session.merchant)
        turns: dict[str, datetime] = {}
        for lane in self.lanes:
            mine = [at for (kind, warehouse), at in upcoming.items() if kind in lane.kinds and lane.warehouse in (None, warehouse)]
            if mine and lane.error is None:
                probe_at = known.get(lane.vendor, Circuit()).probe_at
                turns[lane.vendor] = max(min(mine), probe_at) if probe_at is not None else min(mine)
        now = session.clock()
        if turns and min(turns.values()) > now:
            if (wait := min(turns.values()) - now) > _PATIENCE or wait.total_seconds() > left() - CALL_DEADLINE:
                return []
            self.sleep(max(0.05, (min(turns.values()) - now).total_seconds()))
            now = max(session.clock(), min(turns.values()))
        return [lane for lane in self.lanes if lane.vendor in turns and turns[lane.vendor] <= now]

    def _drain_lanes(self, lanes: Sequence[Lane]) -> int:
        if len(lanes) == 1:
            return lanes[0].drain()
        with ThreadPoolExecutor(len(lanes), thread_name_prefix="lane") as pool:
            return sum(future.result() for future in [pool.submit(copy_context().run, lane.drain) for lane in lanes])


def announce_due(session: Session) -> None:
    """Tell the warehouses of returns, changes and withdrawals, and nobody of a decision."""
    Courier(session, only_announces=True).drain()


def deliver_due(session: Session) -> bool:
    """Drain the outbox; returns whether Loop accepted a process or a flag, which it will now show."""
    courier = Courier(session)
    courier.drain()
    return courier.acts > 0


def retry_deliveries(
    session: Session, return_id: str, kinds: Sequence[str] | None = None, operator: str | None = None, why: str | None = None
) -> None:
    """Give the refused, failed and dead deliveries of one return another chance, because an operator asked for it."""
    with session.write() as tx:
        session.run.add("retried", len(acting.retry(tx, operator or acting.login(), return_id, kinds, why)))


def send_shadowed(session: Session, return_ids: Sequence[str], operator: str | None = None, why: str | None = None) -> None:
    """Owe what was decided in shadow for these returns, because an operator asked for it."""
    with session.write() as tx:
        session.run.add("from_shadow", len(acting.send_shadowed(tx, operator or acting.login(), return_ids, why)))
