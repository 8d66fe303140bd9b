"""Loop, as the registry has it: the platform, and no warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backhaul.connectors.late import Late
from backhaul.connectors.loop.settings import FIRST, LoopSettings
from backhaul.connectors.vendor import Vendor

if TYPE_CHECKING:
    from backhaul.connectors.loop import setup, webhook
else:  # they bring the client with them
    setup, webhook = (Late(f"{__package__}.{name}") for name in ("setup", "webhook"))

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
