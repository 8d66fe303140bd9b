"""One return, explained: the sentence, what happens next, what was sent back and found, and its life. For `show` and its page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from backhaul.domain.story import sentence, what_next
from backhaul.domain.whereabouts import Awaited
from backhaul.store import cases, timeline
from backhaul.store.tables import runs


def explained(connection: sa.Connection, merchant: str, return_id: str, now: datetime) -> dict[str, Any] | None:
    """All that is known of a return, or of a parcel that nobody announced; None when nothing is."""
    life = timeline.timeline(connection, merchant, return_id)
    case = cases.case(connection, merchant, return_id)
    grades = cases.graded(connection, merchant, return_id)
    if case is None and not life and not grades:
        return None
    return {
        "merchant": merchant,
        "return_id": return_id,
        "sentence": sentence(case, now) if case else "A parcel arrived that nobody had announced; a person has to find its return.",
        "waits_for": case.waits_for if case else Awaited.PERSON,
        "next": what_next(case, now) if case else "A person finds the return that this parcel belongs to.",
        "currency": case.currency if case else None,
        "open": cases.open_exceptions(connection, merchant, return_id),
        "return": timeline.standing(connection, merchant, return_id),
        "lines": cases.lines(connection, merchant, return_id),
        "graded": grades,
        "timeline": life,
        "flow_runs": _flow_runs(connection, sorted({entry["run_id"] for entry in life if entry["run_id"]})),
    }


def _flow_runs(connection: sa.Connection, run_ids: list[str]) -> dict[str, str]:
    """The Prefect flow run of each run that has one."""
    query = sa.select(runs.c.run_id, runs.c.flow_run_id).where(runs.c.run_id.in_(run_ids), runs.c.flow_run_id.is_not(None))
    return {row.run_id: row.flow_run_id for row in connection.execute(query)}
