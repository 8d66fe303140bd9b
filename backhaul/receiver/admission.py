"""Who is let in: each vendor's proof, checked over the raw bytes in constant time, before any part of the body is parsed.

An unknown merchant, a source without a secret and a wrong proof are the same refusal, and take the same work.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from backhaul.config import Settings
from backhaul.connectors.registry import VENDORS
from backhaul.connectors.text import shield
from backhaul.connectors.vendor import Account
from backhaul.errors import ConfigError

_AT_ONCE = 2  # secrets of one entrance
_READ_AGAIN = 60.0  # seconds
_NOBODY = secrets.token_hex(32).encode()  # what an unknown merchant's requests are held against: nobody has it


class Door:
    """The webhook secrets of every merchant: one each, or two while it is rotated. Raises ConfigError when a reference cannot be resolved.

    They are resolved once. Those behind a `block:` are read anew when a proof fails, at most once a minute, so that a rotated secret is let
    in without a restart; an `env:` cannot change while a process lives.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secrets: dict[tuple[str, str], tuple[bytes, ...]] = {}
        self._in_blocks: dict[tuple[str, str], Account] = {}
        self._read_at: dict[tuple[str, str], float] = {}
        self._reading = threading.Lock()
        for merchant, mine in settings.merchants.items():
            for source, vendor in VENDORS.items():
                if getattr(mine, source) is None:
                    continue
                account = mine.account(merchant, source)
                if getattr(account.section, vendor.proof_key) is not None:
                    self._secrets[merchant, source] = _resolved(account, vendor.proof_key)
                    if any(reference.startswith("block:") for reference in account.references(vendor.proof_key)):
                        self._in_blocks[merchant, source] = account
                        self._read_at[merchant, source] = clock()
                _shield_keys(account, vendor.key)

    def __repr__(self) -> str:
        return f"Door({sorted(self._secrets)})"

    @property
    def entrances(self) -> list[tuple[str, str]]:
        """(merchant, source) of everything that can be let in."""
        return sorted(self._secrets)

    def admits(self, merchant: str, source: str, headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
        """Whether a request proves that it comes from the merchant's vendor."""
        known = self._secrets.get((merchant, source), ())
        if self._proves(source, known, headers, raw, now):
            return True
        fresh = self._read_anew(merchant, source)
        return fresh != known and self._proves(source, fresh, headers, raw, now)

    def _proves(self, source: str, known: tuple[bytes, ...], headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
        """Whether one of the secrets proves it. As many are tried as there can be, whether there are and whatever comes of the first."""
        tried = [VENDORS[source].proves(secret, headers, raw, now) for secret in (*known, *[_NOBODY] * (_AT_ONCE - len(known)))]
        return any(tried[: len(known)])

    def _read_anew(self, merchant: str, source: str) -> tuple[bytes, ...]:
        """The secrets, those of blocks as they are now. Where another request is reading them, or has within a minute: as they were."""
        entrance = merchant, source
        account = self._in_blocks.get(entrance)
        if account is None or self._clock() - self._read_at[entrance] < _READ_AGAIN or not self._reading.acquire(blocking=False):
            return self._secrets.get(entrance, ())
        try:
            self._read_at[entrance] = self._clock()
            with suppress(ConfigError):  # a block that is away leaves what was known
                self._secrets[entrance] = _resolved(account, VENDORS[source].proof_key)
        finally:
            self._reading.release()
        return self._secrets[entrance]


def _resolved(account: Account, field: str) -> tuple[bytes, ...]:
    found = [secret.get_secret_value() for secret in account.secrets(field)]
    shield(found)
    return tuple(secret.encode() for secret in found)


def _shield_keys(account: Account, key: str) -> None:
    """Keep the keys to the vendors' APIs out of what their webhooks say; one that cannot be resolved here cannot be told either."""
    with suppress(ConfigError):
        shield([account.secret(key).get_secret_value()])
