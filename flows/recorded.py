"""What every flow starts with: the config, the store, and a run on record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.context import FlowRunContext

from backhaul import config as configuration
from backhaul.connectors.http import Observe
from backhaul.pipeline.session import Session, open_session
from backhaul.store.engine import Store

observe: Observe | None = None  # told of every call to a vendor; a service that publishes metrics sets it


@contextmanager
def recorded_run(flow: str, merchant: str, *, config: str | None, trigger: str, by_file: bool = False) -> Iterator[Session]:
    """A session for one merchant, on record from its first moment, tied to the Prefect flow run where there is one."""
    settings = configuration.load(config)
    context = FlowRunContext.get()
    flow_run_id = str(context.flow_run.id) if context is not None and context.flow_run is not None else None
    store = Store(settings.store_url()).ready()
    try:
        with open_session(
            settings, store, merchant, flow, trigger=trigger, by_file=by_file, flow_run_id=flow_run_id, observe=observe
        ) as session:
            yield session
    finally:
        store.close()
