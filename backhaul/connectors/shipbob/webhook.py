"""ShipBob's webhooks: their proof, and what is taken from them. The body is not documented, so each is a signal: the return is read back.

Signed as Standard Webhooks are, with header names in lower case: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from backhaul.connectors import parse
from backhaul.connectors.decoding import encoded
from backhaul.connectors.readings import Reading, left_of
from backhaul.connectors.shipbob.normalise import key_of
from backhaul.connectors.shipbob.wire import CONTAINERS, WANTED, ReturnWire

SECRET_PREFIX = "whsec_"  # noqa: S105  the form of a secret, not one
SECRET_FORM = re.compile(r"whsec_[a-zA-Z0-9+/]{32}", re.ASCII)  # 24 bytes; ours or ShipBob's
TOLERANCE = timedelta(minutes=5)  # a retry bears the time of its own attempt, as Standard Webhooks have it
TOPIC_HEADER = "x-webhook-topic"
_TOPIC = re.compile(r"return\.[a-z_]{1,40}", re.ASCII)
_NOBODY = b"\0" * 24


def proves(secret: bytes, headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
    """Whether the headers sign `raw`, the body exactly as it arrived, no more than five minutes from `now`; compared in constant time.

    Header names are in lower case. A secret that is not `whsec_` and base64 verifies nothing, and takes the same work. Of several `v1`
    signatures one has to fit, so that a secret can be changed without a gap.
    """
    key = _key(secret)
    name, stamp, given = (headers.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    is_timely = stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and abs(now.timestamp() - int(stamp)) <= TOLERANCE.total_seconds()
    signed = b".".join((name.encode("utf-8", "surrogateescape"), stamp.encode("utf-8", "surrogateescape"), raw))
    expected = base64.b64encode(hmac.new(key or _NOBODY, signed, hashlib.sha256).digest())
    shown = [part.partition(",") for part in given[:1_000].split()]
    fits = [hmac.compare_digest(expected, value.encode("utf-8", "surrogateescape")) for version, _, value in shown if version == "v1"]
    return any(fits) and is_timely and bool(name) and key is not None


def read(headers: Mapping[str, str], raw: bytes) -> list[Reading]:
    """The signal in a verified webhook: its topic, which stands in a header alone, and the key to read the return back by.

    Bodies may repeat, the message's id does not. Raises ValueError for a body that is no JSON object.
    """
    said = headers.get(TOPIC_HEADER, "")
    left = left_of(raw, WANTED | {"data"}, CONTAINERS | {"data"})
    inner = left.get("data")
    record = inner if isinstance(inner, dict) else left
    own, reference, kind = (_plain(record.get(name)) for name in ("id", "reference_id", "return_type"))
    key = key_of(ReturnWire(id=own, reference_id=reference, return_type=kind))
    topic = said if _TOPIC.fullmatch(said) else "unknown"
    return [Reading(topic, key, encoded(left), message_id=headers.get("webhook-id", ""))]


def _key(secret: bytes) -> bytes | None:
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX.encode()), validate=True) or None
    except binascii.Error:
        return None


def _plain(value: Any) -> str | None:
    return parse.ident(value) if isinstance(value, str | int) else None
