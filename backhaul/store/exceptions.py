"""Exceptions: what needs a person, opened and resolved by the facts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa

from backhaul.domain.words import ExceptionKind
from backhaul.store.tables import exceptions
from backhaul.store.transaction import Transaction


def open_exception(tx: Transaction, kind: ExceptionKind, subject: str, why: str, return_id: str | None) -> None:
    """`raise_exception`, by the run and at the time of a transaction."""
    raise_exception(tx.connection, tx.merchant, kind, subject, why, return_id=return_id, run_id=tx.run_id, now=tx.now)


def end_exceptions_of(tx: Transaction, subject: str, kinds: Collection[ExceptionKind] = tuple(ExceptionKind)) -> None:
    """Mark what is open about a subject as over."""
    about = (exceptions.c.merchant == tx.merchant) & (exceptions.c.subject == subject) & exceptions.c.resolved_at.is_(None)
    about &= exceptions.c.kind.in_([kind.value for kind in kinds])
    tx.connection.execute(sa.update(exceptions).where(about).values(resolved_at=tx.now))


def replace_open(tx: Transaction, kind: ExceptionKind, found: Mapping[str, tuple[str, str]]) -> None:
    """Make the open exceptions of a kind those that are found now: subject -> return id and why. The others are over."""
    query = sa.select(exceptions.c.subject).where(
        exceptions.c.merchant == tx.merchant, exceptions.c.kind == kind.value, exceptions.c.resolved_at.is_(None)
    )
    for subject in set(tx.connection.execute(query).scalars()) - found.keys():
        end_exceptions_of(tx, subject, (kind,))
    for subject, (return_id, why) in found.items():
        open_exception(tx, kind, subject, why, return_id)


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
    """Open an exception, or open it anew. One that is open already keeps its time, and changes only if `why` does.

    One that a person has settled stays so while its cause is the same.
    """
    same = (exceptions.c.merchant == merchant) & (exceptions.c.kind == kind.value) & (exceptions.c.subject == subject)
    before = connection.execute(sa.select(exceptions.c.why, exceptions.c.resolved_at, exceptions.c.is_settled).where(same)).one_or_none()
    if before is None:
        key = {"merchant": merchant, "kind": kind.value, "subject": subject, "return_id": return_id}
        rest = {"why": why, "remedy": kind.remedy, "opened_at": now, "is_settled": False, "run_id": run_id}
        connection.execute(sa.insert(exceptions).values(key | rest))
    elif before.resolved_at is not None:
        if not before.is_settled or before.why != why:
            values = {"why": why, "opened_at": now, "resolved_at": None, "is_settled": False, "run_id": run_id}
            connection.execute(sa.update(exceptions).where(same).values(values))
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


def settle_exceptions(
    connection: sa.Connection, merchant: str | None, subject: str, kind: str | None, now: datetime
) -> list[dict[str, str]]:
    """Mark open exceptions about a subject, or a return, as dealt with by a person; returns merchant, kind and subject of each."""
    about = sa.or_(exceptions.c.subject == subject, exceptions.c.return_id == subject) & exceptions.c.resolved_at.is_(None)
    if merchant is not None:
        about &= exceptions.c.merchant == merchant
    if kind is not None:
        about &= exceptions.c.kind == kind
    settled = sa.update(exceptions).where(about).values(resolved_at=now, is_settled=True)
    rows = connection.execute(settled.returning(exceptions.c.merchant, exceptions.c.kind, exceptions.c.subject))
    return sorted((dict(row._mapping) for row in rows), key=lambda row: (row["merchant"], row["kind"], row["subject"]))
