"""What is asked about deliveries beside the outbox, which alone writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from backhaul.domain.deliveries import Owed
from backhaul.domain.words import DeliveryKind, DeliveryState, LoopState
from backhaul.store import bulk
from backhaul.store.indexed import IS_OWED, IS_UNCONFIRMED
from backhaul.store.prepared import Parameter, prepared
from backhaul.store.tables import deliveries, returns, rmas

_CREATE, _CANCEL, _PROCESS = DeliveryKind.RMA_CREATE.value, DeliveryKind.RMA_CANCEL.value, DeliveryKind.LOOP_PROCESS.value


class Sent(NamedTuple):
    """A process of a return that Loop shows open, and when a call for it was last answered or begun."""

    return_id: str
    owed: Owed
    sent_at: datetime | None


def rmas_accepted_since(connection: sa.Connection, merchant: str, since: datetime) -> list[tuple[str, str]]:
    """Warehouse and return id of what warehouses have accepted about RMAs since then, and not confirmed, in order."""
    return sorted({(warehouse, return_id) for warehouse, return_id in _accepted(connection, merchant=merchant, since=since)})


@prepared
def _accepted(merchant: Parameter, since: Parameter) -> sa.Select[Any]:
    return sa.select(deliveries.c.warehouse, deliveries.c.return_id).where(
        deliveries.c.merchant == merchant,
        deliveries.c.state == DeliveryState.ACCEPTED.value,
        deliveries.c.kind.in_([kind.value for kind in DeliveryKind if kind.startswith("rma.")]),
        deliveries.c.accepted_at >= since,
    )


def processes_of_open_returns(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> list[Sent]:
    """The processes of those of these returns that Loop shows open."""
    query = (
        sa.select(deliveries)
        .join(returns, (returns.c.merchant == deliveries.c.merchant) & (returns.c.return_id == deliveries.c.return_id))
        .where(deliveries.c.merchant == merchant, deliveries.c.kind == _PROCESS, returns.c.loop_state == LoopState.OPEN.value)
    )
    return [
        Sent(
            row.return_id,
            Owed(row.delivery_id, DeliveryKind.LOOP_PROCESS, DeliveryState(row.state), None, row.is_uncertain),
            row.accepted_at or row.last_attempt_at,
        )
        for row in bulk.select_by_keys(connection, query, deliveries.c.return_id, return_ids)
    ]


def never_shown(
    connection: sa.Connection, merchant: str, processed_before: datetime, announced_before: datetime
) -> list[tuple[DeliveryKind, str]]:
    """Kind and return id of processes, and of creates without an RMA, that were accepted before then and are not confirmed."""
    found = _never_shown(connection, merchant=merchant, processed_before=processed_before, announced_before=announced_before)
    return [(DeliveryKind(kind), return_id) for kind, return_id in found]


@prepared
def _never_shown(merchant: Parameter, processed_before: Parameter, announced_before: Parameter) -> sa.Select[Any]:
    late_process = (deliveries.c.kind == _PROCESS) & (deliveries.c.accepted_at < processed_before)
    late_rma = (deliveries.c.kind == _CREATE) & (deliveries.c.accepted_at < announced_before) & rmas.c.rma_key.is_(None)
    return (
        sa.select(deliveries.c.kind, deliveries.c.return_id)
        .outerjoin(rmas, (rmas.c.merchant == deliveries.c.merchant) & (rmas.c.rma_key == deliveries.c.return_id))
        .where(deliveries.c.merchant == merchant, IS_UNCONFIRMED.of(deliveries), sa.or_(late_process, late_rma))
    )


def announced_before(connection: sa.Connection, merchant: str, warehouse: str, return_ids: Sequence[str], before: datetime) -> set[str]:
    """Those of these returns whose RMA the warehouse accepted before then, and that we did not withdraw since."""
    accepted = deliveries.c.state.in_([DeliveryState.ACCEPTED.value, DeliveryState.CONFIRMED.value])
    long_ago = sa.or_(deliveries.c.kind == _CANCEL, deliveries.c.accepted_at < before)
    query = sa.select(deliveries.c.return_id, deliveries.c.kind).where(
        *(deliveries.c.merchant == merchant, deliveries.c.warehouse == warehouse, accepted),
        *(deliveries.c.kind.in_([_CREATE, _CANCEL]), long_ago),
    )
    found: dict[str, set[str]] = {_CREATE: set(), _CANCEL: set()}
    for row in bulk.select_by_keys(connection, query, deliveries.c.return_id, return_ids):
        found[row.kind].add(row.return_id)
    return found[_CREATE] - found[_CANCEL]


def owed_by_state(connection: sa.Connection) -> dict[tuple[str, str, str], int]:
    """How many deliveries are not through, by merchant, kind and state."""
    keys = (deliveries.c.merchant, deliveries.c.kind, deliveries.c.state)
    query = sa.select(*keys, sa.func.count()).where(IS_OWED.of(deliveries)).group_by(*keys)
    return {(merchant, kind, state): number for merchant, kind, state, number in connection.execute(query)}
