"""Retry quarantine: read the records in quarantine again from their source, and let those pass that now do."""

from __future__ import annotations

from prefect import flow

from backhaul.pipeline.reconciling import RunSummary
from flows.recorded import recorded_run
from tasks.actions import decide_returns, publish_summary
from tasks.quarantine import begin_retry, count_held, read_held_receipts, read_held_returns
from tasks.receipts import load_receipts
from tasks.returns import check_returns, keep_news, load_returns


@flow(name="retry-quarantine", flow_run_name="retry-quarantine-{merchant}")
def retry_quarantine(
    merchant: str, config: str | None = None, trigger: str = "command", operator: str | None = None, why: str | None = None
) -> RunSummary:
    """Give every record in quarantine another chance, as its source has it now.

    Args:
        merchant: The merchant, as the config names it.
        config: The config file; else BACKHAUL_CONFIG.
        trigger: What started this run, for the run history.
        operator: Who has them read again; else the login that this runs under.
        why: Why, for the record.
    """
    with recorded_run("retry-quarantine", merchant, config=config, trigger=trigger) as session:
        before = begin_retry(session, operator, why)
        load_returns(session, check_returns(session, keep_news(session, read_held_returns(session))), None)
        for warehouse in session.warehouses:
            load_receipts(session, read_held_receipts(session, warehouse))
        decide_returns(session)
        session.run.add("still_held", count_held(session))
        session.run.add("released", before - session.run.count("still_held"))
        return publish_summary(session)
