"""Airhouse, as the registry has it."""

from __future__ import annotations

from backhaul.connectors.airhouse import setup, webhook
from backhaul.connectors.airhouse.normalise import normalise
from backhaul.connectors.airhouse.settings import AirhouseSettings
from backhaul.connectors.vendor import WarehouseVendor

AIRHOUSE = WarehouseVendor(
    name="airhouse",
    title="Airhouse",
    section=AirhouseSettings,
    key="api_key",
    proof_key="webhook_secret",
    proves=webhook.proves,
    read=webhook.read,
    register=setup.register,
    by_hand=setup.by_hand,
    doctor=setup.doctor,
    connect=setup.connect,
    require=setup.require,
    normalise=normalise,
    receipts=webhook.receipts,
    lists_changes=True,
    is_by_file=lambda section: not section.assumed_contract,
)
