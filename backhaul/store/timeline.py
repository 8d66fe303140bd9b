"""One return's whole life, in order: versions, what the warehouse said, decisions, deliveries and each of their attempts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from backhaul.domain import story, telling
from backhaul.domain.words import Act
from backhaul.store.tables import (
    decisions,
    deliveries,
    delivery_attempts,
    events,
    exceptions,
    operator_actions,
    quarantine,
    return_versions,
    returns,
)

Entry = dict[str, Any]
_AMOUNTS = ("return_total", "value_at_risk", "price", "discount", "tax", "refund")


def standing(connection: sa.Connection, merchant: str, return_id: str) -> dict[str, Any] | None:
    """The return's row of `recon_returns`, its lines with it."""
    head = connection.execute(
        sa.text("SELECT * FROM recon_returns WHERE merchant = :merchant AND return_id = :return_id"),
        {"merchant": merchant, "return_id": return_id},
    ).mappings()
    row = head.one_or_none()
    if row is None:
        return None
    lines = connection.execute(
        sa.text("SELECT * FROM recon_lines WHERE merchant = :merchant AND return_id = :return_id ORDER BY line_item_id"),
        {"merchant": merchant, "return_id": return_id},
    ).mappings()
    reasons = json.loads(row["reasons"]) if isinstance(row["reasons"], str) else row["reasons"]
    return {**_with_types(dict(row)), "reasons": reasons, "lines": [_with_types(dict(line)) for line in lines]}


def _with_types(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its times aware and its amounts as decimals of at least two places, whichever database told them."""
    return {name: _typed(name, value) for name, value in row.items()}


def _typed(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name.endswith("_at"):
        return datetime.fromisoformat(value) if isinstance(value, str) else value
    return _amount(value) if name in _AMOUNTS else value


def _amount(value: Any) -> Decimal:
    amount = Decimal(str(value))
    cents = amount.quantize(Decimal("0.01"))
    return cents if cents == amount else amount.normalize()


def timeline(connection: sa.Connection, merchant: str, return_id: str) -> list[Entry]:
    """All that happened to a return: dicts of `at`, `what`, `said` (plain words), `detail` and `run_id`, oldest first."""
    entries = [
        *_versions(connection, merchant, return_id),
        *_events(connection, merchant, return_id),
        *_decisions(connection, merchant, return_id),
        *_deliveries(connection, merchant, return_id),
        *_exceptions(connection, merchant, return_id),
        *_quarantine(connection, merchant, return_id),
        *_acts(connection, merchant, return_id),
    ]
    return sorted(entries, key=lambda entry: (entry["at"], entry["place"]))


def _entry(at: datetime, place: int, what: str, said: str, detail: str, run_id: str | None, **more: Any) -> Entry:
    return {"at": at, "place": place, "what": what, "said": said, "detail": detail, "run_id": run_id, **more}


def _versions(connection: sa.Connection, merchant: str, return_id: str) -> list[Entry]:
    query = sa.select(return_versions).where(return_versions.c.merchant == merchant, return_versions.c.return_id == return_id)
    entries = []
    for row in connection.execute(query):
        body = json.loads(row.body or "{}")
        changed = f", changed in Loop at {row.updated_at:%Y-%m-%d %H:%M:%S}" if row.updated_at else ""
        told = f"{body.get('state')}, {len(body.get('line_items') or [])} lines" if body else "its body is no longer kept"
        detail = f"version {row.version_no} from Loop's {row.source}: {told}{changed}"
        said = telling.version(row.version_no, body.get("state"), len(body.get("line_items") or []) if body else None)
        entries.append(_entry(row.seen_at, 0, "version", said, detail, row.run_id, body=body))
    return entries


_OUTCOMES = {
    "unreadable": "; it could not be read, so that the return was read back from Loop",
    "unknown_return": "; Loop does not show the return yet",
    "never_shown": "; Loop never showed the return",
}


def _events(connection: sa.Connection, merchant: str, return_id: str) -> list[Entry]:
    query = sa.select(events).where(events.c.merchant == merchant, events.c.record_key == return_id)
    entries = []
    for row in connection.execute(query):
        occurred = f", which happened at {row.occurred_at:%Y-%m-%d %H:%M:%S}" if row.occurred_at else ""
        entries.append(
            _entry(
                row.received_at,
                1,
                "event",
                telling.event(row.source, row.topic, row.channel, row.outcome),
                f"{row.source} told us {row.topic} by {row.channel}{occurred}{_OUTCOMES.get(row.outcome, '')}",
                row.run_id,
                body=json.loads(row.body or "{}"),
            )
        )
    return entries


def _decisions(connection: sa.Connection, merchant: str, return_id: str) -> list[Entry]:
    query = sa.select(decisions).where(decisions.c.merchant == merchant, decisions.c.return_id == return_id)
    entries = []
    for row in connection.execute(query):
        counts = {name: getattr(row, name) for name in row._mapping if name.endswith("_units") and name != "expected_units"}
        units = ", ".join(f"{count} {name.removesuffix('_units')}" for name, count in counts.items() if count) or "no units"
        why = f" because of {', '.join(row.reasons)}" if row.reasons else ""
        due = f", due {row.due_at:%Y-%m-%d %H:%M}" if row.due_at else ""
        detail = f"{row.decision}{why}{due}: {units} of {row.expected_units} expected; policy {row.policy_hash}"
        said = story.decided(row.decision, row.reasons)
        entries.append(_entry(row.assessed_at, 2, "decision", said, detail, row.run_id))
    return entries


def _deliveries(connection: sa.Connection, merchant: str, return_id: str) -> list[Entry]:
    query = sa.select(deliveries).where(deliveries.c.merchant == merchant, deliveries.c.return_id == return_id)
    entries = []
    for row in connection.execute(query):
        words = f": {row.message}" if row.message else ""
        said = telling.delivery(row.kind, row.state, row.message)
        entries.append(_entry(row.created_at, 3, "delivery", said, f"{row.kind} is {row.state}{words}", row.run_id))
        for attempt in connection.execute(sa.select(delivery_attempts).where(delivery_attempts.c.delivery_id == row.delivery_id)):
            answer = " ".join(part for part in (attempt.code, attempt.message) if part)
            detail = f"{row.kind}, attempt {attempt.attempt_no}: {attempt.outcome}{f' ({answer})' if answer else ''}"
            said = f"Attempt {attempt.attempt_no}: {attempt.outcome}."
            entries.append(_entry(attempt.finished_at, 4, "attempt", said, detail, attempt.run_id))
        if row.confirmed_at:
            said = telling.confirmed(row.kind)
            entries.append(_entry(row.confirmed_at, 5, "confirmed", said, f"{row.kind} was read back at the vendor", row.run_id))
    return entries


def _exceptions(connection: sa.Connection, merchant: str, return_id: str) -> list[Entry]:
    query = sa.select(exceptions).where(exceptions.c.merchant == merchant, exceptions.c.return_id == return_id)
    entries = []
    for row in connection.execute(query):
        said = f"It needs a person: {row.why}. {row.remedy}"
        entries.append(_entry(row.opened_at, 6, "exception", said, f"{row.kind}: {row.why}. {row.remedy}", row.run_id))
        if row.resolved_at:
            entries.append(_entry(row.resolved_at, 7, "resolved", f"Settled: {row.why}.", row.kind, row.run_id))
    return entries


def _quarantine(connection: sa.Connection, merchant: str, return_id: str) -> list[Entry]:
    query = sa.select(quarantine).where(quarantine.c.merchant == merchant, quarantine.c.record_key == return_id)
    entries = []
    for row in connection.execute(query):
        said = f"A record of {row.source} was kept apart: {row.reason}"
        entries.append(_entry(row.quarantined_at, 6, "quarantined", said, f"a record of {row.source}: {row.reason}", row.run_id))
        if row.released_at:
            said = f"A record of {row.source} that passes took its place."
            entries.append(_entry(row.released_at, 7, "released", said, f"a record of {row.source} took its place", row.run_id))
    return entries


def _acts(connection: sa.Connection, merchant: str, return_id: str) -> list[Entry]:
    """What people did about it; an archive is one act for many returns, told by its time."""
    archived_at = sa.select(returns.c.archived_at).where(returns.c.merchant == merchant, returns.c.return_id == return_id).scalar_subquery()
    of_many = (operator_actions.c.action == Act.ARCHIVE.value) & (operator_actions.c.acted_at == archived_at)
    query = sa.select(operator_actions).where(
        operator_actions.c.merchant == merchant, sa.or_(operator_actions.c.return_id == return_id, of_many)
    )
    entries = []
    for row in connection.execute(query):
        said = telling.act(row.operator, row.action, row.why)
        entries.append(_entry(row.acted_at, 8, row.action, said, row.detail or row.subject, None))
    return entries
