"""Steps of the audit."""

from __future__ import annotations

from backhaul.domain.windows import Window
from backhaul.pipeline import auditing, backfilling
from backhaul.pipeline.backfilling import Proof, Work
from backhaul.pipeline.session import Session
from backhaul.store.windows import Scope, Standing
from tasks.steps import step

_AT_ONCE = 2


def audit_windows(session: Session, days: int) -> Standing:
    """Audit the last days, each in a task of its own; the proofs are kept in `windows`."""
    scope = Scope(session.merchant, "audit", auditing.asked_of(session.clock(), days))
    session.run.window = scope.whole
    backfilling.lay_out(session, scope, is_forced=True, span=auditing.SPAN)
    standing = Work(session, scope, audit_window, _AT_ONCE).through()
    auditing.note_unaudited(session, scope.whole, standing.failed)
    return standing


@step("audit-window")
def audit_window(session: Session, window: Window) -> Proof:
    """Audit one window on both sides."""
    return auditing.audit_window(session, window)


@step("notice-silence")
def notice_silence(session: Session) -> None:
    """Raise an exception for each stream of news that is quiet for longer than is normal."""
    auditing.notice_silence(session)
