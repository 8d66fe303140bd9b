"""Where each return stands, kept beside the facts that it follows from: the only writer of `whereabouts`.

Whatever writes a return, its RMA, its decision, a delivery or an exception calls `Transaction.move`; `settle_whereabouts` works out what
that comes to when the transaction ends, by `domain/whereabouts.py`, and writes what is new. So a view reads a column where it would have
to look into six tables, and the column cannot be behind: it is written by the transaction that changes what it says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from backhaul.domain import schema
from backhaul.domain.keys import effect_key
from backhaul.domain.whereabouts import STOPPING, Amounts, Call, Known, Stage, awaited_by, stage_of, value_at_risk
from backhaul.domain.words import DecisionKind, DeliveryKind, DeliveryState, LineOutcome, LoopState, RmaStage
from backhaul.store import bulk
from backhaul.store.engine import Store
from backhaul.store.indexed import IS_CURRENT
from backhaul.store.months import mark_months
from backhaul.store.prepared import Parameter, one_of, prepared
from backhaul.store.records import Alone
from backhaul.store.tables import decisions, deliveries, exceptions, matches, receipts, return_lines, returns, rmas, whereabouts
from backhaul.store.transaction import Transaction
from backhaul.store.types import Time

SEEN_KINDS = (DeliveryKind.RMA_CREATE, DeliveryKind.LOOP_FLAG, DeliveryKind.LOOP_PROCESS, DeliveryKind.RMA_UPDATE)
"""The deliveries that whereabouts follow from; of any other, nothing needs to be moved."""

_DELIVERED = "delivered"  # the carrier's word, as Loop passes it on
_AT_ONCE = 5_000
_AT_RISK = [LineOutcome.DAMAGED.value, LineOutcome.MISSING.value, LineOutcome.UNVERIFIABLE.value, LineOutcome.AWAITED.value]
_AMOUNTS = itemgetter(*(schema.RETURN_LINES.columns.index(name) for name in ("price", "discount", "tax")))
_CREATED_AT = schema.RETURNS.columns.index("created_at")
_CURRENCY = schema.RETURNS.columns.index("currency")
_IS_PAID = schema.RETURNS.columns.index("is_paid")
_OUTCOMES = {outcome.value: outcome for outcome in LineOutcome}


class Whereabouts(NamedTuple):
    """Where a return stands and when it came there, as it is stored. Money is in the return's currency."""

    stage: str
    waits_for: str | None
    value_at_risk: Decimal
    delivery_state: str | None
    rma_id: str | None
    rma_status: str | None
    announced_at: datetime | None
    label_at: datetime | None
    delivered_at: datetime | None
    received_at: datetime | None
    told_at: datetime | None
    confirmed_at: datetime | None
    currency: str | None


_COLUMNS = ("merchant", "return_id", *Whereabouts._fields)
_NOTHING_TOLD = (None,) * (Whereabouts._fields.index("currency") - Whereabouts._fields.index("delivery_state"))


class Difference(NamedTuple):
    """A return whose stored whereabouts are not what its facts come to; `stored` is None where nothing is kept of it."""

    merchant: str
    return_id: str
    stored: Whereabouts | None
    true: Whereabouts

    def words(self) -> str:
        """What differs: `stage held, by its facts decided`."""
        if self.stored is None:
            return f"nothing, by its facts {self.true.stage}"
        pairs = zip(Whereabouts._fields, self.stored, self.true, strict=True)
        return "; ".join(f"{name} {kept}, by its facts {true}" for name, kept, true in pairs if kept != true)


def settle_whereabouts(tx: Transaction) -> None:
    """Write where the returns stand that the transaction has moved. The last thing that it does."""
    if tx.moved:
        refresh(tx.connection, tx.merchant, sorted(tx.moved))
        tx.moved.clear()


def keep_history(tx: Transaction, alone: Sequence[Alone]) -> None:
    """Write where history stands that is loaded for the first time, and of which nothing but its own records is known."""
    rows = []
    for record, lines, plan in alone:
        matched = zip(plan.match.lines, lines, strict=True)
        at_risk = value_at_risk(((line.outcome, *_AMOUNTS(told)) for line, told in matched), is_paid=bool(record.row[_IS_PAID]))
        rows.append((tx.merchant, record.return_id, Stage.HISTORY.value, None, at_risk, *_NOTHING_TOLD, record.row[_CURRENCY]))
    bulk.upsert(tx.connection, whereabouts, _COLUMNS, rows, is_new=True)
    mark_months(tx.connection, tx.merchant, {one.record.row[_CREATED_AT] for one in alone})
    tx.moved.difference_update(row[1] for row in rows)


def refresh(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> int:
    """Write where these returns stand, as far as that is new; returns how many it was new of."""
    written = 0
    for start in range(0, len(return_ids), _AT_ONCE):
        some = return_ids[start : start + _AT_ONCE]
        found = list(_differences(connection, merchant, some))
        rows = [(merchant, one.return_id, *one.true) for one in found]
        bulk.upsert(connection, whereabouts, _COLUMNS, rows, is_new=all(one.stored is None for one in found))
        written += len(rows)
        mark_months(connection, merchant, (row.created_at for row in _started.for_keys(connection, some, merchant=merchant)))
    return written


@prepared
def _started(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    return sa.select(returns.c.created_at).where(returns.c.merchant == merchant, one_of(returns.c.return_id, keys))


def fill_missing(connection: sa.Connection) -> int:
    """Write where the returns stand of which nothing is kept, after a migration; returns how many there were."""
    same = (whereabouts.c.merchant == returns.c.merchant) & (whereabouts.c.return_id == returns.c.return_id)
    query = sa.select(returns.c.merchant, returns.c.return_id).outerjoin(whereabouts, same).where(whereabouts.c.return_id.is_(None))
    missing: defaultdict[str, list[str]] = defaultdict(list)
    for merchant, return_id in connection.execute(query):
        missing[merchant].append(return_id)
    return sum(refresh(connection, merchant, sorted(ids)) for merchant, ids in missing.items())


def differences(connection: sa.Connection, merchant: str) -> Iterator[Difference]:
    """Every return of a merchant whose stored whereabouts are not what its facts come to, in id order, `_AT_ONCE` read at a time."""
    after = ""
    while True:
        query = sa.select(returns.c.return_id).where(returns.c.merchant == merchant, returns.c.return_id > after)
        ids = list(connection.execute(query.order_by(returns.c.return_id).limit(_AT_ONCE)).scalars())
        if not ids:
            return
        yield from _differences(connection, merchant, ids)
        after = ids[-1]


def proof(store: Store, merchant: str) -> list[Difference]:
    """The differences of a merchant, at one moment of a store that is in use."""
    with store.read() as connection:
        if not store.is_sqlite:  # where each statement would see another moment
            connection.execution_options(isolation_level="REPEATABLE READ")
        return list(differences(connection, merchant))


def rebuild(store: Store, merchant: str) -> int:
    """Work out anew where a merchant's returns stand; returns of how many something else was kept."""
    with store.write(merchant) as connection:
        ids = connection.execute(sa.select(returns.c.return_id).where(returns.c.merchant == merchant)).scalars()
        return refresh(connection, merchant, sorted(ids))


def _differences(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> Iterator[Difference]:
    heads = list(_heads.for_keys(connection, return_ids, merchant=merchant))
    stopped = {row.return_id for row in _stopped.for_keys(connection, return_ids, merchant=merchant)}
    lines: defaultdict[str, list[Amounts]] = defaultdict(list)
    for return_id, condition, *amounts in _lines.for_keys(connection, return_ids, merchant=merchant):
        lines[return_id].append((_OUTCOMES[condition], *amounts))
    for row in heads:
        known = _known(row, row.return_id in stopped)
        stage = stage_of(known)
        told = row.flag_accepted_at if known.decision is DecisionKind.FLAG else row.process_accepted_at
        true = Whereabouts(
            stage=stage.value,
            waits_for=awaited_by(stage, known),
            value_at_risk=value_at_risk(lines[row.return_id], is_paid=bool(row.is_paid)),
            delivery_state=_delivery_state(known),
            rma_id=row.told_rma_id,
            rma_status=row.told_rma_status,
            announced_at=row.create_accepted_at,
            label_at=row.first_update_at,
            delivered_at=row.told_delivered_at,
            received_at=row.told_received_at,
            told_at=told,
            confirmed_at=row.process_confirmed_at,
            currency=row.return_currency,
        )
        stored = None if row.stage is None else Whereabouts(*(row._mapping[name] for name in Whereabouts._fields))
        if stored != true:
            yield Difference(merchant, row.return_id, stored, true)


@prepared
def _heads(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    """What is known of a return, and what is stored of its whereabouts, but for exceptions and money."""
    create, flag, process = (deliveries.alias(kind.name.lower()) for kind in SEEN_KINDS[:3])
    parcel = (returns.c.label_status == _DELIVERED) | receipts.c.delivered_at.is_not(None)
    counted = decisions.c.available_units + decisions.c.damaged_units + decisions.c.pending_units
    query = (
        sa.select(returns.c.return_id, returns.c.loop_state, returns.c.is_history, returns.c.is_paid)
        .add_columns(returns.c.currency.label("return_currency"))
        .add_columns(rmas.c.rma_key, rmas.c.rma_stage, rmas.c.rma_id.label("told_rma_id"), rmas.c.rma_status.label("told_rma_status"))
        .add_columns(receipts.c.delivered_at.label("told_delivered_at"), receipts.c.received_at.label("told_received_at"))
        .add_columns(decisions.c.decision, decisions.c.reasons, sa.func.coalesce(counted, 0).label("counted_units"))
        .add_columns(sa.func.coalesce(parcel, sa.false()).label("is_delivered"), _first_update().label("first_update_at"))
        .add_columns(create.c.state.label("create_state"), create.c.held_by.label("create_held_by"))
        .add_columns(flag.c.state.label("flag_state"), flag.c.held_by.label("flag_held_by"))
        .add_columns(process.c.state.label("process_state"), process.c.held_by.label("process_held_by"))
        .add_columns(create.c.accepted_at.label("create_accepted_at"), flag.c.accepted_at.label("flag_accepted_at"))
        .add_columns(process.c.accepted_at.label("process_accepted_at"), process.c.confirmed_at.label("process_confirmed_at"))
        .add_columns(*(whereabouts.c[name] for name in Whereabouts._fields))
        .select_from(returns)
        .where(returns.c.merchant == merchant, one_of(returns.c.return_id, keys))
    )
    for table, key in ((rmas, rmas.c.rma_key), (receipts, receipts.c.rma_key), (whereabouts, whereabouts.c.return_id)):
        query = query.outerjoin(table, (table.c.merchant == returns.c.merchant) & (key == returns.c.return_id))
    current = (decisions.c.merchant == returns.c.merchant) & (decisions.c.return_id == returns.c.return_id)
    query = query.outerjoin(decisions, current & IS_CURRENT.of(decisions))
    for call, kind in zip((create, flag, process), SEEN_KINDS[:3], strict=True):
        effect = sa.literal(effect_key(kind, "")) + returns.c.return_id
        query = query.outerjoin(call, (call.c.merchant == returns.c.merchant) & (call.c.effect_key == effect))
    return query


def _first_update() -> sa.ScalarSelect[Any]:
    """When the RMA was first to be updated: a parcel's label, since lines hardly ever change."""
    update = deliveries.alias("rma_update")
    mine = (update.c.merchant == returns.c.merchant) & (update.c.return_id == returns.c.return_id)
    first = sa.func.min(update.c.created_at, type_=Time())
    return sa.select(first).where(mine, update.c.kind == DeliveryKind.RMA_UPDATE.value).scalar_subquery()


@prepared
def _stopped(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    """The returns that an open exception stops."""
    note = sa.literal(f"{DeliveryKind.LOOP_NOTE}:") + exceptions.c.return_id
    return sa.select(exceptions.c.return_id).where(
        exceptions.c.merchant == merchant,
        one_of(exceptions.c.return_id, keys),
        exceptions.c.kind.in_([kind.value for kind in STOPPING]),
        exceptions.c.resolved_at.is_(None),
        exceptions.c.subject != note,
    )


@prepared
def _lines(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    """The lines whose value may be at risk, with their amounts."""
    same = (return_lines.c.merchant == matches.c.merchant) & (return_lines.c.return_id == matches.c.return_id)
    return (
        sa.select(matches.c.return_id, matches.c.condition, return_lines.c.price, return_lines.c.discount, return_lines.c.tax)
        .join(return_lines, same & (return_lines.c.line_item_id == matches.c.line_item_id))
        .where(matches.c.merchant == merchant, one_of(matches.c.return_id, keys), matches.c.condition.in_(_AT_RISK))
    )


def _known(row: sa.Row[Any], is_stopped: bool) -> Known:
    return Known(
        loop_state=LoopState(row.loop_state),
        is_history=bool(row.is_history),
        is_stopped=is_stopped,
        decision=DecisionKind(row.decision) if row.decision is not None else None,
        reasons=tuple(row.reasons or ()),
        counted_units=row.counted_units,
        has_rma=row.rma_key is not None,
        rma_stage=RmaStage(row.rma_stage) if row.rma_stage is not None else None,
        is_delivered=bool(row.is_delivered),
        create=_call(row.create_state, row.create_held_by),
        flag=_call(row.flag_state, row.flag_held_by),
        process=_call(row.process_state, row.process_held_by),
    )


def _delivery_state(known: Known) -> str | None:
    """The state of the call that the decision owes Loop; where it owes none, that of one that is not superseded, else of any."""
    process, flag = (call.state.value if call is not None else None for call in (known.process, known.flag))
    if known.decision is DecisionKind.PROCESS:
        return process
    if known.decision is DecisionKind.FLAG:
        return flag
    alive = [state for state in (process, flag) if state is not None and state != DeliveryState.SUPERSEDED]
    return alive[0] if alive else process or flag


def _call(state: str | None, held_by: str | None) -> Call | None:
    return None if state is None else Call(DeliveryState(state), held_by)
