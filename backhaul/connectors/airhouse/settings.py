"""What a merchant's config says of its Airhouse account: the section `[merchants.NAME.airhouse]`."""

from __future__ import annotations

from backhaul.connectors.settings import WarehouseSection
from backhaul.errors import ConfigError
from backhaul.secret import SecretRef


class AirhouseSettings(WarehouseSection):
    """One merchant's Airhouse account. The API is not public: `assumed_contract` says that you know it."""

    api_key: SecretRef
    webhook_secret: SecretRef | None = None
    assumed_contract: bool = False


def require_contract(settings: AirhouseSettings, where: str) -> None:
    """Raise ConfigError unless the config says that the assumed contract holds."""
    if not settings.assumed_contract:
        raise ConfigError(
            f"{where}.assumed_contract is not true: Airhouse's API is not public, and what is assumed of it is in docs/airhouse.md; "
            "set it once Airhouse has confirmed it, or bring results in with 'backhaul import airhouse'"
        )
