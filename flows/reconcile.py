"""Reconcile: decide what has fallen due, notice what hangs, and publish where everything stands."""

from __future__ import annotations

from prefect import flow

from backhaul.pipeline.reconciling import RunSummary
from flows.recorded import recorded_run
from tasks.actions import decide_returns, keep_snapshot, notice_what_hangs, publish_standing, publish_summary


@flow(name="reconcile", flow_run_name="reconcile-{merchant}")
def reconcile(merchant: str, config: str | None = None, trigger: str = "schedule") -> RunSummary:
    """Bring the reconciliation of one merchant up to the minute, without a call to any vendor."""
    with recorded_run("reconcile", merchant, config=config, trigger=trigger) as session:
        decide_returns(session)
        notice_what_hangs(session)
        keep_snapshot(session)
        publish_standing(session)
        return publish_summary(session)
