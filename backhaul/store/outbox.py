"""The outbox: every write we owe a vendor, from intent to confirmation.

A delivery is written in the transaction that decides it, claimed with a lease before its call, and settled after it. A lease that runs out
means that we died during the call: the delivery is claimed again as uncertain, and looked up before anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from backhaul.domain.backoff import LEASE
from backhaul.domain.words import DeliveryKind, DeliveryState
from backhaul.store.processes import is_gone
from backhaul.store.tables import IS_SENDING, IS_UNSENT, deliveries, delivery_attempts
from backhaul.store.types import Time

_THROUGH = (DeliveryState.ACCEPTED, DeliveryState.CONFIRMED)
_DISPENSABLE = (DeliveryKind.LOOP_NOTE.value, DeliveryKind.RMA_UPDATE.value)
_OVER = (*_THROUGH, DeliveryState.REFUSED, DeliveryState.DEAD, DeliveryState.SUPERSEDED, DeliveryState.FAILED)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed delivery. `attempts` counts those before this one; `last_attempt_at` is the newest of them."""

    delivery_id: int
    merchant: str
    kind: DeliveryKind
    return_id: str
    warehouse: str
    payload: str | None
    attempts: int
    is_uncertain: bool
    last_attempt_at: datetime | None
    owner: str


def claim(
    connection: sa.Connection,
    merchant: str,
    owner: str,
    now: datetime,
    limit: int = 30,
    kinds: Sequence[DeliveryKind] = tuple(DeliveryKind),
) -> list[Delivery]:
    """Take up to `limit` deliveries of one kind and warehouse that are due, in the caller's transaction.

    Due is: its time has come, what it waits for is through (a note also when it was refused), and nobody holds its lease.
    """
    waited = deliveries.alias("waited")
    free = sa.or_(
        deliveries.c.state == DeliveryState.PENDING.value,
        sa.and_(deliveries.c.state == DeliveryState.SENDING.value, deliveries.c.lease_expires_at < now),
    )
    due = (
        sa.select(deliveries)
        .outerjoin(waited, waited.c.delivery_id == deliveries.c.waits_for)
        .where(deliveries.c.merchant == merchant, deliveries.c.kind.in_([kind.value for kind in kinds]), free, _is_clear(waited))
        .where(deliveries.c.next_attempt_at <= now, IS_UNSENT.of(deliveries))
        .order_by(deliveries.c.delivery_id)
        .with_for_update(of=deliveries, skip_locked=True)
    )
    first = connection.execute(due.limit(1)).one_or_none()
    if first is None:
        return []
    of_one_call = due.where(deliveries.c.kind == first.kind, deliveries.c.warehouse == first.warehouse)
    together = connection.execute(of_one_call.limit(limit)).all()
    crashed = {row.delivery_id for row in together if _was_begun(row)}
    for row in together:
        if row.delivery_id in crashed:
            _write_attempt(
                connection, row, "crashed", None, "the program ended during the call", row.last_attempt_at or now, now, row.run_id
            )
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.delivery_id.in_([row.delivery_id for row in together]))
        .values(
            is_uncertain=sa.or_(deliveries.c.is_uncertain, deliveries.c.delivery_id.in_(crashed)),
            state=DeliveryState.SENDING.value,
            lease_owner=owner,
            lease_expires_at=now + LEASE,
        )
    )
    return [
        Delivery(
            row.delivery_id,
            row.merchant,
            DeliveryKind(row.kind),
            row.return_id,
            row.warehouse,
            row.payload,
            row.attempts,
            row.is_uncertain or row.delivery_id in crashed,
            row.last_attempt_at,
            owner,
        )
        for row in together
    ]


def _was_begun(row: Any) -> bool:
    """Whether a call may have been made under a lease that ran out; `begin_attempts` notes it, and renews the lease, before each call."""
    is_left_over = row.state == DeliveryState.SENDING.value
    return is_left_over and row.last_attempt_at is not None and row.last_attempt_at + LEASE >= row.lease_expires_at


def _is_clear(waited: sa.FromClause) -> sa.ColumnElement[bool]:
    """What a delivery waits for is through. A note or an update may also have failed: a flag, or a newer update, does not depend on it."""
    is_over = sa.and_(waited.c.kind.in_(_DISPENSABLE), waited.c.state.in_([state.value for state in _OVER]))
    return sa.or_(deliveries.c.waits_for.is_(None), waited.c.state.in_([state.value for state in _THROUGH]), is_over)


def next_due(connection: sa.Connection, merchant: str) -> datetime | None:
    """When the next delivery that waits only for its time falls due; None when there is none."""
    waited = deliveries.alias("waited")
    query = (
        sa.select(sa.func.min(deliveries.c.next_attempt_at, type_=Time()))
        .outerjoin(waited, waited.c.delivery_id == deliveries.c.waits_for)
        .where(
            deliveries.c.merchant == merchant,
            deliveries.c.state == DeliveryState.PENDING.value,
            IS_UNSENT.of(deliveries),
            _is_clear(waited),
        )
    )
    return connection.execute(query).scalar()


def expire_the_dead(connection: sa.Connection, merchant: str, now: datetime) -> None:
    """End the leases of workers of this machine that are gone, so that what they held is taken up now and not when the lease runs out."""
    sending = sa.and_(deliveries.c.merchant == merchant, IS_SENDING.of(deliveries))
    owners = connection.execute(
        sa.select(deliveries.c.lease_owner).where(sending, deliveries.c.lease_expires_at >= now).distinct()
    ).scalars()
    gone = [owner for owner in owners if owner and is_gone(owner.rpartition(":")[0])]
    if gone:
        held = sending & deliveries.c.lease_owner.in_(gone)
        connection.execute(sa.update(deliveries).where(held).values(lease_expires_at=now - timedelta(microseconds=1)))


def take_back(connection: sa.Connection, merchant: str, now: datetime) -> list[str]:
    """Make pending again what a worker that is gone had claimed and not begun, so that news may still change or drop it; returns whose."""
    expire_the_dead(connection, merchant, now)
    left_over = sa.and_(deliveries.c.merchant == merchant, IS_SENDING.of(deliveries))
    rows = connection.execute(sa.select(deliveries).where(left_over, deliveries.c.lease_expires_at < now)).all()
    unbegun = [row for row in rows if not _was_begun(row)]
    if unbegun:
        values = {"state": DeliveryState.PENDING.value, "lease_owner": None, "lease_expires_at": None}
        which = left_over & deliveries.c.delivery_id.in_([row.delivery_id for row in unbegun])
        connection.execute(sa.update(deliveries).where(which).values(values))
    return [row.return_id for row in unbegun]


def begin_attempts(connection: sa.Connection, delivery_ids: Sequence[int], owner: str, now: datetime) -> set[int]:
    """Note that a call is about to be made, and hold the lease for it. Returns those that are still ours to send."""
    held = (deliveries.c.delivery_id.in_(delivery_ids)) & (deliveries.c.lease_owner == owner)
    values = {"attempts": deliveries.c.attempts + 1, "last_attempt_at": now, "lease_expires_at": now + LEASE}
    return set(connection.execute(sa.update(deliveries).where(held).values(values).returning(deliveries.c.delivery_id)).scalars())


def settle(
    connection: sa.Connection,
    delivery: Delivery,
    state: DeliveryState,
    outcome: str,
    *,
    started_at: datetime,
    now: datetime,
    run_id: str,
    code: str | None = None,
    message: str | None = None,
    is_uncertain: bool = False,
    next_attempt_at: datetime | None = None,
) -> None:
    """Write what came of an attempt, and its row in `delivery_attempts`. A delivery whose lease was lost in between keeps its state."""
    values: dict[str, Any] = {
        "state": state.value,
        "is_uncertain": is_uncertain,
        "code": code,
        "message": message,
        "lease_owner": None,
        "lease_expires_at": None,
    }
    if next_attempt_at is not None:
        values["next_attempt_at"] = next_attempt_at
    if state in _THROUGH:
        values["accepted_at"] = sa.func.coalesce(deliveries.c.accepted_at, sa.literal(now, Time()))
    if state is DeliveryState.CONFIRMED:
        values["confirmed_at"] = now
    held = (deliveries.c.delivery_id == delivery.delivery_id) & (deliveries.c.lease_owner == delivery.owner)
    connection.execute(sa.update(deliveries).where(held).values(values))
    row = connection.execute(sa.select(deliveries).where(deliveries.c.delivery_id == delivery.delivery_id)).one()
    _write_attempt(connection, row, outcome, code, message, started_at, now, run_id)


def count_attempts(connection: sa.Connection, delivery_ids: Sequence[int]) -> None:
    """Count a look-up that failed like an attempt, so that one that can never succeed comes to an end."""
    which = deliveries.c.delivery_id.in_(delivery_ids)
    connection.execute(sa.update(deliveries).where(which).values(attempts=deliveries.c.attempts + 1))


def note_attempt(
    connection: sa.Connection, delivery: Delivery, outcome: str, message: str, started_at: datetime, now: datetime, run_id: str
) -> None:
    """Write the row of an attempt after which the delivery stands as it did."""
    row = connection.execute(sa.select(deliveries).where(deliveries.c.delivery_id == delivery.delivery_id)).one()
    _write_attempt(connection, row, outcome, None, message, started_at, now, run_id)


def release_lease(connection: sa.Connection, delivery_ids: Sequence[int], next_attempt_at: datetime) -> None:
    """Give deliveries back untried: nothing was sent, and none of their attempts is used up."""
    values = {"state": DeliveryState.PENDING.value, "lease_owner": None, "lease_expires_at": None, "next_attempt_at": next_attempt_at}
    connection.execute(sa.update(deliveries).where(deliveries.c.delivery_id.in_(delivery_ids)).values(values))


def _write_attempt(
    connection: sa.Connection,
    row: Any,
    outcome: str,
    code: str | None,
    message: str | None,
    started_at: datetime,
    now: datetime,
    run_id: str,
) -> None:
    connection.execute(
        sa.insert(delivery_attempts).values(
            merchant=row.merchant,
            delivery_id=row.delivery_id,
            attempt_no=row.attempts,
            outcome=outcome,
            code=code,
            message=message,
            started_at=started_at,
            finished_at=now,
            run_id=run_id,
        )
    )


def enqueue(
    connection: sa.Connection,
    merchant: str,
    kind: DeliveryKind,
    return_id: str,
    effect_key: str,
    *,
    warehouse: str,
    payload: str | None,
    waits_for: int | None,
    state: DeliveryState,
    run_id: str,
    now: datetime,
) -> int:
    """Owe a vendor a write. The same effect is owed once, ever: the row that is there already is returned."""
    there = sa.select(deliveries.c.delivery_id).where(deliveries.c.merchant == merchant, deliveries.c.effect_key == effect_key)
    found = connection.execute(there).scalar()
    if found is not None:
        return int(found)
    values: dict[str, Any] = {
        "merchant": merchant,
        "kind": kind.value,
        "return_id": return_id,
        "effect_key": effect_key,
        "state": state.value,
    }
    values |= {"warehouse": warehouse, "payload": payload, "waits_for": waits_for, "attempts": 0, "is_uncertain": False}
    values |= {"next_attempt_at": now, "created_at": now, "run_id": run_id}
    return int(connection.execute(sa.insert(deliveries).values(values).returning(deliveries.c.delivery_id)).scalar_one())


_RETRIABLE = (DeliveryState.REFUSED, DeliveryState.FAILED, DeliveryState.DEAD)


def retry(connection: sa.Connection, merchant: str, return_id: str, now: datetime) -> list[DeliveryKind]:
    """Let an operator try again what was refused, failed or dead for a return; returns what that was.

    What may have been finished by hand since is looked up at the vendor before it is sent; a refused RMA is known not to be there.
    """
    mine = (deliveries.c.merchant == merchant) & (deliveries.c.return_id == return_id)
    given_up = mine & deliveries.c.state.in_([state.value for state in _RETRIABLE])
    is_known = sa.and_(deliveries.c.kind.like("rma.%"), deliveries.c.state == DeliveryState.REFUSED.value)
    values: dict[str, Any] = {
        "state": DeliveryState.PENDING.value,
        "attempts": 0,
        "is_uncertain": sa.not_(is_known),
        "next_attempt_at": now,
        # What was refused or failed had its answer, so that no attempt of it is under way.
        "last_attempt_at": sa.case((deliveries.c.state == DeliveryState.DEAD.value, deliveries.c.last_attempt_at)),
    }
    query = sa.update(deliveries).where(given_up).values(values).returning(deliveries.c.kind)
    return [DeliveryKind(kind) for kind in connection.execute(query).scalars()]


def set_state(connection: sa.Connection, delivery_ids: Sequence[int], state: DeliveryState, message: str | None, now: datetime) -> None:
    """Settle deliveries by what a vendor's news proves, without a call of ours."""
    values: dict[str, Any] = {
        "state": state.value,
        "message": message,
        "is_uncertain": False,
        "lease_owner": None,
        "lease_expires_at": None,
    }
    if state is DeliveryState.CONFIRMED:
        values |= {"confirmed_at": now, "accepted_at": sa.func.coalesce(deliveries.c.accepted_at, sa.literal(now, Time()))}
    connection.execute(sa.update(deliveries).where(deliveries.c.delivery_id.in_(delivery_ids)).values(values))


def unconfirmed_since(connection: sa.Connection, merchant: str, kinds: Sequence[DeliveryKind]) -> datetime | None:
    """The earliest moment at which a delivery that is accepted but not confirmed was accepted."""
    query = sa.select(deliveries.c.accepted_at).where(
        deliveries.c.merchant == merchant,
        deliveries.c.state == DeliveryState.ACCEPTED.value,
        deliveries.c.kind.in_([kind.value for kind in kinds]),
    )
    return connection.execute(query.order_by(deliveries.c.accepted_at).limit(1)).scalar()
