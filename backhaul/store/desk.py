"""The lists that people page through: each with its columns, its filters and its orders, declared once and read by keyset.

A page costs the same wherever it stands: the next one begins after the last row's key, and nothing is counted beyond a limit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from backhaul.domain.deliveries import GIVEN_UP
from backhaul.store.indexed import IS_CURRENT, IS_OWED, IS_QUARANTINED, IS_WAITING
from backhaul.store.tables import decisions, deliveries, events, quarantine
from backhaul.store.types import time_text

COUNTED = 10_000  # more rows than this are "more than 10,000"
_APART = "|"
_CENT = Decimal("0.01")
_TOO_MUCH = 10**15  # what a database could not compare any more


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list. `kind`: text, time, money, count, number, flag or json."""

    name: str
    kind: str = "text"
    of: str = ""  # the SQL of it, where it is not a column of that name


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: where it is from, its columns, its filters (parameter -> condition), its orders (name -> SQL and kind), and its key."""

    source: str
    columns: tuple[Column, ...]
    filters: Mapping[str, str]
    orders: Mapping[str, Column]
    key: tuple[str, ...]
    is_oldest_first: bool = False
    kinds: Mapping[str, str] = field(default_factory=dict)  # of filters that are not text
    choices: Mapping[tuple[str, str], str] = field(default_factory=dict)  # parameter and value -> condition of an index of few rows
    counted: Mapping[frozenset[str], str] = field(default_factory=dict)  # filters -> a smaller source that counts as much by them
    found_by: Mapping[str, str] = field(default_factory=dict)  # filter -> the keys that meet it, along an index of its own

    @property
    def default(self) -> str:
        """The order that is taken when none is asked for."""
        return next(iter(self.orders))


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, the `after` of the next page (None: this is the last), and how many there are in all, up to `COUNTED` + 1."""

    rows: list[dict[str, Any]]
    after: str | None
    total: int


class BadFilterError(ValueError):
    """A filter's value that is none: its name, and what it should be."""


_DAY = {"from": "time", "to": "time"}
_DECIDED = f"(SELECT merchant, return_id, decision FROM decisions WHERE {IS_CURRENT.of(decisions).text}) decided"  # noqa: S608
_BY_SKU = "SELECT merchant, return_id FROM return_lines WHERE upper(sku) = upper(CAST(:sku AS text))"
RETURNS = Listing(
    source="recon_returns",
    columns=(
        *(Column(name) for name in ("merchant", "warehouse", "return_id", "order_name", "loop_state", "stage", "decision")),
        Column("reasons", "json"),
        Column("expected_units", "count"),
        Column("available_units", "count"),
        Column("return_total", "money"),
        Column("value_at_risk", "money"),
        Column("currency"),
        Column("outcome"),
        Column("rma_id"),
        Column("rma_status"),
        Column("delivery_state"),
        Column("created_at", "time"),
        Column("decided_at", "time"),
    ),
    filters={
        "merchant": "merchant = :merchant",
        "warehouse": "warehouse = :warehouse",
        "stage": "stage = :stage",
        "decision": "decision = :decision",
        "sku": f"(merchant, return_id) IN ({_BY_SKU})",
        "from": "created_at >= :from",
        "to": "created_at < :to",
    },
    orders={"created_at": Column("created_at", "time"), "value_at_risk": Column("value_at_risk", "money")},
    key=("merchant", "return_id"),
    kinds=_DAY,
    counted={
        frozenset(): "returns",
        frozenset({"merchant"}): "returns",
        frozenset({"stage"}): "whereabouts",
        frozenset({"stage", "merchant"}): "whereabouts",
        frozenset({"decision"}): _DECIDED,
        frozenset({"decision", "merchant"}): _DECIDED,
    },
    found_by={
        "stage": "SELECT merchant, return_id FROM whereabouts WHERE stage = :stage",
        "decision": f"SELECT merchant, return_id FROM {_DECIDED} WHERE decision = :decision",  # noqa: S608 - words of this module
        "sku": _BY_SKU,
    },
)
EXCEPTIONS = Listing(
    source="recon_exceptions e LEFT JOIN returns r ON r.merchant = e.merchant AND r.return_id = e.return_id",
    columns=(
        *(Column(name, of=f"e.{name}") for name in ("merchant", "kind", "return_id", "subject", "why", "remedy")),
        Column("order_name", of="r.order_name"),
        Column("value", "money", "r.return_total"),
        Column("currency", of="r.currency"),
        Column("opened_at", "time", "e.opened_at"),
        Column("age_days", "count", "e.age_days"),
        Column("assigned_to", of="e.assigned_to"),
    ),
    filters={
        "merchant": "e.merchant = :merchant",
        "kind": "e.kind = :kind",
        "age": "e.age_days >= :age",
        "value": "r.return_total >= :value",
        "assigned": "e.assigned_to = :assigned",
    },
    orders={
        "opened_at": Column("opened_at", "time", "e.opened_at"),
        "value": Column("value", "money", "coalesce(r.return_total, 0)"),
    },
    key=("e.merchant", "e.kind", "e.subject"),
    is_oldest_first=True,
    kinds={"age": "count", "value": "money"},
    choices={("assigned", "nobody"): "e.assigned_to IS NULL"},
)
QUARANTINE = Listing(
    source="quarantine",
    columns=(
        *(Column(name) for name in ("merchant", "source", "record_key", "order_name", "reason")),
        Column("rules", "json"),
        Column("body", "json"),
        Column("quarantined_at", "time"),
        Column("released_at", "time"),
        Column("run_id"),
    ),
    filters={
        "merchant": "merchant = :merchant",
        "source": "source = :source",
    },
    orders={"quarantine_id": Column("quarantine_id", "count")},
    key=(),
    choices={
        ("state", "held"): IS_QUARANTINED.of(quarantine).text,
        ("state", "released"): "released_at IS NOT NULL",
        ("state", "all"): "1 = 1",
    },
)
DELIVERIES = Listing(
    source="deliveries",
    columns=(
        Column("delivery_id", "count"),
        *(Column(name) for name in ("merchant", "kind", "return_id", "state", "warehouse")),
        Column("attempts", "count"),
        *(Column(name) for name in ("held_by", "code", "message")),
        *(Column(name, "time") for name in ("created_at", "last_attempt_at", "next_attempt_at", "confirmed_at")),
        Column("run_id"),
    ),
    filters={
        "merchant": "merchant = :merchant",
        "kind": "kind = :kind",
        "state": "state = :state",
        "return": "return_id = :return",
    },
    orders={"delivery_id": Column("delivery_id", "count")},
    key=(),
    choices={
        ("state", "open"): IS_OWED.of(deliveries).text,
        **{("state", state): f"state = '{state}' AND {IS_OWED.of(deliveries).text}" for state in GIVEN_UP},
    },
)
EVENTS = Listing(
    source="events",
    columns=(
        Column("event_id", "count"),
        *(Column(name) for name in ("merchant", "source", "channel", "topic", "record_key", "outcome")),
        *(Column(name, "time") for name in ("occurred_at", "received_at", "handled_at")),
        Column("run_id"),
    ),
    filters={
        "merchant": "merchant = :merchant",
        "source": "source = :source",
        "channel": "channel = :channel",
        "outcome": "outcome = :outcome",
    },
    orders={"event_id": Column("event_id", "count")},
    key=(),
    choices={("outcome", "waiting"): IS_WAITING.of(events).text},
)
RUNS = Listing(
    source="runs",
    columns=(
        *(Column(name) for name in ("run_id", "flow", "merchant", "trigger", "state")),
        *(Column(name, "time") for name in ("started_at", "finished_at")),
        Column("duration_s", "number"),
        *(Column(name, "count") for name in ("records_in", "records_out", "unchanged", "quarantined", "delivered", "refused")),
        Column("error"),
        Column("flow_run_id"),
    ),
    filters={"merchant": "merchant = :merchant", "flow": "flow = :flow", "state": "state = :state"},
    orders={"started_at": Column("started_at", "time")},
    key=("run_id",),
)


def page(
    connection: sa.Connection,
    listing: Listing,
    chosen: Mapping[str, str],
    *,
    order: str | None = None,
    is_turned: bool = False,
    after: str | None = None,
    limit: int = 50,
    is_counted: bool = True,
) -> Page:
    """One page of a list. `is_turned` turns its usual order round. Raises BadFilterError for a value that its filter cannot take."""
    dialect = connection.dialect.name
    conditions, values = _filtered(listing, chosen, dialect)
    conditions = _by_index(connection, listing, conditions, values)
    total = _count(connection, listing, conditions, values) if is_counted else COUNTED + 1
    is_few = total <= COUNTED or any(one in listing.choices for one in chosen.items())
    by = listing.orders.get(order or "", listing.orders[listing.default])
    places = (by.of or by.name, *listing.key)
    is_rising = listing.is_oldest_first != is_turned
    shown_as = _ordered(listing, places, way="ASC" if is_rising else "DESC", is_few=is_few, dialect=dialect)
    wheres = [*conditions.values(), f"{places[0]} > -1e15" if by.kind == "money" else f"{places[0]} IS NOT NULL"]
    if after:
        bounds = _bounds(by, len(places), after, dialect)
        names = ", ".join(f":after{number}" for number in range(len(bounds)))
        wheres.append(f"({', '.join(places)}) {'>' if is_rising else '<'} ({names})")
        values |= {f"after{number}": value for number, value in enumerate(bounds)}
    statement = f"{shown_as.format(where=_where(wheres))} LIMIT {limit + 1}"
    rows = [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]
    shown = rows[:limit]
    last = _after(shown[-1], len(places)) if len(rows) > limit else None
    return Page([_typed(listing, row) for row in shown], last, total)


def _ordered(listing: Listing, places: Sequence[str], *, way: str, is_few: bool, dialect: str) -> str:
    """The SELECT of a list in an order. Where few rows are left by the filters, those are sorted; else the order's index is walked."""
    wanted = ", ".join(f"{column.of or column.name} AS {column.name}" for column in listing.columns)
    keys = ", ".join(f"{place} AS key{number}" for number, place in enumerate(places))
    sorts = "+" if is_few and dialect == "sqlite" else ""  # SQLite does not walk an index for an expression; PostgreSQL knows by itself
    order = ", ".join(f"{sorts}{place} {way}" for place in places)
    return f"SELECT {wanted}, {keys} FROM {listing.source}{{where}} ORDER BY {order}"  # noqa: S608 - words of this module


def _by_index(connection: sa.Connection, listing: Listing, conditions: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """The conditions in words that lead to the index of the filter that the fewest rows meet, where those are few, and to no other."""
    found = dict(conditions)
    numbers = {name: _counted(connection, listing.found_by[name], values) for name in found.keys() & listing.found_by.keys()}
    best = min(numbers, key=lambda name: numbers[name], default=None)
    if best is not None and numbers[best] > COUNTED:
        best = None
    if connection.dialect.name == "sqlite" and (best or numbers):  # it would rather walk a merchant's returns; PostgreSQL knows by itself
        found = {name: condition if condition.startswith("(") else f"+{condition}" for name, condition in found.items()}
    if best:
        found[best] = f"(merchant, return_id) IN ({listing.found_by[best]})"
    return found


def every(connection: sa.Connection, listing: Listing, chosen: Mapping[str, str], **how: Any) -> Iterator[dict[str, Any]]:
    """All rows of a list, a thousand at a time."""
    after: str | None = None
    while True:
        some = page(connection, listing, chosen, after=after, limit=1000, is_counted=False, **how)
        yield from some.rows
        after = some.after
        if after is None:
            return


def _filtered(listing: Listing, chosen: Mapping[str, str], dialect: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The condition of each filter that is chosen, and the values that they bind."""
    conditions = {one[0]: listing.choices[one] for one in chosen.items() if one in listing.choices}
    values: dict[str, Any] = {}
    for name, condition in listing.filters.items():
        text = chosen.get(name)
        if text and name not in conditions:
            values[name] = bound(name, listing.kinds.get(name, "text"), text, dialect)
            conditions[name] = condition
    return conditions, values


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(f'({one})' for one in conditions)}" if conditions else ""


def _count(connection: sa.Connection, listing: Listing, conditions: Mapping[str, str], values: Mapping[str, Any]) -> int:
    smaller = listing.counted.get(frozenset(conditions))
    wheres = [listing.filters[name] for name in conditions] if smaller else list(conditions.values())
    return _counted(connection, f"SELECT 1 AS one FROM {smaller or listing.source}{_where(wheres)}", values)  # noqa: S608 - words of this module


def _counted(connection: sa.Connection, rows: str, values: Mapping[str, Any]) -> int:
    """How many rows there are, as far as they are counted."""
    some = f"SELECT count(*) FROM ({rows} LIMIT {COUNTED + 1}) counted"  # noqa: S608 - words of this module
    return int(connection.execute(sa.text(some), dict(values)).scalar_one())


def bound(name: str, kind: str, text: str, dialect: str) -> Any:
    """A parameter's text as its column compares it. Raises BadFilterError."""
    with suppress(ValueError, ArithmeticError):
        if kind == "time":
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return time_text(moment) if dialect == "sqlite" else moment
        if kind == "flag":
            return ("false", "true").index(text) == 1
        if kind in ("count", "number", "money"):
            amount = Decimal(int(text) if kind == "count" else text)
            if abs(amount) < _TOO_MUCH:
                is_real = kind == "number" or (kind == "money" and dialect == "sqlite")
                return float(amount) if is_real else int(amount) if kind == "count" else amount
        elif text.isprintable():
            return text
    raise BadFilterError(f"{name} should be {_SHOULD.get(kind, 'printable text')}")


_SHOULD = {"time": "a day, as 2026-11-24", "count": "a whole number", "money": "an amount", "number": "a number", "flag": "true or false"}


def _bounds(by: Column, places: int, after: str, dialect: str) -> list[Any]:
    parts = after.split(_APART, places - 1)
    if len(parts) != places:
        raise BadFilterError("after should be what the link to the next page says")
    return [bound("after", by.kind, parts[0], dialect), *parts[1:]]


def _after(row: Mapping[str, Any], places: int) -> str:
    return _APART.join(str(row[f"key{number}"]) for number in range(places))


def _typed(listing: Listing, row: Mapping[str, Any]) -> dict[str, Any]:
    return {column.name: typed(column.kind, row[column.name]) for column in listing.columns}


def typed(kind: str, value: Any) -> Any:
    """A value as its kind is in Python, whichever database told it."""
    if value is None:
        return None
    if kind == "time":
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)
    if kind == "money":
        return _amount(value)
    if kind == "flag":
        return bool(value)
    if kind == "number":
        return float(value)
    if kind == "json" and isinstance(value, str):
        return json.loads(value)
    return value


@lru_cache(maxsize=1 << 14)
def _amount(value: Decimal | float) -> Decimal:
    """An exact amount, with two decimals at least, however the database keeps it."""
    exact = value if isinstance(value, Decimal) else Decimal(str(round(value, 4)))  # a sum of REALs, back to the decimal it stands for
    cents = exact.quantize(_CENT)
    return cents if cents == exact else exact.normalize()


def check(listing: Listing, chosen: Mapping[str, str]) -> None:
    """Raises BadFilterError for a value that its filter cannot take."""
    _filtered(listing, chosen, "sqlite")
