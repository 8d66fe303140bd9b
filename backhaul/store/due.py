"""What of the outbox is due, when the next falls due, and what hangs. Nothing here writes a state: that is outbox.py alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from backhaul.domain import deliveries as domain
from backhaul.domain.words import ALL_VENDORS, DeliveryKind, DeliveryState
from backhaul.store.indexed import IS_UNSENT
from backhaul.store.prepared import Parameter, Prepared, prepared
from backhaul.store.tables import deliveries, pauses, quarantine
from backhaul.store.transaction import Transaction
from backhaul.store.types import Time

_SENDING, _PENDING = DeliveryState.SENDING.value, DeliveryState.PENDING.value
_THROUGH = [state.value for state in domain.THROUGH]
_OVER = [state.value for state in domain.OVER]
_DISPENSABLE = [kind.value for kind in domain.DISPENSABLE]
# Every delivery's; a bound on the second column of `ix_deliveries_open` is what makes SQLite choose it without statistics.
_HAS_A_TURN = deliveries.c.next_attempt_at > datetime(1970, 1, 1, tzinfo=UTC)


def due_together(tx: Transaction, kinds: Sequence[DeliveryKind], warehouse: str | None, limit: int) -> list[Any]:
    """The rows of up to `limit` deliveries that one call, or one look-up, could take now: of one kind and warehouse, certain or uncertain.

    Due is: its time has come, nothing holds it, no person has paused its vendor, what it waits for is through, nobody has its lease, and no
    version of its return is in quarantine. Rows of other workers are passed over.
    """
    mine = {"merchant": tx.merchant, "now": tx.now}
    anywhere = _due(tuple(kind.value for kind in kinds), warehouse is not None)
    first = anywhere(tx.connection, **mine, warehouse=warehouse, most=1).one_or_none()
    if first is None:
        return []
    found = _due((first.kind,), True)(tx.connection, **mine, warehouse=first.warehouse, most=limit).all() if limit > 1 else [first]
    return [row for row in found if must_look_up(row) == must_look_up(first)]


@cache
def _due(kinds: tuple[str, ...], is_of_one: bool) -> Prepared:
    @prepared
    def due(merchant: Parameter, now: Parameter, warehouse: Parameter, most: Parameter) -> sa.Select[Any]:
        free = sa.or_(deliveries.c.state == _PENDING, sa.and_(deliveries.c.state == _SENDING, deliveries.c.lease_expires_at < now))
        where = [deliveries.c.merchant == merchant, deliveries.c.kind.in_(kinds), free]
        if is_of_one:
            where.append(deliveries.c.warehouse == warehouse)
        waited = deliveries.alias("waited")
        return (
            sa.select(deliveries)
            .outerjoin(waited, waited.c.delivery_id == deliveries.c.waits_for)
            .where(*where, deliveries.c.held_by.is_(None), deliveries.c.next_attempt_at <= now, IS_UNSENT.of(deliveries), _is_clear(waited))
            .where(deliveries.c.return_id.not_in(_in_quarantine(merchant)), _is_let(merchant))
            .order_by(deliveries.c.delivery_id)
            .limit(most)
            .with_for_update(of=deliveries, skip_locked=True)
        )

    return due


def must_look_up(row: Any) -> bool:
    return bool(row.is_uncertain) or row.state == _SENDING


def _is_clear(waited: sa.FromClause) -> sa.ColumnElement[bool]:
    """What a delivery waits for is through. A note or an update may also have failed: a flag, or a newer update, does not depend on it."""
    is_over = sa.and_(waited.c.kind.in_(_DISPENSABLE), waited.c.state.in_(_OVER))
    return sa.or_(deliveries.c.waits_for.is_(None), waited.c.state.in_(_THROUGH), is_over)


def upcoming(connection: sa.Connection, merchant: str, now: datetime) -> dict[tuple[DeliveryKind, str], datetime]:
    """When the next delivery of each kind and warehouse falls due, of those that wait only for their time or were left by a dead worker."""
    found: dict[tuple[DeliveryKind, str], datetime] = {}
    for kind, warehouse, at in _upcoming(connection, merchant=merchant, now=now):
        key = DeliveryKind(kind), warehouse
        found[key] = min(found.get(key, at), at)
    return found


@prepared
def _upcoming(merchant: Parameter, now: Parameter) -> sa.Select[Any]:
    waited = deliveries.alias("waited")
    due_at = sa.case((deliveries.c.state == _SENDING, deliveries.c.lease_expires_at), else_=deliveries.c.next_attempt_at)
    return (
        sa.select(deliveries.c.kind, deliveries.c.warehouse, sa.type_coerce(due_at, Time()).label("due_at"))
        .outerjoin(waited, waited.c.delivery_id == deliveries.c.waits_for)
        .where(deliveries.c.merchant == merchant, deliveries.c.held_by.is_(None), IS_UNSENT.of(deliveries), _is_clear(waited))
        .where(_HAS_A_TURN, sa.or_(deliveries.c.state == _PENDING, deliveries.c.lease_expires_at < now))
        .where(deliveries.c.return_id.not_in(_in_quarantine(merchant)), _is_let(merchant))
        .order_by(deliveries.c.next_attempt_at)  # SQLite, once it has counted its rows, takes no other hint at the index of what is unsent
    )


def _in_quarantine(merchant: Parameter) -> sa.Select[Any]:
    """The returns that have a version in quarantine: nothing is sent on what may be wrong."""
    return sa.select(quarantine.c.record_key).where(
        quarantine.c.merchant == merchant, quarantine.c.source == "loop", quarantine.c.released_at.is_(None)
    )


_VENDOR = sa.case((deliveries.c.kind.in_([kind.value for kind in domain.TOLD_TO_LOOP]), "loop"), else_=deliveries.c.warehouse)


def goes_to(vendors: Sequence[str]) -> sa.ColumnElement[bool]:
    """A delivery goes to one of these vendors; `*` is all of them."""
    return sa.true() if ALL_VENDORS in vendors else _VENDOR.in_(vendors)


def _is_let(merchant: Parameter) -> sa.ColumnElement[bool]:
    """No person has stopped what goes to the delivery's vendor."""
    return sa.not_(sa.exists().where(pauses.c.merchant == merchant, pauses.c.vendor.in_([ALL_VENDORS, _VENDOR])))


def paused(connection: sa.Connection, merchant: str) -> int:
    """How many deliveries wait because a person has paused their vendor."""
    return int(_paused(connection, merchant=merchant).scalar_one())


@prepared
def _paused(merchant: Parameter) -> sa.Select[Any]:
    owed = sa.and_(deliveries.c.merchant == merchant, IS_UNSENT.of(deliveries), _HAS_A_TURN)
    return sa.select(sa.func.count()).select_from(deliveries).where(owed, sa.not_(_is_let(merchant)))


def stuck(connection: sa.Connection, merchant: str, since: datetime) -> list[Any]:
    """Deliveries owed since before `since` that nothing holds or pauses and that wait for no other, with their last message."""
    return list(_stuck(connection, merchant=merchant, since=since))


@prepared
def _stuck(merchant: Parameter, since: Parameter) -> sa.Select[Any]:
    waited = deliveries.alias("waited")
    clear_since = sa.func.coalesce(waited.c.accepted_at, deliveries.c.owed_since, type_=Time())
    return (
        sa.select(deliveries.c.kind, deliveries.c.return_id, deliveries.c.attempts, deliveries.c.message, deliveries.c.owed_since)
        .outerjoin(waited, waited.c.delivery_id == deliveries.c.waits_for)
        .where(deliveries.c.merchant == merchant, IS_UNSENT.of(deliveries), deliveries.c.held_by.is_(None), _is_clear(waited))
        .where(_HAS_A_TURN, deliveries.c.owed_since < since, clear_since < since, _is_let(merchant))
    )


def blocked(connection: sa.Connection, merchant: str) -> list[Any]:
    """Deliveries that wait for one that is over and will not come through: kind, return, and the other's kind and state."""
    return list(_blocked(connection, merchant=merchant))


@prepared
def _blocked(merchant: Parameter) -> sa.Select[Any]:
    waited = deliveries.alias("waited")
    return (
        sa.select(deliveries.c.kind, deliveries.c.return_id, waited.c.kind.label("waits_for"), waited.c.state.label("because"))
        .join(waited, waited.c.delivery_id == deliveries.c.waits_for)
        .where(deliveries.c.merchant == merchant, IS_UNSENT.of(deliveries), _HAS_A_TURN)
        .where(waited.c.state.in_(_OVER), sa.not_(_is_clear(waited)))
    )
