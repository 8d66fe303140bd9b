"""Who is let in: each vendor's proof, checked over the raw bytes in constant time, before any part of the body is parsed.

An unknown merchant, a source without a secret and a wrong proof are the same refusal, and take the same work.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from backhaul.config import Settings
from backhaul.connectors.registry import VENDORS
from backhaul.connectors.text import shield
from backhaul.connectors.vendor import Account
from backhaul.errors import ConfigError

_NOBODY = secrets.token_hex(32).encode()  # what an unknown merchant's requests are held against: nobody has it


class Door:
    """The webhook secrets of every merchant, resolved once. Raises ConfigError when a reference cannot be resolved."""

    def __init__(self, settings: Settings) -> None:
        self._secrets: dict[tuple[str, str], bytes] = {}
        for merchant, mine in settings.merchants.items():
            for source, vendor in VENDORS.items():
                if getattr(mine, source) is None:
                    continue
                account = mine.account(merchant, source)
                if getattr(account.section, vendor.proof_key) is not None:
                    secret = account.secret(vendor.proof_key)
                    self._secrets[merchant, source] = secret.get_secret_value().encode()
                    shield([secret.get_secret_value()])
                _shield_keys(account, vendor.key)

    def __repr__(self) -> str:
        return f"Door({sorted(self._secrets)})"

    @property
    def entrances(self) -> list[tuple[str, str]]:
        """(merchant, source) of everything that can be let in."""
        return sorted(self._secrets)

    def admits(self, merchant: str, source: str, headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
        """Whether a request proves that it comes from the merchant's vendor."""
        secret = self._secrets.get((merchant, source))
        is_proven = VENDORS[source].proves(_NOBODY if secret is None else secret, headers, raw, now)
        return is_proven and secret is not None


def _shield_keys(account: Account, key: str) -> None:
    """Keep the keys to the vendors' APIs out of what their webhooks say; one that cannot be resolved here cannot be told either."""
    with suppress(ConfigError):
        shield([account.secret(key).get_secret_value()])
