"""The circuits before vendors, kept where every process sees them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from backhaul.domain.circuit import Circuit
from backhaul.store import bulk
from backhaul.store.prepared import Parameter, prepared
from backhaul.store.tables import circuits
from backhaul.store.transaction import Transaction

_COLUMNS = ("failures", "opened_at", "probe_at", "why")


def read_circuits(connection: sa.Connection, merchant: str) -> dict[str, Circuit]:
    """A merchant's circuits by vendor; one that is absent is closed."""
    return {row.vendor: Circuit(row.failures, row.opened_at, row.probe_at, row.why) for row in _of(connection, merchant=merchant)}


@prepared
def _of(merchant: Parameter) -> sa.Select[Any]:
    return sa.select(circuits).where(circuits.c.merchant == merchant)


def keep_circuit(tx: Transaction, vendor: str, circuit: Circuit) -> None:
    """Write how a vendor has answered; nothing when it has always done so."""
    if circuit == Circuit():
        tx.connection.execute(sa.delete(circuits).where(circuits.c.merchant == tx.merchant, circuits.c.vendor == vendor))
        return
    values = [getattr(circuit, name) for name in _COLUMNS]
    bulk.upsert(tx.connection, circuits, ("merchant", "vendor", *_COLUMNS), [(tx.merchant, vendor, *values)])


def open_circuits(connection: sa.Connection) -> list[dict[str, Any]]:
    """Every open circuit: merchant, vendor, since when, when it is probed next, and why."""
    query = sa.select(circuits).where(circuits.c.opened_at.is_not(None)).order_by(circuits.c.merchant, circuits.c.vendor)
    return [dict(row._mapping) for row in connection.execute(query)]
