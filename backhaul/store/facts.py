"""Reading what is known of returns, for the decision: a fixed number of queries for any number of returns."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import takewhile
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec.structs import replace

from backhaul.domain import schema
from backhaul.domain.deliveries import Owed
from backhaul.domain.facts import Line, ReturnFacts, Rma, Standing
from backhaul.domain.matching import line_order
from backhaul.domain.policy import Decision
from backhaul.domain.ties import Tied, split
from backhaul.domain.words import DecisionKind, DeliveryKind, DeliveryState, LoopState, RmaStage
from backhaul.store import bulk
from backhaul.store.indexed import HAS_DUE_DATE, IS_DUE
from backhaul.store.prepared import Parameter, Prepared, one_of, prepared
from backhaul.store.records import ReturnRecord
from backhaul.store.tables import (
    UNIT_COUNTS,
    decisions,
    deliveries,
    exceptions,
    quarantine,
    receipt_lines,
    receipts,
    return_lines,
    returns,
    rmas,
)
from backhaul.store.ties import ties_about

# The columns that a decision needs: a backfill decides a million returns, and amounts cost more to read than all the rest.
_HEAD = ("return_id", "warehouse", "loop_state", "first_state", "order_name", "tracking_number", "is_history", "first_seen_at")
_LINE = ("return_id", "line_item_id", "sku", "return_reason")
_HEAD_IN_HAND = itemgetter(*(schema.RETURNS.columns.index(name) for name in ("return_id", "loop_state", "order_name", "tracking_number")))
_LINE_IN_HAND = itemgetter(*(schema.RETURN_LINES.columns.index(name) for name in _LINE[1:]))
_STATES = {state.value: state for state in LoopState}
_STAGES = {stage.value: stage for stage in RmaStage}


def due_returns(connection: sa.Connection, merchant: str, now: datetime, after: str, limit: int) -> list[str]:
    """Ids of returns with news, and of holds that have fallen due, in id order after `after`; none that has a version in quarantine."""
    found = set(_with_news(connection, merchant=merchant, after=after, most=limit).scalars())
    found.update(return_id for return_id in _fallen_due(connection, merchant=merchant, now=now).scalars() if return_id > after)
    return sorted(found)[:limit]


@prepared
def _with_news(merchant: Parameter, after: Parameter, most: Parameter) -> sa.Select[Any]:
    due = (returns.c.merchant == merchant) & IS_DUE.of(returns) & (returns.c.return_id > after)
    good = returns.c.return_id.not_in(_in_quarantine(merchant))
    return sa.select(returns.c.return_id).where(due, good).order_by(returns.c.return_id).limit(most)


@prepared
def _fallen_due(merchant: Parameter, now: Parameter) -> sa.Select[Any]:
    due = (decisions.c.merchant == merchant) & HAS_DUE_DATE.of(decisions) & (decisions.c.due_at <= now)
    return sa.select(decisions.c.return_id).where(due, decisions.c.return_id.not_in(_in_quarantine(merchant)))


def _in_quarantine(merchant: Parameter) -> sa.Select[Any]:
    """The keys of Loop's records that are in quarantine now."""
    return sa.select(quarantine.c.record_key).where(
        quarantine.c.merchant == merchant, quarantine.c.source == "loop", quarantine.c.released_at.is_(None)
    )


def read_facts(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> list[ReturnFacts]:
    """All that is known of these returns."""
    heads = _rows(connection, returns, merchant, "return_id", return_ids, _HEAD)
    lines: defaultdict[str, list[Line]] = defaultdict(list)
    for owner, *line in _rows(connection, return_lines, merchant, "return_id", return_ids, _LINE):
        lines[owner].append(Line(*line))
    owed = _grouped(_rows(connection, deliveries, merchant, "return_id", return_ids), "return_id")
    tied, parcels = _tied(connection, merchant, return_ids)
    known_rmas = _rmas(connection, merchant, return_ids) | parcels
    taken = _grouped(_rows(connection, decisions, merchant, "return_id", return_ids), "return_id")
    ordinals = _ordinals(connection, merchant, [row for row in heads if not row.is_history])
    bad_receipts = _bad_receipts(connection, merchant, [*return_ids, *(one.rma_key for some in tied.values() for one in some)])
    return [
        ReturnFacts(
            return_id=row.return_id,
            warehouse=row.warehouse,
            loop_state=_STATES[row.loop_state],
            first_state=_STATES[row.first_state],
            order_name=row.order_name,
            ordinal=ordinals.get(row.return_id, 1),  # history is never announced, so that its place does not matter
            tracking_number=row.tracking_number,
            is_history=row.is_history,
            first_seen_at=row.first_seen_at,
            lines=tuple(lines[row.return_id]),
            rma=known_rmas.get(row.return_id),
            owed=_owed(owed[row.return_id]) if row.return_id in owed else (),
            standing=_standing(taken[row.return_id]) if row.return_id in taken else None,
            receipt_quarantine=_first_bad(bad_receipts, row.return_id, tied[row.return_id]),
            tied=tuple(tied[row.return_id]),
        )
        for row in heads
    ]


class Told(NamedTuple):
    """What is known of returns besides their own records: RMAs, receipts in quarantine, and exceptions that are open."""

    rmas: dict[str, Rma]
    bad_receipts: dict[str, str]
    ids: set[str]  # of all returns of which there is any of these


def told_otherwise(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> Told:
    """What is known already of returns whose first records are being loaded."""
    told, bad = _rmas(connection, merchant, return_ids), _bad_receipts(connection, merchant, return_ids)
    query = sa.select(exceptions.c.return_id).where(exceptions.c.merchant == merchant, exceptions.c.resolved_at.is_(None))
    stopped = {row.return_id for row in bulk.select_by_keys(connection, query, exceptions.c.return_id, return_ids)}
    return Told(told, bad, {*told, *bad, *stopped})


def history_facts(record: ReturnRecord, warehouse: str, told: Told, now: datetime) -> ReturnFacts:
    """All that is known of a return that is loaded as history for the first time."""
    return_id, loop_state, order_name, tracking_number = _HEAD_IN_HAND(record.row)
    state = _STATES[loop_state]
    return ReturnFacts(
        return_id=return_id,
        warehouse=warehouse,
        loop_state=state,
        first_state=state,
        order_name=order_name,
        ordinal=1,  # as above
        tracking_number=tracking_number,
        is_history=True,
        first_seen_at=now,
        lines=tuple([Line(*_LINE_IN_HAND(line)) for line in record.lines]),
        rma=told.rmas.get(return_id),
        owed=(),
        standing=None,
        receipt_quarantine=told.bad_receipts.get(return_id),
    )


def _bad_receipts(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> dict[str, str]:
    """Why the newest receipt of a return is in quarantine, by return id. A good one that is newer has released it."""
    return {row.record_key: row.reason for row in _bad.for_keys(connection, return_ids, merchant=merchant)}


@prepared
def _bad(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    held = (quarantine.c.merchant == merchant) & (quarantine.c.source != "loop") & quarantine.c.released_at.is_(None)
    query = sa.select(quarantine.c.record_key, quarantine.c.reason).where(held, one_of(quarantine.c.record_key, keys))
    return query.order_by(quarantine.c.quarantine_id)


def _first_bad(bad_receipts: Mapping[str, str], return_id: str, tied: Sequence[Tied]) -> str | None:
    return next((bad_receipts[key] for key in (return_id, *(one.rma_key for one in tied)) if key in bad_receipts), None)


def _tied(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> tuple[defaultdict[str, list[Tied]], dict[str, Rma]]:
    """By return, the units that are tied to it; and the RMAs of which some are, with what is left to them."""
    tied: defaultdict[str, list[Tied]] = defaultdict(list)
    by_rma = _grouped(ties_about(connection, merchant, return_ids), "rma_key")
    if not by_rma:
        return tied, {}
    lines = _grouped(_rows(connection, return_lines, merchant, "return_id", list(by_rma), _LINE), "return_id")
    left: dict[str, Rma] = {}
    for rma_key, rma in sorted(_rmas(connection, merchant, list(by_rma)).items()):
        to = {row.sku: row for row in by_rma[rma_key]}
        kept, away = split([Line(*line[1:]) for line in lines[rma_key]], rma.units, to)
        left[rma_key] = replace(rma, units=kept)
        for return_id in sorted({row.return_id for row in to.values()}):
            units = tuple(one for one in away if to[one[0]].return_id == return_id)
            since = max(row.tied_at for row in to.values() if row.return_id == return_id)
            tied[return_id].append(Tied(rma_key, units, rma.is_terminal, rma.received_at, rma.first_seen_at, since, rma.unknown))
    return tied, left


def _rmas(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> dict[str, Rma]:
    rows = {row.rma_key: row for row in _rows(connection, rmas, merchant, "rma_key", return_ids)}
    told = {row.rma_key: row for row in _rows(connection, receipts, merchant, "rma_key", list(rows))}
    units = _grouped(_rows(connection, receipt_lines, merchant, "rma_key", list(rows)), "rma_key")
    return {return_id: _rma(row, told.get(return_id), units[return_id]) for return_id, row in rows.items()}


def _rows(
    connection: sa.Connection, table: sa.Table, merchant: str, column: str, keys: Sequence[str], only: Sequence[str] = ()
) -> list[sa.Row[Any]]:
    return list(_choose(table, column, tuple(only or table.c.keys())).for_keys(connection, keys, merchant=merchant))


@cache
def _choose(table: sa.Table, column: str, wanted: tuple[str, ...]) -> Prepared:
    columns = [table.c[name] for name in wanted]
    return prepared(lambda merchant, keys: sa.select(*columns).where(table.c.merchant == merchant, one_of(table.c[column], keys)))


def _grouped(rows: Iterable[sa.Row[Any]], column: str) -> defaultdict[str, list[sa.Row[Any]]]:
    groups: defaultdict[str, list[sa.Row[Any]]] = defaultdict(list)
    for row in rows:
        groups[row._mapping[column]].append(row)
    return groups


def _rma(row: sa.Row[Any], told: sa.Row[Any] | None, lines: Sequence[sa.Row[Any]]) -> Rma:
    return Rma(
        warehouse=row.warehouse,
        stage=_STAGES.get(row.rma_stage),
        package_id=row.package_id,
        received_at=told.received_at if told else None,
        closed_at=told.closed_at if told else None,
        first_seen_at=row.first_seen_at,
        units=tuple((line.sku, line.condition, line.units) for line in lines),
        unknown=tuple(line.inventory_status or "none" for line in lines if line.is_known is False),
    )


def _owed(rows: Sequence[sa.Row[Any]]) -> tuple[Owed, ...]:
    ordered = sorted(rows, key=lambda row: int(row.delivery_id))
    return tuple(
        Owed(row.delivery_id, DeliveryKind(row.kind), DeliveryState(row.state), row.payload, row.is_uncertain, row.warehouse, row.held_by)
        for row in ordered
    )


def _standing(rows: Sequence[sa.Row[Any]]) -> Standing | None:
    """The current decision, with the units it was first taken on, so that a later receipt can be told from that one."""
    newest_first = sorted(rows, key=lambda row: -int(row.decision_no))
    if not newest_first or not newest_first[0].is_current:
        return None
    current = newest_first[0]
    said = (current.decision, current.reasons)
    taken_on = [row for row in takewhile(lambda row: (row.decision, row.reasons) == said, newest_first)][-1]
    reasons = json.loads(current.reasons) if isinstance(current.reasons, str) else current.reasons
    decision = Decision(DecisionKind(current.decision), tuple(reasons), current.due_at)
    units, latest = (tuple(row._mapping[name] for name in UNIT_COUNTS) for row in (taken_on, current))
    return Standing(decision, units, latest, current.decided_at)


def _ordinals(connection: sa.Connection, merchant: str, heads: Sequence[sa.Row[Any]]) -> dict[str, int]:
    """Each return's place among those of its order, by return id."""
    names = sorted({row.order_name for row in heads if row.order_name})
    by_order = _grouped(_rows(connection, returns, merchant, "order_name", names, ("order_name", "return_id")), "order_name")
    places: dict[str, int] = {row.return_id: 1 for row in heads}
    for rows in by_order.values():
        for place, return_id in enumerate(sorted((row.return_id for row in rows), key=line_order), start=1):
            if return_id in places:
                places[return_id] = place
    return places
