"""Deliver: drain a merchant's outbox, pulling nothing."""

from __future__ import annotations

from prefect import flow

from backhaul.pipeline.reconciling import RunSummary
from flows.recorded import recorded_run
from tasks.actions import decide_returns, deliver_due, publish_summary, retry_deliveries
from tasks.returns import check_returns, keep_news, load_returns, read_return


@flow(name="deliver", flow_run_name="deliver-{merchant}")
def deliver(merchant: str, config: str | None = None, trigger: str = "schedule", retry: str | None = None) -> RunSummary:
    """Send what a merchant's outbox owes, and take in what the answers mean. `retry` names a return whose given-up deliveries go again."""
    with recorded_run("deliver", merchant, config=config, trigger=trigger) as session:
        if retry is not None:
            load_returns(session, check_returns(session, keep_news(session, read_return(session, retry))), None)
            retry_deliveries(session, retry)
            decide_returns(session)
        deliver_due(session)
        decide_returns(session)
        return publish_summary(session)
