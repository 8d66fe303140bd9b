"""Steps that act: decide, deliver, reconcile, publish."""

from __future__ import annotations

from prefect.artifacts import create_table_artifact
from prefect.context import FlowRunContext

from backhaul.pipeline import deciding, delivering, reconciling, shipping_notice
from backhaul.pipeline.reconciling import RunSummary
from backhaul.pipeline.session import Session
from tasks.steps import step

decide_returns = step("decide-returns", deciding.decide_due)
announce_due = step("announce-due", delivering.announce_due)
deliver_due = step("deliver-due", delivering.deliver_due)
retry_deliveries = step("retry-deliveries", delivering.retry_deliveries, run_name="retry-deliveries {return_id}")
send_shadowed = step("send-shadowed", delivering.send_shadowed)
compare_asn = step("compare-asn", shipping_notice.compare_window, run_name="compare-asn {window.start:%Y-%m-%d}")
notice_what_hangs = step("notice-what-hangs", reconciling.notice)
keep_snapshot = step("keep-snapshot", reconciling.snapshot)


def _publish_summary(session: Session) -> RunSummary:
    """Sum the run up, as an artifact on Prefect's server where there is one."""
    summary = reconciling.summary(session.run)
    if FlowRunContext.get() is not None:
        rows = [{"what": name.replace("_", " "), "count": count} for name, count in summary.counts.items()]
        create_table_artifact(key=f"{summary.flow}-{summary.merchant}".replace("_", "-"), table=rows, description=f"Run {summary.run_id}")
    return summary


def _publish_standing(session: Session) -> None:
    """Count the returns at each stage and the open exceptions, as an artifact on Prefect's server where there is one."""
    standing = reconciling.standing(session)
    if FlowRunContext.get() is not None:
        create_table_artifact(
            key=f"standing-{session.merchant}".replace("_", "-"), table=standing, description=f"Where {session.merchant} stands"
        )


publish_summary = step("publish-summary", _publish_summary)
publish_standing = step("publish-standing", _publish_standing)
