"""What a merchant's config says of its ShipBob account: the section `[merchants.NAME.shipbob]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backhaul.connectors.settings import FirstSection, Question, WarehouseSection, whole_number
from backhaul.errors import ConfigError
from backhaul.secret import SecretRef, SecretRefs
from backhaul.urls import BaseUrl

BASE_URL = "https://api.shipbob.com"


class ShipBobSettings(WarehouseSection):
    """One merchant's ShipBob account. `assumed_contract` says that you know what ShipBob's outcome words mean for your goods."""

    base_url: BaseUrl = BASE_URL
    version: Literal["2026-01", "2026-07"] = "2026-01"  # part of every path; one lives for about a year
    token: SecretRef
    webhook_secret: SecretRefs | None = None  # of our own making: whsec_ and 32 characters of base64
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


FIRST = FirstSection(
    text="""\
[{where}]
base_url = {base_url}
token = {token}
# ShipBob signs its webhooks with it. Of your own making: whsec_ and 32 characters of base64.
webhook_secret = {webhook_secret}
# The channel that the token may write to, and the fulfilment centre that Loop's labels are addressed to;
# 'backhaul doctor' names those that there are.
channel_id = {channel_id}
fulfillment_center_id = {fulfillment_center_id}
# ShipBob documents what was done with a unit (Restock, Quarantine, Dispose), not in what condition it came, and
# not how a short, an empty or an unexpected parcel shows. So a merchant begins in shadow: compare what ShipBob tells
# with what was found in the parcels (docs/shipbob.md), then set this, and set mode, above, to "live".
# assumed_contract = true
""",
    secrets={
        "token": "ShipBob's dashboard, Integrations > API Tokens, as the account's root user",
        "webhook_secret": "make one up: whsec_ and what 'openssl rand -base64 24' prints",
    },
    questions=(
        Question("base_url", "--shipbob-url", f"ShipBob's base URL; {BASE_URL} unless told.", default=BASE_URL),
        Question("channel_id", "--shipbob-channel-id", "The ShipBob channel to write to.", "ShipBob's channel id", read=whole_number),
        Question(
            "fulfillment_center_id",
            "--shipbob-center-id",
            "The ShipBob fulfilment centre that returns go to.",
            "Id of the ShipBob fulfilment centre that returns go to",
            read=whole_number,
        ),
    ),
    announce="on_label",  # without a tracking number a parcel is only recognised if it bears its Loop return id
)
