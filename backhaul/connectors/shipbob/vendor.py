"""ShipBob, as the registry has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backhaul.connectors.late import Late
from backhaul.connectors.shipbob.settings import FIRST, ShipBobSettings
from backhaul.connectors.vendor import WarehouseVendor

if TYPE_CHECKING:
    from backhaul.connectors.shipbob import normalise, setup, webhook
else:  # they bring the client with them
    normalise, setup, webhook = (Late(f"{__package__}.{name}") for name in ("normalise", "setup", "webhook"))

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
    normalise=normalise.normalise,
    receipts=None,
    lists_changes=False,  # nothing tells what was cancelled, or what else became of a return
)
