"""Backfill: bring a range of the past in, window by window, on as many threads and workers as there are."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from pydantic import Field

from backhaul.domain.windows import Window, parse_range
from backhaul.errors import ConfigError
from backhaul.pipeline import backfilling
from backhaul.pipeline.pulling import what_came_since
from backhaul.pipeline.reconciling import RunSummary
from backhaul.pipeline.session import Session, utc_now
from backhaul.store.windows import Scope
from flows.recorded import recorded_run
from flows.sync import SHOWS_OUR_ACTS, pull_returns
from tasks.actions import decide_returns, deliver_due, publish_summary
from tasks.windows import call_workers_in, dismiss_workers, do_windows, lay_out_windows

Bound = Annotated[str, Field(min_length=8)]


@flow(name="backfill", flow_run_name="backfill-{merchant}-{start}-{end}")
def backfill(
    merchant: str,
    start: Bound,
    end: Bound,
    act: bool = False,
    force: bool = False,
    workers: Annotated[int, Field(ge=1, le=16)] = 4,
    fan_out: Annotated[int, Field(ge=0, le=64)] = 0,
    is_share: bool = False,
    config: str | None = None,
    trigger: str = "schedule",
) -> RunSummary:
    """Read a range of Loop's past and the warehouse's side of it into the store; only what is not done yet.

    Args:
        merchant: The merchant, as the config names it.
        start: A day (2026-11-01, its midnight in UTC) or a time with its zone.
        end: Likewise; the end itself is left out.
        act: Create RMAs and send decisions, as sync does. Otherwise nothing is sent.
        force: Do windows again that are done.
        workers: Windows at once in each process.
        fan_out: How many runs more take part, on the work pool's workers.
        is_share: Take part in a backfill that is under way, laying nothing out.
        config: The config file; else BACKHAUL_CONFIG.
        trigger: What started this run, for the run history.
    """
    whole = asked_range(start, end)
    scope = Scope.of_backfill(merchant, whole, acts=act)
    with recorded_run("backfill", merchant, config=config, trigger=trigger) as session:
        if not is_share:
            lay_out_windows(session, scope, force)
        share = {"merchant": merchant, "start": whole.start.isoformat(), "end": whole.end.isoformat(), "act": act, "workers": workers}
        called = call_workers_in(session, fan_out, share | {"is_share": True, "config": config}) if fan_out else []
        standing = do_windows(session, scope, act, workers)
        if called:
            dismiss_workers(called)
        if act:
            act_on(session)
        backfilling.conclude(session, standing)
        return publish_summary(session)


def act_on(session: Session) -> None:
    """Send what is owed, and read back what Loop made of it."""
    if deliver_due(session):
        pull_returns(session, what_came_since(session), states=SHOWS_OUR_ACTS)
    decide_returns(session)


def asked_range(start: str, end: str) -> Window:
    """The range that was asked for. Raises ConfigError that says what is wrong with it."""
    try:
        return parse_range(start, end, utc_now())
    except ValueError as error:
        raise ConfigError(str(error)) from None
