"""The whole fleet: what the deployments run. One merchant after the other; one that fails never stops another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from prefect import flow

from backhaul import config as configuration
from backhaul.errors import BackhaulError
from flows.audit import Days, audit
from flows.reconcile import reconcile
from flows.sync import sync

log = logging.getLogger(__name__)


class FleetError(BackhaulError):
    """Some merchants' runs failed; the others' are done. The message names each with its error."""


@flow(name="sync-all")
def sync_all(merchants: list[str] | None = None, config: str | None = None) -> None:
    """Sync every merchant.

    Args:
        merchants: Merchants, as the config names them; all of them when none is named.
        config: The config file; else BACKHAUL_CONFIG.
    """
    _each(sync, merchants, config)


@flow(name="reconcile-all")
def reconcile_all(merchants: list[str] | None = None, config: str | None = None) -> None:
    """Reconcile every merchant.

    Args:
        merchants: Merchants, as the config names them; all of them when none is named.
        config: The config file; else BACKHAUL_CONFIG.
    """
    _each(reconcile, merchants, config)


@flow(name="audit-all")
def audit_all(merchants: list[str] | None = None, days: Days = 3, config: str | None = None) -> None:
    """Audit every merchant's last days.

    Args:
        merchants: Merchants, as the config names them; all of them when none is named.
        days: How many of the last days.
        config: The config file; else BACKHAUL_CONFIG.
    """
    _each(audit, merchants, config, days=days)


def _each(run: Callable[..., Any], merchants: list[str] | None, config: str | None, **more: Any) -> None:
    """Run a flow for each merchant. Raises FleetError at the end when some failed."""
    failed: dict[str, str] = {}
    for merchant in merchants or sorted(configuration.load(config).merchants):
        try:
            run(merchant, config=config, trigger="schedule", **more)
        except Exception as error:  # whatever befell one merchant, the next one's customers wait for their money too
            log.warning("%s failed: %s", merchant, error)
            failed[merchant] = str(error) or error.__class__.__name__
    if failed:
        raise FleetError(f"{len(failed)} merchants failed: " + "; ".join(f"{name}: {why}" for name, why in failed.items()))
