"""Loop, as the registry has it: the platform, and no warehouse."""

from __future__ import annotations

from backhaul.connectors.loop import setup, webhook
from backhaul.connectors.loop.settings import FIRST, LoopSettings
from backhaul.connectors.vendor import Vendor

LOOP = Vendor(
    name="loop",
    title="Loop",
    section=LoopSettings,
    first=FIRST,
    key="api_key",
    proof_key="webhook_secret",
    proves=webhook.proves,
    read=webhook.read,
    register=setup.register,
    by_hand=setup.by_hand,
    doctor=setup.doctor,
)
