"""Airhouse, as the registry has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backhaul.connectors.airhouse.settings import FIRST, AirhouseSettings
from backhaul.connectors.by_file import ByFile
from backhaul.connectors.late import Late
from backhaul.connectors.vendor import WarehouseVendor

if TYPE_CHECKING:
    from backhaul.connectors.airhouse import figures, normalise, setup, webhook
else:  # they bring the client with them
    figures, normalise, setup, webhook = (Late(f"{__package__}.{name}") for name in ("figures", "normalise", "setup", "webhook"))

AIRHOUSE = WarehouseVendor(
    name="airhouse",
    title="Airhouse",
    section=AirhouseSettings,
    first=FIRST,
    key="api_key",
    proof_key="webhook_secret",
    proves=webhook.proves,
    read=webhook.read,
    register=setup.register,
    by_hand=setup.by_hand,
    doctor=setup.doctor,
    connect=setup.connect,
    require=setup.require,
    normalise=normalise.normalise,
    receipts=webhook.receipts,
    lists_changes=True,
    by_file=ByFile(
        told="the expected, received and restocked figures of Airhouse's dashboard",
        read=figures.read_figures,
        as_receipts=figures.as_receipts,
        is_only_way=lambda section: not section.assumed_contract,
    ),
)
