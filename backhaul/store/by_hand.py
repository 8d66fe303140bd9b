"""What a person may do to deliveries: try again, release or reject what a guard holds, send what was decided in shadow.

Each moves a delivery by a named transition through the outbox's fence, and sends nothing: the next deliver checks it against the newest
facts, as every other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from backhaul.domain import deliveries as domain
from backhaul.domain.deliveries import Transition
from backhaul.domain.words import REJECTED, DeliveryKind, DeliveryState, Guard
from backhaul.store import bulk
from backhaul.store.indexed import IS_HELD_BACK, IS_SHADOW
from backhaul.store.outbox import move
from backhaul.store.tables import deliveries, returns
from backhaul.store.transaction import Transaction

_AT_ONCE = 5_000
_BINDING = [kind.value for kind in domain.BINDING]
_BY_A_GUARD = deliveries.c.held_by.in_([guard.value for guard in Guard])


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A delivery that only a person sends again."""

    merchant: str
    return_id: str
    kind: str
    state: str
    message: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A process or a flag that goes out only if a person says so: held by a guard (`held_by`), or decided in shadow."""

    merchant: str
    return_id: str
    order_name: str | None
    kind: str
    value: Decimal | None
    currency: str | None
    since: datetime
    held_by: str | None
    why: str | None


def given_up(
    connection: sa.Connection, merchant: str, *, return_ids: Sequence[str] | None = None, kinds: Sequence[str] | None = None
) -> list[GivenUp]:
    """The refused, failed and dead deliveries of a merchant, oldest first; of these returns and kinds, where any are named."""
    query = sa.select(deliveries).where(_given_up(merchant, kinds)).order_by(deliveries.c.delivery_id)
    rows = bulk.select_by_keys(connection, query, deliveries.c.return_id, return_ids) if return_ids else connection.execute(query)
    return [GivenUp(row.merchant, row.return_id, row.kind, row.state, row.message) for row in rows]


def _given_up(merchant: str, kinds: Sequence[str] | None) -> sa.ColumnElement[bool]:
    where = (deliveries.c.merchant == merchant) & deliveries.c.state.in_([state.value for state in domain.GIVEN_UP])
    return where & deliveries.c.kind.in_(kinds) if kinds else where


def retry(tx: Transaction, return_id: str, kinds: Sequence[str] | None = None) -> list[DeliveryKind]:
    """Let an operator try again what was refused, failed or dead for a return; returns what that was.

    What may have been finished by hand since is looked up at the vendor before it is sent; a refused RMA is known not to be there.
    """
    query = sa.select(deliveries).where(_given_up(tx.merchant, kinds), deliveries.c.return_id == return_id)
    retried = []
    for row in tx.connection.execute(query.order_by(deliveries.c.delivery_id)).all():
        is_known = row.kind.startswith("rma.") and row.state == DeliveryState.REFUSED.value
        values: dict[str, Any] = {"is_uncertain": not is_known, "accepted_at": None} | _due_now(tx)
        if row.state != DeliveryState.DEAD.value:  # it had its answer, so that no attempt of it is under way
            values["last_attempt_at"] = None
        move(tx, [row.delivery_id], domain.RETRY, values)
        retried.append(DeliveryKind(row.kind))
    return retried


def held(connection: sa.Connection, merchant: str, *, guard: str | None = None, return_ids: Sequence[str] | None = None) -> list[Waiting]:
    """The processes and flags that guards hold, oldest first; of one guard, or of these returns, where any are named."""
    query = _waiting(merchant).where(IS_HELD_BACK.of(deliveries), _BY_A_GUARD if guard is None else deliveries.c.held_by == guard)
    return _listed(connection, query, return_ids)


def held_by_guard(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """How many returns have a process or flag that a guard holds, by merchant and guard."""
    keys = (deliveries.c.merchant, deliveries.c.held_by)
    query = sa.select(*keys, sa.func.count()).where(IS_HELD_BACK.of(deliveries), _BY_A_GUARD, deliveries.c.kind.in_(_BINDING))
    return {(merchant, guard): number for merchant, guard, number in connection.execute(query.group_by(*keys))}


def shadowed(connection: sa.Connection, merchant: str, *, return_ids: Sequence[str] | None = None) -> list[Waiting]:
    """The processes and flags that were decided in shadow and not sent, oldest first; of these returns, where any are named."""
    return _listed(connection, _waiting(merchant).where(IS_SHADOW.of(deliveries)), return_ids)


def _waiting(merchant: str) -> sa.Select[Any]:
    whose = (returns.c.merchant == deliveries.c.merchant) & (returns.c.return_id == deliveries.c.return_id)
    columns = (deliveries.c.merchant, deliveries.c.return_id, returns.c.order_name, deliveries.c.kind, returns.c.return_total)
    return (
        sa.select(*columns, returns.c.currency, deliveries.c.owed_since, deliveries.c.held_by, deliveries.c.message)
        .join(returns, whose)
        .where(deliveries.c.merchant == merchant, deliveries.c.kind.in_(_BINDING))
        .order_by(deliveries.c.delivery_id)
    )


def _listed(connection: sa.Connection, query: sa.Select[Any], return_ids: Sequence[str] | None) -> list[Waiting]:
    if return_ids is None:
        return [Waiting(*row) for row in connection.execute(query)]
    return [Waiting(*row) for row in bulk.select_by_keys(connection, query, deliveries.c.return_id, return_ids)]


def release(tx: Transaction, return_ids: Sequence[str]) -> None:
    """Let go what guards hold of these returns: it is due, and no guard stops it again while its decision stands."""
    values = {"held_by": None, "released_at": tx.now, "message": None} | _due_now(tx)
    _move(tx, _steps(tx, return_ids, IS_HELD_BACK.of(deliveries), _BY_A_GUARD), domain.AMEND, values)


def reject(tx: Transaction, return_ids: Sequence[str], why: str) -> None:
    """Drop what guards hold of these returns, for good: no process or flag of theirs that was rejected is owed again."""
    is_held = (IS_HELD_BACK.of(deliveries), _BY_A_GUARD)
    binding = _steps(tx, return_ids, *is_held, deliveries.c.kind.in_(_BINDING))
    others = _steps(tx, return_ids, *is_held, deliveries.c.kind.not_in(_BINDING))
    _move(tx, binding, domain.SUPERSEDE, {"held_by": REJECTED, "message": why})
    _move(tx, others, domain.SUPERSEDE, {"held_by": None, "message": why})


def send_shadowed(tx: Transaction, return_ids: Sequence[str]) -> None:
    """Owe what was decided in shadow for these returns."""
    _move(tx, _steps(tx, return_ids, IS_SHADOW.of(deliveries)), domain.UNSHELVE, {"message": None} | _due_now(tx))


def _move(tx: Transaction, delivery_ids: Sequence[int], transition: Transition, values: dict[str, Any]) -> None:
    for start in range(0, len(delivery_ids), _AT_ONCE):
        move(tx, delivery_ids[start : start + _AT_ONCE], transition, values)


def _steps(tx: Transaction, return_ids: Sequence[str], *where: sa.ColumnElement[bool] | sa.TextClause) -> list[int]:
    query = sa.select(deliveries.c.delivery_id).where(deliveries.c.merchant == tx.merchant, *where)
    return [row.delivery_id for row in bulk.select_by_keys(tx.connection, query, deliveries.c.return_id, return_ids)]


def _due_now(tx: Transaction) -> dict[str, Any]:
    return {"next_attempt_at": tx.now, "owed_since": tx.now}
