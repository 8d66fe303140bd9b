"""What a merchant's config says of its MasonHub account: the section `[merchants.NAME.masonhub]`."""

from __future__ import annotations

from backhaul.connectors.settings import WarehouseSection
from backhaul.secret import SecretRef


class MasonHubSettings(WarehouseSection):
    """One merchant's MasonHub account. MasonHub documents no rate; 300 a minute is ours."""

    token: SecretRef
    callback_token: SecretRef | None = None
    send_order_id: bool = False
