"""MasonHub, as the registry has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backhaul.connectors.late import Late
from backhaul.connectors.masonhub.settings import FIRST, MasonHubSettings
from backhaul.connectors.vendor import WarehouseVendor

if TYPE_CHECKING:
    from backhaul.connectors.masonhub import normalise, setup, webhook
else:  # they bring the client with them
    normalise, setup, webhook = (Late(f"{__package__}.{name}") for name in ("normalise", "setup", "webhook"))

MASONHUB = WarehouseVendor(
    name="masonhub",
    title="MasonHub",
    section=MasonHubSettings,
    first=FIRST,
    key="token",
    proof_key="callback_token",
    proves=webhook.proves,
    read=webhook.read,
    register=setup.register,
    doctor=setup.doctor,
    connect=setup.connect,
    normalise=normalise.normalise,
    receipts=webhook.receipts,
    lists_changes=False,  # its own list holds only what it made itself
    reason_codes=("tooBig", "tooSmall", "damaged", "wrongItem", "other"),
)
