"""The outbox: every write we owe a vendor, from intent to confirmation. The only writer of deliveries.

A delivery is written in the transaction that decides it, claimed with a lease in the one that checks it once more, and settled after its
call. Each change is a `Transition` (domain/deliveries.py), and is made where the delivery stands in one of its sources, by the worker
that holds its lease where that is `sending`: `move` is the fence. A lease that runs out means that we died during the call: the delivery
is claimed again as uncertain, and looked up before anything is sent. What a person does to deliveries is in by_hand.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from backhaul.domain import deliveries as domain
from backhaul.domain.backoff import LEASE
from backhaul.domain.deliveries import Transition
from backhaul.domain.words import DeliveryKind, DeliveryState
from backhaul.points import reach
from backhaul.store.due import goes_to, must_look_up
from backhaul.store.exceptions import resolve_exception
from backhaul.store.indexed import IS_SENDING, IS_UNSENT
from backhaul.store.prepared import Parameter, prepared
from backhaul.store.processes import is_gone, this_process
from backhaul.store.tables import deliveries, delivery_attempts
from backhaul.store.transaction import Transaction
from backhaul.store.types import Time
from backhaul.store.whereabouts import SEEN_KINDS

_SENDING, _PENDING = DeliveryState.SENDING.value, DeliveryState.PENDING.value
_INSERT = sa.insert(deliveries).returning(deliveries.c.delivery_id)
_INSERT_ATTEMPT = sa.insert(delivery_attempts)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed delivery: ours while `lease` holds. `attempts` counts its calls, this one included once it is begun."""

    delivery_id: int
    merchant: str
    kind: DeliveryKind
    return_id: str
    warehouse: str
    payload: str | None
    attempts: int
    is_uncertain: bool
    last_attempt_at: datetime | None
    effect_key: str
    lease: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a call or a look-up, for its row in `delivery_attempts`."""

    outcome: str
    started_at: datetime
    code: str | None = None
    message: str | None = None


# What is due


def dead_owners(connection: sa.Connection, merchant: str, now: datetime) -> list[str]:
    """Whose leases have not run out though their process, one of this machine, is gone."""
    owners = _lease_owners(connection, merchant=merchant, now=now).scalars()
    return [owner for owner in owners if owner and is_gone(owner.rpartition(":")[0])]


def expire(tx: Transaction, owners: Sequence[str]) -> None:
    """End the leases of those that are gone, so that what they held is taken up now and not when the lease runs out."""
    held = sa.and_(deliveries.c.merchant == tx.merchant, IS_SENDING.of(deliveries), deliveries.c.lease_owner.in_(owners))
    tx.connection.execute(sa.update(deliveries).where(held).values(lease_expires_at=tx.now - timedelta(microseconds=1)))


@prepared
def _lease_owners(merchant: Parameter, now: Parameter) -> sa.Select[Any]:
    sending = sa.and_(deliveries.c.merchant == merchant, IS_SENDING.of(deliveries))
    return sa.select(deliveries.c.lease_owner).where(sending, deliveries.c.lease_expires_at >= now).distinct()


# Between intent and answer


def claim(tx: Transaction, rows: Sequence[Any]) -> list[Delivery]:
    """Take the lease of due deliveries for one call, or for one look-up when they are uncertain; those that moved meanwhile are left out.

    A call is begun here: it counts as an attempt from now on. One whose worker died in its call is uncertain.
    """
    lease = f"{this_process()}:{uuid4().hex[:8]}"
    values: dict[str, Any] = {"lease_owner": lease, "lease_expires_at": tx.now + LEASE}
    died = [row for row in rows if row.state == _SENDING]
    is_call = not any(must_look_up(row) for row in rows)
    if is_call:
        values |= {"attempts": deliveries.c.attempts + 1, "last_attempt_at": tx.now}
    else:
        values["is_uncertain"] = True
    free = sa.and_(
        deliveries.c.held_by.is_(None),
        sa.or_(deliveries.c.state == _PENDING, deliveries.c.lease_expires_at < tx.now),
    )
    taken = {row.delivery_id: row for row in move(tx, [row.delivery_id for row in rows], domain.CLAIM, values, only=free)}
    for row in died:
        if row.delivery_id in taken:
            crashed = Attempt("crashed", row.last_attempt_at or tx.now, message="the program ended during the call")
            write_attempt(tx, row.delivery_id, row.attempts, crashed)
    return [_delivery(taken[row.delivery_id], lease) for row in rows if row.delivery_id in taken]


def begin_alone(tx: Transaction, delivery: Delivery) -> Delivery | None:
    """Begin another call, for one delivery of a call that was turned down as a whole; None when its lease was lost."""
    values = {"attempts": deliveries.c.attempts + 1, "last_attempt_at": tx.now, "lease_expires_at": tx.now + LEASE}
    held = (deliveries.c.delivery_id == delivery.delivery_id) & (deliveries.c.lease_owner == delivery.lease)
    row = tx.connection.execute(sa.update(deliveries).where(held).values(values).returning(deliveries)).one_or_none()
    return _delivery(row, delivery.lease) if row is not None else None


def _delivery(row: Any, lease: str) -> Delivery:
    return Delivery(
        row.delivery_id,
        row.merchant,
        DeliveryKind(row.kind),
        row.return_id,
        row.warehouse,
        row.payload,
        row.attempts,
        row.is_uncertain,
        row.last_attempt_at,
        row.effect_key,
        lease,
    )


def settle(
    tx: Transaction,
    delivery: Delivery,
    transition: Transition,
    attempt: Attempt,
    *,
    is_uncertain: bool = False,
    next_attempt_at: datetime | None = None,
) -> bool:
    """Write what came of an attempt, and its row. False when the lease was lost in between: the delivery then stays as it is now."""
    values: dict[str, Any] = {"is_uncertain": is_uncertain, "code": attempt.code, "message": attempt.message}
    if next_attempt_at is not None:
        values["next_attempt_at"] = next_attempt_at
    moved = move(tx, [delivery.delivery_id], transition, values, lease=delivery.lease)
    write_attempt(tx, delivery.delivery_id, delivery.attempts, attempt)
    return bool(moved)


def give_back(tx: Transaction, delivery: Delivery, next_attempt_at: datetime, attempt: Attempt | None = None) -> None:
    """Give a delivery back as if it had not been tried: its key was not accepted (`attempt` says so), or our own budget is empty."""
    values: dict[str, Any] = {"next_attempt_at": next_attempt_at}
    if not delivery.is_uncertain:  # an uncertain one was only looked up
        values["attempts"] = deliveries.c.attempts - 1
    move(tx, [delivery.delivery_id], domain.TRY_LATER, values, lease=delivery.lease)
    if attempt is not None:
        write_attempt(tx, delivery.delivery_id, delivery.attempts, attempt)


def write_attempt(tx: Transaction, delivery_id: int, attempt_no: int, attempt: Attempt) -> None:
    """Keep the row of an attempt."""
    values = {
        "merchant": tx.merchant,
        "delivery_id": delivery_id,
        "attempt_no": attempt_no,
        "outcome": attempt.outcome,
        "code": attempt.code,
        "message": attempt.message,
        "started_at": attempt.started_at,
        "finished_at": tx.now,
        "run_id": tx.run_id,
    }
    tx.connection.execute(_INSERT_ATTEMPT, values)


# Without a call


def enqueue(
    tx: Transaction,
    kind: DeliveryKind,
    return_id: str,
    effect_key: str,
    *,
    warehouse: str,
    payload: str | None,
    waits_for: int | None,
    state: DeliveryState,
) -> int:
    """Owe a vendor a write. The same effect is owed once, ever: the row that is there already is returned."""
    found = _there(tx.connection, merchant=tx.merchant, effect_key=effect_key).scalar()
    if found is not None:
        return int(found)
    values: dict[str, Any] = {
        "merchant": tx.merchant,
        "kind": kind.value,
        "return_id": return_id,
        "effect_key": effect_key,
        "state": state.value,
    }
    values |= {"warehouse": warehouse, "payload": payload, "waits_for": waits_for, "attempts": 0, "is_uncertain": False}
    values |= {"owed_since": tx.now, "next_attempt_at": tx.now, "created_at": tx.now, "run_id": tx.run_id}
    reach("delivery.enqueued")
    tx.move([return_id])
    return int(tx.connection.execute(_INSERT, values).scalar_one())


@prepared
def _there(merchant: Parameter, effect_key: Parameter) -> sa.Select[Any]:
    return sa.select(deliveries.c.delivery_id).where(deliveries.c.merchant == merchant, deliveries.c.effect_key == effect_key)


def change(tx: Transaction, delivery_id: int, transition: Transition, message: str | None = None) -> bool:
    """Move a delivery by what news proves, or newer facts call for. One that is being sent is left to its worker: False."""
    return bool(move(tx, [delivery_id], transition, {"message": message}, only=deliveries.c.state != _SENDING))


def owe_again(
    tx: Transaction,
    delivery_id: int,
    transition: Transition,
    *,
    payload: str | None,
    held_by: str | None = None,
    message: str | None = None,
) -> bool:
    """Have a delivery of which nothing was done say what is owed now, and be due unless something holds it."""
    values: dict[str, Any] = {"payload": payload, "held_by": held_by, "message": message, "code": None, "next_attempt_at": tx.now}
    values["owed_since"] = tx.now
    return bool(move(tx, [delivery_id], transition, values, only=deliveries.c.state != _SENDING))


def owe_from_now(tx: Transaction, vendors: Sequence[str]) -> None:
    """Count what is owed to these vendors as owed from now on: a person had stopped it until now."""
    unsent = sa.and_(deliveries.c.merchant == tx.merchant, IS_UNSENT.of(deliveries), goes_to(vendors))
    tx.connection.execute(sa.update(deliveries).where(unsent).values(owed_since=tx.now))


def move(
    tx: Transaction,
    delivery_ids: Sequence[int],
    transition: Transition,
    values: dict[str, Any],
    *,
    lease: str | None = None,
    only: sa.ColumnElement[bool] | None = None,
) -> Sequence[Any]:
    """The one statement that writes a delivery's state; returns the rows it moved.

    The fence: the delivery stands in one of the transition's sources, and where a worker settles, that worker's lease is still on it.
    """
    where = [
        deliveries.c.merchant == tx.merchant,
        deliveries.c.delivery_id.in_(delivery_ids),
        deliveries.c.state.in_(sorted(state.value for state in transition.sources)),
    ]
    if lease is not None:
        where += [deliveries.c.state == _SENDING, deliveries.c.lease_owner == lease]
    if only is not None:
        where.append(only)
    wanted: dict[str, Any] = {"state": transition.target.value, "lease_owner": None, "lease_expires_at": None} | values
    if transition.target in domain.THROUGH:
        wanted["accepted_at"] = sa.func.coalesce(deliveries.c.accepted_at, sa.literal(tx.now, Time()))
    if transition.target is DeliveryState.CONFIRMED:
        wanted |= {"confirmed_at": tx.now, "is_uncertain": False}
    moved = tx.connection.execute(sa.update(deliveries).where(*where).values(wanted).returning(deliveries)).all()
    tx.move(row.return_id for row in moved if row.kind in SEEN_KINDS)
    if transition.target in (*domain.THROUGH, DeliveryState.SUPERSEDED):
        for row in moved:
            resolve_exception(tx, None, f"{row.kind}:{row.return_id}")
    if moved:
        reach(f"delivery.{transition.name}")
    return moved
