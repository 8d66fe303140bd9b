"""ShipBob, as the registry has it."""

from __future__ import annotations

from backhaul.connectors.shipbob import setup, webhook
from backhaul.connectors.shipbob.normalise import normalise
from backhaul.connectors.shipbob.settings import FIRST, ShipBobSettings
from backhaul.connectors.vendor import WarehouseVendor

SHIPBOB = WarehouseVendor(
    name="shipbob",
    title="ShipBob",
    section=ShipBobSettings,
    first=FIRST,
    key="token",
    proof_key="webhook_secret",
    proves=webhook.proves,
    read=webhook.read,
    register=setup.register,
    doctor=setup.doctor,
    connect=setup.connect,
    require=setup.require,
    normalise=normalise,
    receipts=None,
    lists_changes=False,  # nothing tells what was cancelled, or what else became of a return
)
