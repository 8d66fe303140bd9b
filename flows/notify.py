"""Notify: tell people, and Prefect, what has come to need a look since they were last told."""

from __future__ import annotations

from prefect import flow

from backhaul import config as configuration
from backhaul.store.engine import Store
from tasks.notify import send_due


@flow(name="notify")
def notify(config: str | None = None) -> dict[str, int]:
    """Send what is due to every address of `[notify]`, as a digest, and as Prefect events.

    Args:
        config: The config file; else BACKHAUL_CONFIG.
    """
    settings = configuration.load(config)
    store = Store(settings.store_url()).ready()
    try:
        return send_due(store, settings)
    finally:
        store.close()
