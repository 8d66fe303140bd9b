"""The warehouses there are. A new one is a folder beside this file and a line here."""

from __future__ import annotations

from backhaul.config import MerchantSettings, resolve
from backhaul.connectors.base import Warehouse
from backhaul.connectors.http import Observe
from backhaul.connectors.masonhub.client import MasonHub


def connect_warehouse(name: str, merchant: str, settings: MerchantSettings, observe: Observe | None = None) -> Warehouse:
    """A client for one of a merchant's warehouses. Raises ConfigError when its secret cannot be resolved."""
    if name == "masonhub" and settings.masonhub is not None:
        token = resolve(settings.masonhub.token, f"merchants.{merchant}.masonhub.token")
        return MasonHub.connect(settings.masonhub, merchant=merchant, token=token, observe=observe)
    raise ValueError(f"merchant {merchant} has no warehouse {name!r}")
