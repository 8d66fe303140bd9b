"""MasonHub's endpoints as data, each constant with the rule of the API that forces it (docs/vendors/masonhub.md)."""

from __future__ import annotations

from dataclasses import dataclass

from backhaul.domain.words import RmaStage


@dataclass(frozen=True, slots=True)
class RmaEndpoint:
    """RMAs: GET is a search, and every write takes an array (docs/vendors/masonhub.md, 4)."""

    path: str
    batch_size: int
    ids_per_call: int
    page_size: int
    pages_longest: int
    pages_of_keys: int


SCOPE = "rmas"  # MasonHub names no scopes; a token is good for the account or not at all

RMAS = RmaEndpoint(
    path="/rmas",
    batch_size=30,  # maxItems of POST and PUT
    ids_per_call=30,  # cid takes 1 to 30, as id does
    page_size=100,  # the documented maximum; the default is 30
    pages_longest=1_000,  # 100,000 RMAs of one window; nothing in an answer says how many there are
    pages_of_keys=20,  # a key has a few records at most, and a call asks for 30 keys
)
CALLBACKS_PATH = "/callbacks"
RMA_EVENT = "rmaEvent"

MADE_BY_CUSTOMER = "rma_submitted_by_customer"  # the only return_type that a client sends
TARGET_STATUS = "qc"  # of return_inventory_status: one of the four values of the specification
MANIFEST_LIMIT = 20  # characters
PACKAGE_LIMITS = (5, 100)
NOTES_LIMITS = (2, 50)
UNLABELLED_PACKAGE = "LOOP-{return_id}"  # package_id is required when MasonHub makes no label

# The statuses of a record (docs/vendors/masonhub.md, 4.4) and how far each has come; an unlisted word is no stage, and never guessed.
STAGES = {
    "open": RmaStage.ANNOUNCED.value,
    "in-receiving": RmaStage.RECEIVING.value,
    "received": RmaStage.RECEIVED.value,
    "deleted": RmaStage.GONE.value,
}
EVENT_ONLY = frozenset({"tendered", "intransit", "delivered", "undeliverable", "ondock", "receivingstarted"})  # never a record's status
TERMINAL = "received"

# receiving_details is an open set of words; an unlisted one is never guessed (docs/vendors/masonhub.md, 4.6).
CONDITIONS = {
    "available": "available",
    "damaged": "damaged",
    "disposed": "damaged",
    "qc": "pending",
    "quality-control": "pending",
    "quarantine": "pending",
    "under-investigation": "pending",
    "refurbishing": "pending",
}
NOT_ARRIVED = "short"  # counts units that did not come
UNGRADED = "quantity_received"  # the word kept for units that came without a grade
