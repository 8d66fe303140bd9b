"""The step that tells people and Prefect what has come to need a look."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from prefect.context import FlowRunContext
from prefect.events import emit_event

from backhaul.config import Settings
from backhaul.pipeline import notifying
from backhaul.store.engine import Store
from backhaul.store.notices import Notice
from tasks.steps import step


def _tell_prefect(news: Sequence[Notice]) -> bool:
    """An event for each kind of a merchant, on which an automation can act."""
    for (merchant, kind), alike in groupby(sorted(news), key=lambda one: (one.merchant, one.kind)):
        about = list(alike)
        ids = notifying.shown_ids(about)
        emit_event(
            event="backhaul.needs-a-person",
            resource={"prefect.resource.id": f"backhaul.{merchant}.{kind}", "backhaul.merchant": merchant, "backhaul.kind": kind},
            payload={"count": len(about), "ids": ids, "since": min(one.since for one in about).isoformat(), "remedy": about[0].remedy},
        )
    return True


def _send_due(store: Store, settings: Settings) -> dict[str, int]:
    """Tell each address what is new to it; within a flow run, Prefect too. Returns how much each was told."""
    return notifying.send_due(store, settings, also={"prefect": _tell_prefect} if FlowRunContext.get() is not None else None)


send_due = step("send-due", _send_due)
