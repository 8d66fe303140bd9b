"""MasonHub, as the registry has it."""

from __future__ import annotations

from backhaul.connectors.masonhub import setup, webhook
from backhaul.connectors.masonhub.normalise import normalise
from backhaul.connectors.masonhub.settings import FIRST, MasonHubSettings
from backhaul.connectors.vendor import WarehouseVendor

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
    normalise=normalise,
    receipts=webhook.receipts,
    lists_changes=False,  # its own list holds only what it made itself
    reason_codes=("tooBig", "tooSmall", "damaged", "wrongItem", "other"),
)
