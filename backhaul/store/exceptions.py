"""Exceptions: what needs a person, opened and resolved by the facts."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from backhaul.domain.words import ExceptionKind
from backhaul.store.tables import exceptions


def raise_exception(
    connection: sa.Connection,
    merchant: str,
    kind: ExceptionKind,
    subject: str,
    why: str,
    *,
    return_id: str | None,
    run_id: str,
    now: datetime,
) -> None:
    """Open an exception, or open it anew. One that is open already keeps its time, and changes only if `why` does."""
    same = (exceptions.c.merchant == merchant) & (exceptions.c.kind == kind.value) & (exceptions.c.subject == subject)
    before = connection.execute(sa.select(exceptions.c.why, exceptions.c.resolved_at).where(same)).one_or_none()
    if before is None:
        values = {"merchant": merchant, "kind": kind.value, "subject": subject, "return_id": return_id}
        connection.execute(sa.insert(exceptions).values(values | {"why": why, "remedy": kind.remedy, "opened_at": now, "run_id": run_id}))
    elif before.resolved_at is not None:
        connection.execute(sa.update(exceptions).where(same).values(why=why, opened_at=now, resolved_at=None, run_id=run_id))
    elif before.why != why:
        connection.execute(sa.update(exceptions).where(same).values(why=why, run_id=run_id))


def resolve_exception(connection: sa.Connection, merchant: str, kind: ExceptionKind, subject: str, now: datetime) -> None:
    """Mark an exception as over, if it is open."""
    open_one = (
        (exceptions.c.merchant == merchant)
        & (exceptions.c.kind == kind.value)
        & (exceptions.c.subject == subject)
        & exceptions.c.resolved_at.is_(None)
    )
    connection.execute(sa.update(exceptions).where(open_one).values(resolved_at=now))
