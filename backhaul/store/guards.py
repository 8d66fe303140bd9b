"""What guards need of the store: what went out lately, what is about to, and the mark of what they hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from backhaul.domain import deliveries as domain
from backhaul.domain.guards import DAY, HOUR, Beyond, Limits, Sent, ToSend
from backhaul.domain.words import DeliveryKind, DeliveryState, ExceptionKind, Guard
from backhaul.store import bulk
from backhaul.store.exceptions import replace_open
from backhaul.store.indexed import IS_BEGUN, IS_CURRENT, IS_HELD_BACK
from backhaul.store.outbox import move
from backhaul.store.prepared import Parameter, prepared
from backhaul.store.tables import decisions, deliveries, returns
from backhaul.store.transaction import Transaction

_PROCESS, _FLAG, _CLOSE = DeliveryKind.LOOP_PROCESS.value, DeliveryKind.LOOP_FLAG.value, DeliveryKind.RMA_CLOSE.value
STEPS = (DeliveryKind.RMA_CLOSE, *domain.TOLD_TO_LOOP)  # what a process or a flag owes
_STEPS = [kind.value for kind in STEPS]
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
# Under way, through, or of an outcome that nobody knows: it may have had its effect.
_MAY_BE_DONE = sa.or_(
    deliveries.c.state.in_([state.value for state in (DeliveryState.SENDING, *domain.THROUGH, DeliveryState.FAILED)]),
    sa.and_(deliveries.c.state == DeliveryState.PENDING.value, deliveries.c.is_uncertain),
)


def to_send(tx: Transaction, return_ids: Sequence[str]) -> dict[str, ToSend]:
    """The process or flag that these returns owe and that guards may hold, by return id: nothing was done for it, and no person let it go.

    A release holds for the decision that stood when it was given.
    """
    whose = (returns.c.merchant == deliveries.c.merchant) & (returns.c.return_id == deliveries.c.return_id)
    taken = (decisions.c.merchant == deliveries.c.merchant) & (decisions.c.return_id == deliveries.c.return_id) & IS_CURRENT.of(decisions)
    is_released = sa.and_(deliveries.c.released_at.is_not(None), deliveries.c.released_at >= decisions.c.assessed_at)
    query = (
        sa.select(deliveries.c.return_id, deliveries.c.kind, returns.c.return_total, returns.c.currency)
        .join(returns, whose)
        .outerjoin(decisions, taken)
        .where(deliveries.c.merchant == tx.merchant, deliveries.c.kind.in_([_PROCESS, _FLAG]), deliveries.c.held_by.is_(None))
        .where(deliveries.c.state == DeliveryState.PENDING.value, sa.not_(deliveries.c.is_uncertain))
        .where(sa.not_(sa.func.coalesce(is_released, sa.false())))
        .order_by(deliveries.c.delivery_id)
    )
    rows = bulk.select_by_keys(tx.connection, query, deliveries.c.return_id, return_ids)
    return {row.return_id: ToSend(DeliveryKind(row.kind), row.return_total, row.currency) for row in rows}


def sent_beside(tx: Transaction, limits: Limits, without: Collection[str]) -> Sent:
    """What went out lately, but for these returns. A process whose warehouse closed the return for it counts from that close on."""
    began = _begun(tx, tx.now - HOUR, [_PROCESS, _CLOSE]) if limits.processes_per_hour is not None or limits.value_per_hour else {}
    amounts = [amount for return_id, amount in began.items() if return_id not in without]
    value: dict[str, Decimal] = {}
    for total, currency in amounts:
        if total is not None and currency is not None:
            value[currency] = value.get(currency, Decimal(0)) + total
    flags, both = _of_a_day(tx, without) if limits.flag_share_per_day is not None else (0, 0)
    return Sent(len(amounts), value, _ever(tx, limits.hold_first), flags, both)


def _begun(tx: Transaction, since: datetime, kinds: Sequence[str]) -> dict[str, tuple[Decimal | None, str | None]]:
    """Value and currency of the returns that are decided `process` and of which a step was begun since then."""
    process = deliveries.alias("process")
    query = (
        sa.select(deliveries.c.return_id, returns.c.return_total, returns.c.currency)
        .join(returns, (returns.c.merchant == deliveries.c.merchant) & (returns.c.return_id == deliveries.c.return_id))
        .join(process, (process.c.merchant == deliveries.c.merchant) & (process.c.return_id == deliveries.c.return_id))
        .where(*_lately(tx, since, kinds), process.c.kind == _PROCESS)
        .where(process.c.state.not_in([DeliveryState.SUPERSEDED.value, DeliveryState.SHADOW.value]))
    )
    return {row.return_id: (row.return_total, row.currency) for row in tx.connection.execute(query)}


def _lately(tx: Transaction, since: datetime, kinds: Sequence[str]) -> tuple[Any, ...]:
    when = (deliveries.c.merchant == tx.merchant, deliveries.c.kind.in_(kinds), deliveries.c.last_attempt_at > since)
    return (*when, IS_BEGUN.of(deliveries), _MAY_BE_DONE)


def _ever(tx: Transaction, enough: int) -> int:
    """How many processes were ever sent, as far as that matters."""
    if not enough:
        return 0
    sent = sa.select(deliveries.c.delivery_id).where(*_lately(tx, _EVER, [_PROCESS]))
    return int(tx.connection.execute(sa.select(sa.func.count()).select_from(sent.limit(enough).subquery())).scalar_one())


def _of_a_day(tx: Transaction, without: Collection[str]) -> tuple[int, int]:
    """Flags that were sent, or that the guard of their share holds, within a day; and those with the processes that were sent."""
    query = sa.select(deliveries.c.kind, deliveries.c.return_id).where(*_lately(tx, tx.now - DAY, [_PROCESS, _FLAG]))
    held = sa.select(deliveries.c.kind, deliveries.c.return_id).where(
        deliveries.c.merchant == tx.merchant,
        IS_HELD_BACK.of(deliveries),
        deliveries.c.held_by == Guard.FLAG_SHARE_PER_DAY.value,
        deliveries.c.kind == _FLAG,
        deliveries.c.owed_since > tx.now - DAY,
    )
    kinds = [kind for kind, return_id in (*tx.connection.execute(query), *tx.connection.execute(held)) if return_id not in without]
    return kinds.count(_FLAG), len(kinds)


def hold(tx: Transaction, beyond: dict[str, Beyond]) -> None:
    """Hold all that the decisions of these returns owe and of which nothing was done, each with its guard's words."""
    for return_id, one in beyond.items():
        query = sa.select(deliveries.c.delivery_id).where(
            deliveries.c.merchant == tx.merchant, deliveries.c.return_id == return_id, deliveries.c.kind.in_(_STEPS)
        )
        is_undone = (deliveries.c.state == DeliveryState.PENDING.value) & sa.not_(deliveries.c.is_uncertain)
        ids = list(tx.connection.execute(query).scalars())
        move(tx, ids, domain.AMEND, {"held_by": one.guard.value, "message": one.why}, only=is_undone & deliveries.c.held_by.is_(None))


def note_guards(tx: Transaction) -> None:
    """Keep one open exception for each guard that holds something, and end those of guards that hold nothing any more."""
    held: dict[str, list[str]] = {}
    for guard, message in _held(tx.connection, merchant=tx.merchant):
        held.setdefault(guard, []).append(message or "")
    found: dict[str, tuple[str | None, str]] = {
        guard: (None, f"{guard} holds {len(said)} return{'s' if len(said) > 1 else ''}; of the latest: {said[-1]}")
        for guard, said in held.items()
    }
    replace_open(tx, ExceptionKind.GUARD_HOLDS, found)


@prepared
def _held(merchant: Parameter) -> sa.Select[Any]:
    return (
        sa.select(deliveries.c.held_by, deliveries.c.message)
        .where(deliveries.c.merchant == merchant, IS_HELD_BACK.of(deliveries), deliveries.c.kind.in_([_PROCESS, _FLAG]))
        .where(deliveries.c.held_by.in_([guard.value for guard in Guard]))
        .order_by(deliveries.c.delivery_id)
    )
