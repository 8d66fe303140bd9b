"""The command that receives webhooks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import typer

from backhaul.cli.app import Chosen, app, settings
from backhaul.cli.running import runner
from backhaul.pipeline.session import check_secrets
from backhaul.store.engine import Store


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8787,
    ready_limit: Annotated[int, typer.Option(min=1, help="Seconds that an event may wait before /readyz is red.")] = 300,
) -> None:
    """Receive webhooks from Loop and the warehouses, and act on them within seconds."""
    from backhaul.receiver import logs
    from backhaul.receiver.service import make_service
    from backhaul.receiver.service import serve as serve_until_told

    chosen = settings()
    check_secrets(chosen, sorted(chosen.merchants))
    logs.set_up()
    store = Store(chosen.store_url()).ready()
    try:
        work = _Work()
        service = make_service(chosen, store, work, oldest_allowed=timedelta(seconds=ready_limit))
        work.warm_up(service.metrics.observe)
        serve_until_told(service, host, port)
    finally:
        store.close()


class _Work:
    """Takes in a merchant's events as a flow run. What takes seconds to import is loaded while the server already answers."""

    def __init__(self) -> None:
        self._flow: Any = None
        self._is_warm = threading.Event()

    def __call__(self, merchant: str) -> object:
        self._is_warm.wait()
        return runner(self._flow)(merchant, config=Chosen.config, trigger="webhook")

    def warm_up(self, observe: Callable[[str, str, int, float], None]) -> None:
        """Begin to load what a run needs; `observe` is told of every call to a vendor."""
        threading.Thread(target=self._load, args=(observe,), name="warm-up", daemon=True).start()

    def _load(self, observe: Callable[[str, str, int, float], None]) -> None:
        from backhaul.pipeline.eventing import warm_up
        from flows import events, recorded

        recorded.observe = observe
        self._flow = events.handle_events
        self._is_warm.set()
        warm_up()
