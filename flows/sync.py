"""Sync: bring a merchant up to date with Loop and its warehouses, then act on what changed."""

from __future__ import annotations

from prefect import flow

from backhaul.domain.windows import Window
from backhaul.pipeline.intake import Pull
from backhaul.pipeline.pulling import what_came_since
from backhaul.pipeline.reconciling import RunSummary
from backhaul.pipeline.session import Session
from flows.events import take_in_events
from flows.recorded import recorded_run
from tasks.actions import announce_due, compare_asn, decide_returns, deliver_due, notice_what_hangs, publish_summary
from tasks.receipts import load_receipts, poll_warehouse
from tasks.returns import check_returns, extract_returns, keep_news, load_returns, pending_windows

SHOWS_OUR_ACTS = ("closed", "review")  # the states that a process or a flag leads to


@flow(name="sync", flow_run_name="sync-{merchant}", retries=0)
def sync(merchant: str, config: str | None = None, trigger: str = "schedule") -> RunSummary:
    """Bring one merchant up to date, announce new returns, and process or flag what the warehouse has inspected."""
    with recorded_run("sync", merchant, config=config, trigger=trigger) as session:
        take_in_events(session)
        for window in pending_windows(session):
            pull_returns(session, window, completes=window)
            compare_asn(session, window)
        decide_returns(session)
        with session.put_off():
            announce_due(session)
        for warehouse in session.warehouses:  # before a process is sent, so that a correction that waits there is known
            with session.put_off():
                load_receipts(session, poll_warehouse(session, warehouse))
        decide_returns(session)
        if deliver_due(session):
            pull_returns(session, what_came_since(session), states=SHOWS_OUR_ACTS)
        decide_returns(session)
        notice_what_hangs(session)
        return publish_summary(session)


def pull_returns(session: Session, window: Window, *, completes: Window | None = None, states: tuple[str, ...] | None = None) -> None:
    """Batch by batch: extract a window, keep what is news, check it, load it. The watermark moves with the last batch."""
    pull = Pull(session, window, states)
    while (batch := extract_returns(session, pull)) is not None:
        load_returns(session, check_returns(session, keep_news(session, batch)), completes)
