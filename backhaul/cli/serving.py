"""The command that receives webhooks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from backhaul.cli.app import Chosen, app, settings
from backhaul.cli.running import runner
from backhaul.pipeline.session import check_secrets
from backhaul.store.engine import Store

if TYPE_CHECKING:
    from backhaul.connectors.http import Observe
    from backhaul.receiver.dispatcher import Work


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8787,
    ready_limit: Annotated[int, typer.Option(min=1, help="Seconds that an event may wait before /readyz is red.")] = 300,
) -> None:
    """Receive webhooks from Loop and the warehouses, and act on them within seconds."""
    from backhaul.receiver import logs
    from backhaul.receiver.service import make_service, with_worker
    from backhaul.receiver.service import serve as serve_until_told

    chosen = settings()
    check_secrets(chosen, sorted(chosen.merchants))
    logs.set_up()
    store = Store(chosen.store_url()).ready()
    try:
        service = make_service(chosen, store, oldest_allowed=timedelta(seconds=ready_limit))
        serve_until_told(with_worker(service, Chosen.config, _work), host, port)
    finally:
        store.close()


def _work(config: str | None, observe: Observe) -> Work:
    """What the worker's process does with a merchant's events: a flow run. All of it is imported before the first."""
    from flows import events, recorded

    recorded.observe = observe
    return lambda merchant: runner(events.handle_events)(merchant, config=config, trigger="webhook")
