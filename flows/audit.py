"""Audit: prove that the store holds what the vendors hold, and repair what it does not."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from pydantic import Field

from backhaul.connectors.loop.endpoints import RETURNS
from backhaul.pipeline import backfilling
from backhaul.pipeline.reconciling import RunSummary
from flows.recorded import recorded_run
from tasks.actions import decide_returns, publish_summary
from tasks.audit import audit_windows, judge_stored, notice_silence

Days = Annotated[int, Field(ge=1, le=RETURNS.max_window.days)]


@flow(name="audit", flow_run_name="audit-{merchant}")
def audit(merchant: str, days: Days = 3, config: str | None = None, trigger: str = "schedule") -> RunSummary:
    """Audit one merchant's last days. What the repairs call for is decided here, and sent by the next sync."""
    with recorded_run("audit", merchant, config=config, trigger=trigger) as session:
        standing = audit_windows(session, days)
        notice_silence(session)
        decide_returns(session)
        judge_stored(session, days)
        backfilling.conclude(session, standing)
        return publish_summary(session)
