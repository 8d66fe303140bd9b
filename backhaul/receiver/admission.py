"""Who is let in: each vendor's proof, checked over the raw bytes in constant time, before any part of the body is parsed.

| source | proof |
|---|---|
| loop | `X-Loop-Signature`: base64 of HMAC-SHA256 over the body |
| masonhub | the callback's token: in `Authorization` (with or without `Bearer`), else in the body's `token` |
| airhouse | `X-Airhouse-Signature: t=…,v1=…`, at most five minutes old |

An unknown merchant, a source without a secret and a wrong proof are the same refusal, and take the same work.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

import msgspec

from backhaul.config import MerchantSettings, Settings, resolve
from backhaul.connectors.loop import signature as loop_signature
from backhaul.connectors.text import shield
from backhaul.errors import ConfigError

SOURCES = ("loop", "masonhub", "airhouse")
_NOBODY = secrets.token_hex(32).encode()  # what an unknown merchant's requests are held against: nobody has it


class _Token(msgspec.Struct):
    token: str | None = None


class Door:
    """The webhook secrets of every merchant, resolved once. Raises ConfigError when a reference cannot be resolved."""

    def __init__(self, settings: Settings) -> None:
        self._secrets: dict[tuple[str, str], bytes] = {}
        for merchant, mine in settings.merchants.items():
            for source, reference in _references(mine).items():
                if reference is not None:
                    secret = resolve(reference, f"merchants.{merchant}.{source}")
                    self._secrets[merchant, source] = secret.get_secret_value().encode()
                    shield([secret.get_secret_value()])
            _shield_keys(merchant, mine)

    def __repr__(self) -> str:
        return f"Door({sorted(self._secrets)})"

    @property
    def entrances(self) -> list[tuple[str, str]]:
        """(merchant, source) of everything that can be let in."""
        return sorted(self._secrets)

    def admits(self, merchant: str, source: str, headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
        """Whether a request proves that it comes from the merchant's vendor."""
        secret = self._secrets.get((merchant, source))
        is_proven = _PROOFS[source](_NOBODY if secret is None else secret, headers, raw, now)
        return is_proven and secret is not None


def _shield_keys(merchant: str, mine: MerchantSettings) -> None:
    """Keep the keys to the vendors' APIs out of what their webhooks say; one that cannot be resolved here cannot be told either."""
    for vendor in (mine.loop, mine.masonhub, mine.airhouse):
        reference = getattr(vendor, "api_key", None) or getattr(vendor, "token", None)
        if reference is not None:
            with suppress(ConfigError):
                shield([resolve(reference, f"merchants.{merchant}").get_secret_value()])


def _references(mine: MerchantSettings) -> dict[str, str | None]:
    return {
        "loop": mine.loop.webhook_secret,
        "masonhub": mine.masonhub.callback_token if mine.masonhub is not None else None,
        "airhouse": mine.airhouse.webhook_secret if mine.airhouse is not None else None,
    }


def _loop(secret: bytes, headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
    return loop_signature.verify(secret, raw, headers.get(loop_signature.HEADER.lower()))


def _masonhub(secret: bytes, headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
    """The body is looked into, for its token alone, only where there is no header (contracts/masonhub.md, section 5.2)."""
    shown = headers.get("authorization", "").strip()
    if shown:
        scheme, _, rest = shown.partition(" ")
        return _is_same(rest.strip() if scheme.lower() == "bearer" and rest else shown, secret)
    try:
        token = msgspec.json.decode(raw, type=_Token).token
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return token is not None and _is_same(token, secret)


def _is_same(shown: str, secret: bytes) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "surrogatepass"), secret)


def _airhouse(secret: bytes, headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
    try:
        from backhaul.connectors.airhouse import signature
    except ImportError:  # this build has no Airhouse connector
        return False
    return bool(signature.verify(secret, raw, headers.get("x-airhouse-signature"), now))


_PROOFS: dict[str, Callable[[bytes, Mapping[str, str], bytes, datetime], bool]] = {
    "loop": _loop,
    "masonhub": _masonhub,
    "airhouse": _airhouse,
}
