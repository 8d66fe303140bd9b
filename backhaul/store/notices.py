"""What needs a person, and who has been told of it: each address once for each time that something opened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.tables import exceptions, notices, runs

RUN_FAILED = "run_failed"
_RECENT = timedelta(days=7)  # runs that failed before then, and none since, are no news


class Notice(NamedTuple):
    """One thing to tell of: an open exception, or a flow that fails. `since` is when it opened, or when the first run failed."""

    merchant: str
    kind: str
    subject: str
    since: datetime
    remedy: str


def open_notices(connection: sa.Connection, now: datetime) -> list[Notice]:
    """All that is open now, oldest first."""
    opened = sa.select(*(exceptions.c[name] for name in ("merchant", "kind", "subject", "opened_at", "remedy")))
    found = [Notice(*row) for row in connection.execute(opened.where(exceptions.c.resolved_at.is_(None)))]
    return sorted([*found, *_failing(connection, now)], key=lambda one: (one.since, one.merchant, one.kind, one.subject))


def _failing(connection: sa.Connection, now: datetime) -> list[Notice]:
    """The flows that have failed since they last completed."""
    recent = runs.c.started_at > now - _RECENT
    completed = sa.select(runs.c.merchant, runs.c.flow, sa.func.max(runs.c.started_at).label("at"))
    completed = completed.where(recent, runs.c.state == "completed").group_by(runs.c.merchant, runs.c.flow)
    ok = completed.subquery()
    since = sa.func.min(runs.c.started_at, type_=runs.c.started_at.type)
    query = (
        sa.select(runs.c.merchant, runs.c.flow, since)
        .outerjoin(ok, (ok.c.merchant == runs.c.merchant) & (ok.c.flow == runs.c.flow))
        .where(recent, runs.c.state == "failed", sa.or_(ok.c.at.is_(None), runs.c.started_at > ok.c.at))
        .group_by(runs.c.merchant, runs.c.flow)
    )
    return [
        Notice(merchant, RUN_FAILED, flow, at, f"See 'backhaul runs --merchant {merchant}'; it is tried again by itself.")
        for merchant, flow, at in connection.execute(query)
    ]


def untold(connection: sa.Connection, target: str, found: Sequence[Notice]) -> list[Notice]:
    """Those of these that an address has not been told of since they opened."""
    query = sa.select(notices.c.merchant, notices.c.kind, notices.c.subject, notices.c.since).where(notices.c.target == target)
    told = {row[:3]: row.since for row in connection.execute(query)}
    return [one for one in found if (one.merchant, one.kind, one.subject) not in told or told[one[:3]] < one.since]


def last_told(connection: sa.Connection, target: str) -> datetime | None:
    """When an address was last told of anything."""
    query = sa.select(sa.func.max(notices.c.told_at, type_=notices.c.told_at.type)).where(notices.c.target == target)
    return connection.execute(query).scalar()


def note_told(connection: sa.Connection, target: str, told: Sequence[Notice], now: datetime) -> None:
    """Keep that an address was told of these."""
    columns = ("target", "merchant", "kind", "subject", "since", "told_at")
    bulk.upsert(connection, notices, columns, [(target, one.merchant, one.kind, one.subject, one.since, now) for one in told])
