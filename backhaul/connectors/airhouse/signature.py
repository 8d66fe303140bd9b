"""Airhouse's webhook signature, as assumed in `wire`."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

from backhaul.connectors.airhouse.wire import SIGNATURE_HEADER, SIGNATURE_TOLERANCE

HEADER = SIGNATURE_HEADER


def verify(secret: bytes, raw: bytes, header: str | None, now: datetime) -> bool:
    """Whether `header` signs `raw` with `secret` and is no more than five minutes from `now`; compared in constant time.

    `raw` is the body exactly as it arrived. An empty secret verifies nothing. Of several `v1` parts one has to fit, so that a secret can be
    changed without a gap.
    """
    if not secret or not header or len(header) > 1_000:
        return False
    parts = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in parts if name == "t"]
    if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdigit()) or len(stamps[0]) > 12:
        return False
    if abs(now.timestamp() - int(stamps[0])) > SIGNATURE_TOLERANCE.total_seconds():
        return False
    expected = hmac.new(secret, stamps[0].encode() + b"." + raw, hashlib.sha256).hexdigest().encode()
    given = [value.encode("utf-8", "surrogateescape") for name, _, value in parts if name == "v1"]
    return any([hmac.compare_digest(expected, one) for one in given])
