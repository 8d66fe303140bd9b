"""Steps on windows: lay a backfill out, do its windows, call other workers in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

from backhaul.pipeline import backfilling
from backhaul.pipeline.backfilling import Work
from backhaul.pipeline.session import Session
from backhaul.store.windows import Scope, Standing
from tasks import shares
from tasks.steps import step

SHARE = "backfill/backfill-share"  # the deployment that other workers join a backfill by


def _lay_out_windows(session: Session, scope: Scope, is_forced: bool) -> None:
    """Write the windows that are to be done. When Prefect retries the run, what its first attempt has done is not forced again."""
    session.run.window = scope.whole
    context = FlowRunContext.get()
    is_retry = context is not None and context.flow_run is not None and context.flow_run.run_count > 1
    backfilling.lay_out(session, scope, is_forced=is_forced and not is_retry)


def do_windows(session: Session, scope: Scope, acts: bool, workers: int) -> Standing:
    """Do windows, several at once, until all are settled; each is a task of its own, and their progress an artifact."""
    work = Work(session, scope, lambda aside, window: backfill_window(aside, window, acts=acts, should_stop=work.should_stop), workers)
    with _progress(session, scope) as tell:
        return work.through(tell)


backfill_window = step("backfill-window", backfilling.load_window, run_name="backfill-window {window.start:%Y-%m-%d}")


class _Teller:
    """Keeps a progress artifact up to date, writing only what changed."""

    def __init__(self, artifact_id: UUID | None) -> None:
        self._artifact_id = artifact_id
        self._told: float | None = None

    def __call__(self, standing: Standing) -> None:
        progress = round(100.0 * standing.settled / standing.total, 1) if standing.total else 100.0
        if self._artifact_id is not None and progress != self._told:
            self._told = progress
            words = f"{standing.settled} of {standing.total} windows, {standing.records_in} returns, {len(standing.failed)} windows failed"
            update_progress_artifact(self._artifact_id, progress, words)


@contextmanager
def _progress(session: Session, scope: Scope) -> Iterator[_Teller]:
    if FlowRunContext.get() is None:
        yield _Teller(None)
        return
    key = f"{scope.purpose}-{scope.merchant}".replace("_", "-")
    yield _Teller(create_progress_artifact(0.0, key, str(scope.whole)))  # type: ignore[arg-type]


def _call_workers_in(session: Session, count: int, parameters: dict[str, Any]) -> list[UUID]:
    """Start `count` runs of the share deployment, which take windows of this backfill. Raises ConfigError without server or deployment."""
    return shares.call_in(SHARE, session.run.run_id[:8], count, parameters)


def _dismiss_workers(called: Sequence[UUID]) -> None:
    """Cancel the runs that were called in and never began."""
    shares.dismiss(called, "every window is done")


lay_out_windows = step("lay-out-windows", _lay_out_windows)
call_workers_in = step("call-workers-in", _call_workers_in)
dismiss_workers = step("dismiss-workers", _dismiss_workers)
