"""The warehouses there are. A new one is a folder beside this file and a line here."""

from __future__ import annotations

from backhaul.config import MerchantSettings, resolve
from backhaul.connectors.airhouse.client import Airhouse
from backhaul.connectors.base import Warehouse
from backhaul.connectors.http import Observe
from backhaul.connectors.masonhub.client import MasonHub


def connect_warehouse(name: str, merchant: str, settings: MerchantSettings, observe: Observe | None = None) -> Warehouse:
    """A client for one of a merchant's warehouses. Raises ConfigError when its secret, or its assumed contract, is missing."""
    if name == "masonhub" and settings.masonhub is not None:
        token = resolve(settings.masonhub.token, f"merchants.{merchant}.masonhub.token")
        return MasonHub.connect(settings.masonhub, merchant=merchant, token=token, observe=observe)
    if name == "airhouse" and settings.airhouse is not None:
        api_key = resolve(settings.airhouse.api_key, f"merchants.{merchant}.airhouse.api_key")
        return Airhouse.connect(settings.airhouse, merchant=merchant, api_key=api_key, observe=observe)
    raise ValueError(f"merchant {merchant} has no warehouse {name!r}")


def is_by_file(name: str, settings: MerchantSettings) -> bool:
    """Whether a warehouse's results come by file alone: Airhouse, while its contract is not assumed."""
    return name == "airhouse" and settings.airhouse is not None and not settings.airhouse.assumed_contract
