"""Exceptions: what needs a person, opened and resolved by the facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from backhaul.domain.words import ExceptionKind
from backhaul.store.prepared import Parameter, Prepared, one_of, prepared
from backhaul.store.tables import exceptions
from backhaul.store.transaction import Transaction


def replace_open(tx: Transaction, kind: ExceptionKind, found: Mapping[str, tuple[str | None, str]]) -> None:
    """Make the open exceptions of a kind those that are found now: subject -> return id and why. The others are over."""
    for subject in open_subjects(tx.connection, tx.merchant, kind) - found.keys():
        resolve_exception(tx, kind, subject)
    for subject, (return_id, why) in found.items():
        raise_exception(tx, kind, subject, why, return_id)


def raise_exception(tx: Transaction, kind: ExceptionKind, subject: str, why: str, return_id: str | None) -> None:
    """Open an exception, or open it anew. One that is open already keeps its time, and changes only if `why` does.

    One that a person has settled stays so while its cause is the same.
    """
    same = (exceptions.c.merchant == tx.merchant) & (exceptions.c.kind == kind.value) & (exceptions.c.subject == subject)
    before = _before(tx.connection, merchant=tx.merchant, kind=kind.value, subject=subject).one_or_none()
    if before is None or before.resolved_at is not None:
        tx.move([return_id])
    if before is None:
        key = {"merchant": tx.merchant, "kind": kind.value, "subject": subject, "return_id": return_id}
        rest = {"why": why, "remedy": kind.remedy, "opened_at": tx.now, "is_settled": False, "run_id": tx.run_id}
        tx.connection.execute(sa.insert(exceptions).values(key | rest))
    elif before.resolved_at is not None:
        if not before.is_settled or before.why != why:
            values = {"why": why, "opened_at": tx.now, "resolved_at": None, "is_settled": False, "run_id": tx.run_id, "assigned_to": None}
            tx.connection.execute(sa.update(exceptions).where(same).values(values))
    elif before.why != why:
        tx.connection.execute(sa.update(exceptions).where(same).values(why=why, run_id=tx.run_id))


@prepared
def _before(merchant: Parameter, kind: Parameter, subject: Parameter) -> sa.Select[Any]:
    same = (exceptions.c.merchant == merchant) & (exceptions.c.kind == kind) & (exceptions.c.subject == subject)
    return sa.select(exceptions.c.why, exceptions.c.resolved_at, exceptions.c.is_settled).where(same)


def resolve_exception(tx: Transaction, kind: ExceptionKind | None, subject: str) -> None:
    """Mark what is open of a kind about a subject as over; of every kind when it is None."""
    of_kind = {} if kind is None else {"of_kind": kind.value}
    tx.move(_resolve(kind is not None)(tx.connection, whose=tx.merchant, about=subject, now=tx.now, **of_kind).scalars())


@cache
def _resolve(is_of_a_kind: bool) -> Prepared:
    about = (exceptions.c.merchant == sa.bindparam("whose")) & (exceptions.c.subject == sa.bindparam("about"))
    over = sa.update(exceptions).where(about, exceptions.c.resolved_at.is_(None)).values(resolved_at=sa.bindparam("now"))
    over = over.where(exceptions.c.kind == sa.bindparam("of_kind")) if is_of_a_kind else over
    return prepared(lambda: over.returning(exceptions.c.return_id))


def open_subjects(connection: sa.Connection, merchant: str, *kinds: ExceptionKind, why: str | None = None) -> set[str]:
    """What the open exceptions of these kinds are about; only of those with this cause, if one is given."""
    found = _open(connection, merchant=merchant, keys=[kind.value for kind in kinds])
    return {row.subject for row in found if why is None or row.why == why}


@prepared
def _open(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    such = (exceptions.c.merchant == merchant) & one_of(exceptions.c.kind, keys) & exceptions.c.resolved_at.is_(None)
    return sa.select(exceptions.c.subject, exceptions.c.why).where(such)


@dataclass(frozen=True, slots=True)
class Settled:
    """An exception that a person dealt with, or took."""

    merchant: str
    kind: str
    subject: str
    return_id: str | None


def merchants_with_open(connection: sa.Connection, subject: str, kind: str | None = None, merchant: str | None = None) -> list[str]:
    """The merchants that have an open exception about a subject, or a return; of this kind, or of this merchant, where one is named."""
    query = sa.select(exceptions.c.merchant).where(_about(subject, kind)).distinct().order_by(exceptions.c.merchant)
    return list(connection.execute(query if merchant is None else query.where(exceptions.c.merchant == merchant)).scalars())


def settle_exceptions(tx: Transaction, subject: str, kind: str | None = None) -> list[Settled]:
    """Mark the merchant's open exceptions about a subject, or a return, as dealt with by a person; returns them."""
    about = (exceptions.c.merchant == tx.merchant) & _about(subject, kind)
    found = _changed(tx, sa.update(exceptions).where(about).values(resolved_at=tx.now, is_settled=True))
    tx.move(one.return_id for one in found)
    return found


def assign_exceptions(tx: Transaction, subject: str, to: str | None, kind: str | None = None) -> list[Settled]:
    """Have a person, or nobody, take the merchant's open exceptions about a subject, or a return; returns those that were not theirs."""
    about = (exceptions.c.merchant == tx.merchant) & _about(subject, kind) & exceptions.c.assigned_to.is_distinct_from(to)
    return _changed(tx, sa.update(exceptions).where(about).values(assigned_to=to))


def _changed(tx: Transaction, change: sa.Update) -> list[Settled]:
    rows = tx.connection.execute(change.returning(exceptions.c.merchant, exceptions.c.kind, exceptions.c.subject, exceptions.c.return_id))
    return sorted((Settled(*row) for row in rows), key=lambda one: (one.kind, one.subject))


def _about(subject: str, kind: str | None) -> sa.ColumnElement[bool]:
    about = sa.or_(exceptions.c.subject == subject, exceptions.c.return_id == subject) & exceptions.c.resolved_at.is_(None)
    return about & (exceptions.c.kind == kind) if kind is not None else about
