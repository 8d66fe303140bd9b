"""What a merchant's config says of its ShipBob account: the section `[merchants.NAME.shipbob]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backhaul.connectors.settings import WarehouseSection
from backhaul.errors import ConfigError
from backhaul.secret import SecretRef
from backhaul.urls import BaseUrl


class ShipBobSettings(WarehouseSection):
    """One merchant's ShipBob account. `assumed_contract` says that you know what ShipBob's outcome words mean for your goods."""

    base_url: BaseUrl = "https://api.shipbob.com"
    version: Literal["2026-01", "2026-07"] = "2026-01"  # part of every path; one lives for about a year
    token: SecretRef
    webhook_secret: SecretRef | None = None  # of our own making: whsec_ and 32 characters of base64
    channel_id: int = Field(ge=1)  # a create must name a channel that this token may write to
    fulfillment_center_id: int = Field(ge=1)  # where the parcels go: the one that the return label is addressed to
    assumed_contract: bool = False
    requests_per_minute: int = Field(100, ge=1)  # ShipBob allows 150, shared with every other tool on the merchant's account


def require_contract(settings: ShipBobSettings, mode: str, where: str) -> None:
    """Raise ConfigError for a live merchant whose config does not say that the assumed outcomes hold."""
    if mode == "live" and not settings.assumed_contract:
        raise ConfigError(
            f"{where}.assumed_contract is not true, so {where.rpartition('.')[0]}.mode must be 'shadow': ShipBob documents how units came "
            "back, not in what condition, and what is assumed of it is in docs/shipbob.md; set it once you have seen it hold"
        )
