"""Airhouse, as the registry has it."""

from __future__ import annotations

from backhaul.connectors.airhouse import setup, webhook
from backhaul.connectors.airhouse.figures import as_receipts, read_figures
from backhaul.connectors.airhouse.normalise import normalise
from backhaul.connectors.airhouse.settings import FIRST, AirhouseSettings
from backhaul.connectors.by_file import ByFile
from backhaul.connectors.vendor import WarehouseVendor

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
    normalise=normalise,
    receipts=webhook.receipts,
    lists_changes=True,
    by_file=ByFile(
        told="the expected, received and restocked figures of Airhouse's dashboard",
        read=read_figures,
        as_receipts=as_receipts,
        is_only_way=lambda section: not section.assumed_contract,
    ),
)
