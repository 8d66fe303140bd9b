"""What every flow starts with: the config, the store, and a run on record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from prefect.context import FlowRunContext

from backhaul import config as configuration
from backhaul.config import Settings
from backhaul.connectors.budget import Ledger
from backhaul.connectors.http import Observe
from backhaul.errors import ConfigError
from backhaul.pipeline.session import Session, open_session
from backhaul.store.budgets import ledger_of
from backhaul.store.engine import Store

observe: Observe | None = None  # told of every call to a vendor; a service that publishes metrics sets it


@dataclass(frozen=True, slots=True)
class Ground:
    """What the runs of many merchants share: the config as it was read once, one store with its connections, one ledger of calls."""

    settings: Settings
    store: Store
    ledger: Ledger | None
    flow_run_id: str | None


_GROUND: ContextVar[Ground | None] = ContextVar("ground", default=None)


@contextmanager
def shared_ground(settings: Settings, *, connections: int) -> Iterator[Ground]:
    """What the runs of many merchants stand on (`standing_on`), opened once."""
    store = Store(settings.store_url(), connections=connections).ready()
    try:
        with ledger_of(store) as ledger:
            yield Ground(settings, store, ledger, this_flow_run())
    finally:
        store.close()


@contextmanager
def standing_on(ground: Ground) -> Iterator[None]:
    """Runs inside share the ground."""
    token = _GROUND.set(ground)
    try:
        yield
    finally:
        _GROUND.reset(token)


def this_flow_run() -> str | None:
    """The id of the Prefect flow run that this is part of, if there is one."""
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context is not None and context.flow_run is not None else None


@contextmanager
def recorded_run(flow: str, merchant: str, *, config: str | None, trigger: str, by_file: bool = False) -> Iterator[Session]:
    """A session for one merchant, on record from its first moment, tied to the Prefect flow run where there is one."""
    ground = _GROUND.get()
    if ground is None:
        settings, broken = configuration.load_fleet(config)
        if merchant in broken:
            raise ConfigError(broken[merchant])
        store = Store(settings.store_url()).ready()
        try:
            with (
                ledger_of(store) as ledger,
                _session(Ground(settings, store, ledger, this_flow_run()), flow, merchant, trigger, by_file) as session,
            ):
                yield session
        finally:
            store.close()
        return
    with _session(ground, flow, merchant, trigger, by_file) as session:
        yield session


@contextmanager
def _session(on: Ground, flow: str, merchant: str, trigger: str, by_file: bool) -> Iterator[Session]:
    with open_session(
        on.settings,
        on.store,
        merchant,
        flow,
        trigger=trigger,
        by_file=by_file,
        flow_run_id=on.flow_run_id,
        observe=observe,
        ledger=on.ledger,
    ) as session:
        yield session
