"""What a verified body says, ready to be kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from backhaul.connectors.readings import UNREADABLE, Reading
from backhaul.connectors.registry import VENDORS
from backhaul.connectors.text import mended
from backhaul.errors import StructuralError
from backhaul.store.events import NewEvent

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def read(source: str, raw: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> list[Reading]:
    """The events in a verified body. Raises StructuralError when it is no JSON object that the vendor could have sent."""
    try:
        return VENDORS[source].read(headers, mended(raw))
    except UNREADABLE as error:
        raise StructuralError(f"{source}: the body is not a webhook's JSON: {error.__class__.__name__}") from None


def as_events(merchant: str, source: str, raw: bytes, now: datetime, headers: Mapping[str, str] = _NO_HEADERS) -> list[NewEvent]:
    """The events of a verified body, ready to be kept.

    The first bears the hash of the raw bytes (and of the message's id, where bodies repeat), others that hash and their place.
    """
    found = read(source, raw, headers)
    digest = hashlib.sha256(raw + found[0].message_id.encode()).hexdigest()
    return [
        NewEvent(
            merchant=merchant,
            source=source,
            topic=reading.topic,
            record_key=reading.record_key,
            body_hash=f"{digest}/{place}" if place else digest,
            body=reading.body,
            occurred_at=reading.occurred_at,
            received_at=now,
        )
        for place, reading in enumerate(found)
    ]
