"""Steps that act: decide, deliver, reconcile, publish."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.artifacts import create_table_artifact
from prefect.context import FlowRunContext

from backhaul.domain.windows import Window
from backhaul.pipeline import outcomes, reading_back, reconciling, shipping_notice
from backhaul.pipeline.deciding import decide_due
from backhaul.pipeline.delivering import Courier
from backhaul.pipeline.reconciling import RunSummary
from backhaul.pipeline.session import Session
from backhaul.store import outbox
from backhaul.store.returns import mark_due
from tasks.steps import step


@step("decide-returns")
def decide_returns(session: Session) -> None:
    """Decide every return with news and every hold that has fallen due; owe the deliveries that follow."""
    decide_due(session)


@step("deliver-due")
def deliver_due(session: Session) -> bool:
    """Drain the outbox; returns whether Loop accepted a process or a flag, which it will now show."""
    courier = Courier(session)
    courier.drain()
    return courier.acts > 0


@step("retry-deliveries")
def retry_deliveries(session: Session, return_id: str, kinds: Sequence[str] | None) -> None:
    """Give the refused, failed and dead deliveries of one return another chance, because an operator asked for it."""
    with session.write() as tx:
        session.run.add("retried", len(outbox.retry(tx, return_id, kinds)))
        mark_due(tx, [return_id])


@step("compare-asn")
def compare_asn(session: Session, window: Window) -> None:
    """Hold the shipping notice against the list."""
    shipping_notice.compare(session, window, shipping_notice.pull(session, window))


@step("notice-what-hangs")
def notice_what_hangs(session: Session) -> None:
    """Raise exceptions for what a vendor accepted or told of and never showed, and follow what we processed to its end."""
    reconciling.notice_what_hangs(session)
    reading_back.ask_again(session)
    outcomes.follow(session)


@step("publish-summary")
def publish_summary(session: Session) -> RunSummary:
    """Sum the run up, as an artifact on Prefect's server where there is one."""
    summary = reconciling.summary(session.run)
    if FlowRunContext.get() is not None:
        rows = [{"what": name.replace("_", " "), "count": count} for name, count in summary.counts.items()]
        create_table_artifact(key=f"{summary.flow}-{summary.merchant}".replace("_", "-"), table=rows, description=f"Run {summary.run_id}")
    return summary


@step("publish-standing")
def publish_standing(session: Session) -> None:
    """Count the returns at each stage and the open exceptions, as an artifact on Prefect's server where there is one."""
    standing = reconciling.standing(session)
    if FlowRunContext.get() is not None:
        create_table_artifact(
            key=f"standing-{session.merchant}".replace("_", "-"), table=standing, description=f"Where {session.merchant} stands"
        )
