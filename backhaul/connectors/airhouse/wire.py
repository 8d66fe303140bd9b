"""What Airhouse is assumed to speak. ALL of this module is an assumption: no Airhouse API is public (docs/airhouse.md).

Documented are only the statuses, old and new, and the figures Expected, Received and Restocked, from Airhouse's help centre. Paths, fields,
codes, paging and the signature follow what comparable warehouses publish. What the real API does otherwise is put right here, and
nowhere else; nothing is sent by it until a merchant's config says `assumed_contract = true`.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from backhaul.connectors.parse import Scalar
from backhaul.domain.words import RmaStage

RETURNS_PATH = "/returns"
RETURN_PATH = "/returns/{id}"
CANCEL_PATH = "/returns/{id}/cancel"
CLOSE_PATH = "/returns/{id}/close"
PAGE_SIZE = 100  # the largest there is; the default is 50
PAGES_LONGEST = 1_000  # 100,000 changes; nothing in an answer says how many there are
PAGES_OF_A_KEY = 20  # an external_id is unique
SCOPE = "returns"
IDEMPOTENCY_HEADER = "Idempotency-Key"  # honoured for 24 hours on POST; after that external_id, which is unique, does the same

SOURCE = "loop"
MADE_BY_CUSTOMER = "customer_return"

DUPLICATE = "duplicate_external_id"
NOT_THERE = "not_found"
WRONG_STATE = "invalid_state"

SIGNATURE_HEADER = "X-Airhouse-Signature"  # t=<unix seconds>,v1=<hex HMAC-SHA256 of t, a dot and the raw body>
SIGNATURE_TOLERANCE = timedelta(minutes=5)

REQUESTED, DELIVERED, PROCESSED, CLOSED, CANCELLED = "requested", "delivered", "processed", "closed", "cancelled"
TERMINAL = frozenset({PROCESSED, CLOSED})  # the figures count from here on
STAGES = {
    REQUESTED: RmaStage.ANNOUNCED.value,
    DELIVERED: RmaStage.RECEIVING.value,
    PROCESSED: RmaStage.RECEIVED.value,
    CLOSED: RmaStage.CLOSED.value,
    CANCELLED: RmaStage.GONE.value,
}

# The current words of the dashboard, then those of its older page; compared by `status_of`.
STATUSES = {
    "requested": REQUESTED,
    "delivered": DELIVERED,
    "processed": PROCESSED,
    "closed": CLOSED,
    "cancelled": CANCELLED,
    "new": REQUESTED,
    "pending tracking": REQUESTED,
    "waiting for carrier": REQUESTED,
    "received - good": PROCESSED,
    "received - damaged": PROCESSED,
}
DAMAGED_WORDS = frozenset({"damaged", "received - damaged"})  # a whole return that holds a damaged unit
RESTOCKED, NOT_RESTOCKED = "restocked", "not_restocked"  # our words for a unit's condition: Airhouse tells figures only
CONDITIONS = {RESTOCKED: "available", NOT_RESTOCKED: "damaged"}


class ItemWire(msgspec.Struct, omit_defaults=True, gc=False):
    """One SKU of a return, with its figures; the associate's note is left behind."""

    sku: Scalar = None
    expected_quantity: Scalar = None
    received_quantity: Scalar = None
    restocked_quantity: Scalar = None
    unexpected: Scalar = None


class ReturnWire(msgspec.Struct, omit_defaults=True, gc=False):
    """One return as Airhouse tells it: by GET, in a list, as the answer to a write, in a webhook. `condition` is optional."""

    id: Scalar = None
    external_id: Scalar = None
    order_number: Scalar = None
    type: Scalar = None
    status: Scalar = None
    condition: Scalar = None
    tracking_number: Scalar = None
    requested_at: Scalar = None
    delivered_at: Scalar = None
    received_at: Scalar = None
    closed_at: Scalar = None
    updated_at: Scalar = None
    items: list[ItemWire] | None = None


class ListWire(msgspec.Struct):
    """A page of returns, ordered by (updated_at, id)."""

    data: list[msgspec.Raw]
    next_cursor: str | None = None


class EventDataWire(msgspec.Struct):
    """What a webhook carries: the whole return."""

    record: msgspec.Raw = msgspec.field(name="return")


class EventWire(msgspec.Struct):
    """A webhook's body. Its topic says nothing that the return's status does not."""

    data: EventDataWire


class ItemOut(msgspec.Struct):
    """Units of one SKU to announce, with the customer's reason."""

    sku: str
    expected_quantity: int
    return_reason: str


class ReturnOut(msgspec.Struct, omit_defaults=True):
    """A return to announce. A tracking number is added later, when there is one."""

    external_id: str
    items: list[ItemOut]
    source: str = msgspec.field(default_factory=lambda: SOURCE)
    type: str = msgspec.field(default_factory=lambda: MADE_BY_CUSTOMER)
    order_number: str | None = None
    tracking_number: str | None = None


class ReturnPatch(msgspec.Struct, omit_defaults=True):
    """What may change while a return is requested: its items, its tracking number."""

    items: list[ItemOut]
    tracking_number: str | None = None


WANTED = frozenset(field.encode_name for struct in (ReturnWire, ItemWire) for field in msgspec.structs.fields(struct))
CONTAINERS = frozenset({"items"})
FREE = frozenset({"type", "status", "condition"})  # where a person, or another program, may have written anything


def word(text: str | None) -> str:
    """A status as it is compared: lower case, single spaces, a plain hyphen."""
    return " ".join((text or "").replace("\N{EN DASH}", "-").casefold().split())


def status_of(text: str | None) -> str | None:
    """One of the five statuses, from either vocabulary; None for a word that is not known, which is never guessed."""
    return STATUSES.get(word(text))
