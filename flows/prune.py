"""Prune: let go what is past its retention, of every merchant."""

from __future__ import annotations

from prefect import flow

from backhaul import config as configuration
from backhaul.pipeline.retaining import Pruned
from backhaul.store.engine import Store
from tasks.retention import prune_store


@flow(name="prune")
def prune(config: str | None = None, trigger: str = "schedule") -> list[Pruned]:
    """Let go bodies, versions and attempts that are past their time (`[retention]` in the config), a little at a time.

    Args:
        config: The config file; else BACKHAUL_CONFIG.
        trigger: What started this run, for the run history.
    """
    settings = configuration.load(config)
    store = Store(settings.store_url()).ready()
    try:
        return prune_store(store, settings.retention, trigger)
    finally:
        store.close()
