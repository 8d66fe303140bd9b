"""What a merchant's config says of its Airhouse account: the section `[merchants.NAME.airhouse]`."""

from __future__ import annotations

from backhaul.connectors.settings import FirstSection, Question, WarehouseSection
from backhaul.errors import ConfigError
from backhaul.secret import SecretRef, SecretRefs


class AirhouseSettings(WarehouseSection):
    """One merchant's Airhouse account. The API is not public: `assumed_contract` says that you know it."""

    api_key: SecretRef
    webhook_secret: SecretRefs | None = None
    assumed_contract: bool = False


def require_contract(settings: AirhouseSettings, where: str) -> None:
    """Raise ConfigError unless the config says that the assumed contract holds."""
    if not settings.assumed_contract:
        raise ConfigError(
            f"{where}.assumed_contract is not true: Airhouse's API is not public, and what is assumed of it is in docs/airhouse.md; "
            "set it once Airhouse has confirmed it, or bring results in with 'backhaul import airhouse'"
        )


FIRST = FirstSection(
    text="""\
[{where}]
base_url = {base_url}
api_key = {api_key}
webhook_secret = {webhook_secret}
# Airhouse's API is not public. Set this to true once you have compared the one you were given with the one
# that Backhaul assumes. Until then results come by 'backhaul import airhouse', and announce, below, must be off.
assumed_contract = false
""",
    secrets={"api_key": "from your Airhouse account manager", "webhook_secret": "agreed with your Airhouse account manager"},
    questions=(Question("base_url", "--airhouse-url", "Airhouse's base URL.", "Airhouse's base URL"),),
    announce="off",  # no API of it is assumed yet
)
