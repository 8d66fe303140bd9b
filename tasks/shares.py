"""Calling the work pool's other workers in: runs of a share deployment, which take part in what is under way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

from backhaul.errors import ConfigError


def call_in(deployment: str, name: str, count: int, parameters: dict[str, Any]) -> list[UUID]:
    """Start `count` runs of a deployment, named after `name`. Raises ConfigError without a server, or without the deployment."""
    if FlowRunContext.get() is None:
        raise ConfigError("this fans out over the workers of a Prefect server; set PREFECT_API_URL to one that answers")
    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(deployment)
        except ObjectNotFound:
            raise ConfigError(f"the Prefect server has no deployment {deployment}; 'prefect deploy --all' makes it") from None
        names = [f"{name}-share-{number}" for number in range(1, count + 1)]
        return [client.create_flow_run_from_deployment(found.id, parameters=parameters, name=one, idempotency_key=one).id for one in names]


def dismiss(called: Sequence[UUID], why: str) -> None:
    """Cancel the runs that were called in and never began: there is nothing left for them."""
    with get_client(sync_client=True) as client:
        for flow_run_id in called:
            state = client.read_flow_run(flow_run_id).state
            if state is not None and (state.is_scheduled() or state.is_pending()):
                client.set_flow_run_state(flow_run_id, Cancelled(message=why), force=True)
