"""Loop's webhook signature."""

from __future__ import annotations

import base64
import hashlib
import hmac

HEADER = "X-Loop-Signature"


def verify(secret: bytes, raw: bytes, header: str | None) -> bool:
    """Whether `header` is base64(HMAC-SHA256(secret, raw)), in constant time (docs/vendors/loop.md, 7).

    `raw` is the body exactly as it arrived: Loop signs PHP's JSON with its escaped slashes, which no re-encoding gives back.
    An empty secret verifies nothing.
    """
    if not secret or not header:
        return False
    expected = base64.b64encode(hmac.digest(secret, raw, hashlib.sha256))
    return hmac.compare_digest(expected, header.strip().encode("utf-8", "surrogateescape"))
