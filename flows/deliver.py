"""Deliver: drain a merchant's outbox, pulling nothing."""

from __future__ import annotations

from prefect import flow

from backhaul.pipeline.reconciling import RunSummary
from backhaul.pipeline.session import Session
from flows.recorded import recorded_run
from tasks.actions import decide_returns, deliver_due, notice_what_hangs, publish_summary, retry_deliveries, send_shadowed
from tasks.returns import check_returns, keep_news, load_returns, read_return


@flow(name="deliver", flow_run_name="deliver-{merchant}")
def deliver(
    merchant: str,
    config: str | None = None,
    trigger: str = "schedule",
    retry: list[str] | None = None,
    kinds: list[str] | None = None,
    from_shadow: list[str] | None = None,
    operator: str | None = None,
    why: str | None = None,
) -> RunSummary:
    """Send what a merchant's outbox owes, and take in what the answers mean.

    Args:
        merchant: The merchant, as the config names it.
        config: The config file; else BACKHAUL_CONFIG.
        trigger: What started this run, for the run history.
        retry: Returns whose given-up deliveries go again.
        kinds: Only deliveries of these kinds go again; all when none is named.
        from_shadow: Returns of which what was decided in shadow is sent.
        operator: Who has these returns sent; else the login that this runs under.
        why: Why, for the record.
    """
    with recorded_run("deliver", merchant, config=config, trigger=trigger) as session:
        for return_id in retry or ():
            read_again(session, return_id)
            retry_deliveries(session, return_id, kinds, operator, why)
        if from_shadow:
            send_shadowed(session, from_shadow, operator, why)
        decide_returns(session)
        deliver_due(session)
        decide_returns(session)
        notice_what_hangs(session)
        return publish_summary(session)


def read_again(session: Session, return_id: str) -> None:
    """Bring one return up to date with Loop: what the store holds of it may be what made its delivery fail."""
    load_returns(session, check_returns(session, keep_news(session, read_return(session, return_id))), None)
