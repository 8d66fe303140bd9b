"""Import: bring figures from a warehouse's dashboard in by file, then act on them. Needs Loop, and no API of the warehouse."""

from __future__ import annotations

from prefect import flow

from backhaul.pipeline.reconciling import RunSummary
from backhaul.pipeline.session import Session
from flows.recorded import recorded_run
from flows.sync import pull_returns
from tasks.actions import decide_returns, deliver_due, notice_what_hangs, publish_summary
from tasks.importing import load_figures, read_figures
from tasks.returns import pending_windows


@flow(name="import", flow_run_name="import-{merchant}")
def import_file(merchant: str, file: str, config: str | None = None, trigger: str = "command", warehouse: str | None = None) -> RunSummary:
    """Take in what the file says was expected, received and restocked, and process or flag the returns it completes.

    `warehouse` may be left out where the merchant has only one whose results come by file.
    """
    with recorded_run("import", merchant, config=config, trigger=trigger, by_file=True) as session:
        read = read_figures(session, file, warehouse)
        pull_news(session)
        load_figures(session, read)
        decide_returns(session)
        if deliver_due(session):
            pull_news(session)  # whole windows, so that what we did ourselves is no news to the next import
        decide_returns(session)
        notice_what_hangs(session)
        return publish_summary(session)


def pull_news(session: Session) -> None:
    """Bring the merchant's returns up to date with Loop."""
    for window in pending_windows(session):
        pull_returns(session, window, completes=window)
