"""Steps of the audit."""

from __future__ import annotations

from backhaul.pipeline import auditing, backfilling, judging
from backhaul.pipeline.backfilling import Work
from backhaul.pipeline.session import Session
from backhaul.store.windows import Scope, Standing
from tasks.steps import step

_AT_ONCE = 2

audit_window = step("audit-window", auditing.audit_window, run_name="audit-window {window.start:%Y-%m-%d}")
judge_stored = step("judge-stored", judging.judge_stored)
notice_silence = step("notice-silence", auditing.notice_silence)


def audit_windows(session: Session, days: int) -> Standing:
    """Audit the last days, each in a task of its own; the proofs are kept in `windows`."""
    scope = Scope(session.merchant, "audit", auditing.asked_of(session.clock(), days))
    session.run.window = scope.whole
    backfilling.lay_out(session, scope, is_forced=True, span=auditing.SPAN)
    standing = Work(session, scope, audit_window, _AT_ONCE).through()
    auditing.note_unaudited(session, scope.whole, standing.failed)
    return standing
