"""The whole fleet: what the deployments run. One flow run is a round over many merchants, in which none waits for another."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from prefect import flow
from prefect.context import FlowRunContext
from pydantic import Field

from backhaul import config as configuration
from backhaul.errors import BackhaulError, ConfigError
from backhaul.pipeline import rounds
from backhaul.pipeline.rounds import Outcome, Pace, Round
from backhaul.store.turns import Turns, completed_under, longest_waiting_first
from flows.audit import Days, audit
from flows.reconcile import reconcile
from flows.recorded import Ground, shared_ground, standing_on
from flows.sync import sync
from tasks import shares
from tasks.rounds import in_our_words, publish_round

SHARE = "sync-all/sync-share"  # the deployment that other workers join a round by

_NAMED = 20  # merchants in an error's message
_CONNECTIONS = 24  # to the store; a run holds one for moments, between its calls to vendors


class FleetError(BackhaulError):
    """Some merchants' runs failed; the others' are done. The message names them; `outcomes` has each with its error."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        failed = [one for one in outcomes if one.error is not None]
        named = "; ".join(f"{one.merchant}: {in_our_words(one)}" for one in failed[:_NAMED])
        more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        super().__init__(f"{len(failed)} merchants failed: {named}{more}; 'backhaul runs' has the whole of each")
        self.outcomes = list(outcomes)


@flow(name="sync-all")
def sync_all(
    merchants: list[str] | None = None,
    config: str | None = None,
    trigger: str = "schedule",
    fan_out: Annotated[int, Field(ge=0, le=64)] = 0,
    since: datetime | None = None,
) -> list[Outcome]:
    """Sync every merchant.

    Args:
        merchants: Merchants, as the config names them; all of them when none is named.
        config: The config file; else BACKHAUL_CONFIG.
        trigger: What started this run, for the run history.
        fan_out: How many runs more take part, on the work pool's workers; the store is on PostgreSQL then.
        since: When the round began that this run takes part in; without, it begins one.
    """
    return _round("sync", sync.fn, rounds.SYNC, merchants, config, trigger, fan_out, since)


@flow(name="reconcile-all")
def reconcile_all(merchants: list[str] | None = None, config: str | None = None, trigger: str = "schedule") -> list[Outcome]:
    """Reconcile every merchant.

    Args:
        merchants: Merchants, as the config names them; all of them when none is named.
        config: The config file; else BACKHAUL_CONFIG.
        trigger: What started this run, for the run history.
    """
    return _round("reconcile", reconcile.fn, rounds.RECONCILE, merchants, config, trigger)


@flow(name="audit-all")
def audit_all(merchants: list[str] | None = None, days: Days = 3, config: str | None = None, trigger: str = "schedule") -> list[Outcome]:
    """Audit every merchant's last days.

    Args:
        merchants: Merchants, as the config names them; all of them when none is named.
        days: How many of the last days.
        config: The config file; else BACKHAUL_CONFIG.
        trigger: What started this run, for the run history.
    """
    return _round("audit", audit.fn, rounds.AUDIT, merchants, config, trigger, days=days)


def _round(
    name: str,
    run: Callable[..., Any],
    pace: Pace,
    merchants: list[str] | None,
    config: str | None,
    trigger: str,
    fan_out: int = 0,
    since: datetime | None = None,
    **more: Any,
) -> list[Outcome]:
    """Run a flow's body for each merchant. Raises FleetError at the end when some failed."""
    settings, broken = configuration.load_fleet(config)
    known = {one: why for one, why in broken.items() if merchants is None or one in merchants}
    outcomes = [Outcome(one, error=ConfigError(why)) for one, why in known.items()]
    with shared_ground(settings, connections=_CONNECTIONS) as ground:
        turns = Turns(ground.store, name, f"{socket.gethostname()}:{os.getpid()}:{ground.flow_run_id or ''}", since)
        order = _order(ground, name, [one for one in merchants or settings.merchants if one not in broken])
        turns.open(order)
        called = _call_workers_in(ground, turns, fan_out, merchants, config) if fan_out else []

        def one_run(merchant: str) -> dict[str, int]:
            with standing_on(ground):  # and in no flow run: Prefect is told of the round, not of each step
                counts: dict[str, int] = run(merchant, config=config, trigger=trigger, **more).counts
            return counts

        outcomes += Round(one_run, pace, turns).through(order, is_share=since is not None)
        if called:
            shares.dismiss(called, "every merchant is done")
        publish_round(name, outcomes)
    if any(one.error is not None for one in outcomes):
        raise FleetError(outcomes)
    return outcomes


def _order(ground: Ground, name: str, merchants: Sequence[str]) -> list[str]:
    """The longest waiting first. When Prefect tries a round again, what its first attempt has completed is left alone."""
    context = FlowRunContext.get()
    done: set[str] = set()
    with ground.store.read() as connection:
        if context is not None and context.flow_run is not None and context.flow_run.run_count > 1 and context.flow_run.start_time:
            done = completed_under(connection, name, str(context.flow_run.id), context.flow_run.start_time)
        return longest_waiting_first(connection, name, [one for one in merchants if one not in done])


def _call_workers_in(ground: Ground, turns: Turns, fan_out: int, merchants: list[str] | None, config: str | None) -> list[Any]:
    if turns.since is None:
        raise ConfigError("several workers share a round on PostgreSQL alone; set store.url, or fan_out to 0")
    parameters = {"merchants": merchants, "config": config, "since": turns.since.isoformat()}
    return shares.call_in(SHARE, (ground.flow_run_id or "")[:8], fan_out, parameters)
