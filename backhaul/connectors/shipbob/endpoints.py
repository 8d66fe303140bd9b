"""ShipBob's endpoints and words as data, each constant with the rule that forces it (docs/vendors/shipbob.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from backhaul.domain.words import RmaStage


@dataclass(frozen=True, slots=True)
class ReturnsEndpoint:
    """Returns: one a call to write, pages of them to read."""

    path: str
    one: str
    cancel: str
    keys_per_call: int
    find_pages: int
    late: timedelta


SCOPE = "returns_read, returns_write, products_read, channels_read, locations_read, webhooks_read and webhooks_write"

RETURNS = ReturnsEndpoint(
    path="/return",  # singular; the plural is a 404
    one="/return/{id}",
    cancel="/return/{id}:cancel",  # with a colon since 2025-07
    keys_per_call=50,  # no limit is documented; 50 ids keep a URL under 2 kB
    find_pages=4,  # 50 keys fit one page; more of them means that the filter was not understood
    late=timedelta(hours=48),  # how late a completion may show up under its own date
)
PAGE_SIZE = 250  # the largest that a client has been served
PRODUCTS_PATH = "/product"
CHANNELS_PATH = "/channel"
CENTERS_PATH = "/fulfillment-center"
WEBHOOKS_PATH = "/webhook"
WEBHOOK_PATH = "/webhook/{id}"

CHANNEL_HEADER = "shipbob_channel_id"  # required on a create
REQUESTED_ACTION = "Default"  # the item's own preference decides what is done with a unit: it is the merchant's to set, at ShipBob
SKUS_PER_CALL = 25
ITEMS_KEPT = timedelta(days=1)

TOPICS = ("return.created", "return.updated", "return.completed")


AWAITING, COMPLETED, CANCELLED = "AwaitingArrival", "Completed", "Cancelled"
OPEN_STATUSES = (AWAITING, "Arrived", "Processing")

# The API's five, and two that so far only ShipBob's own returns portal shows. Any other word is no status: the receipt is quarantined.
STAGES = {
    AWAITING: RmaStage.ANNOUNCED,
    "InTransit": RmaStage.ANNOUNCED,
    "Arrived": RmaStage.RECEIVING,
    "Processing": RmaStage.RECEIVING,
    "ActionRequired": RmaStage.RECEIVING,
    COMPLETED: RmaStage.RECEIVED,
    CANCELLED: RmaStage.GONE,
}
EDITABLE = frozenset({AWAITING})  # "only when awaiting arrival"

REGULAR, TO_SENDER = "Regular", "ReturnToSender"
TYPES = {"regular": REGULAR, "returntosender": TO_SENDER, "rts": TO_SENDER}

RESTOCK, QUARANTINE, DISPOSE, DEFAULT = "restock", "quarantine", "dispose", "default"

# What was done with a unit, and what had been asked for it, as its condition. ALL of it is our assumption: ShipBob documents actions, and
# no condition. A pair that is not here is never guessed: it is pending, and an exception.
CONDITIONS = {
    (RESTOCK, RESTOCK): "available",
    (RESTOCK, QUARANTINE): "available",
    (RESTOCK, DISPOSE): "available",
    (RESTOCK, DEFAULT): "available",
    (RESTOCK, ""): "available",  # it is back in stock that can be sold, whatever had been asked
    (QUARANTINE, RESTOCK): "damaged",  # the backup action: it failed the inspection
    (DISPOSE, RESTOCK): "damaged",
    (QUARANTINE, QUARANTINE): "pending",  # nobody was asked to judge it
    (DISPOSE, DISPOSE): "pending",
}
UNGRADED = "quantity_processed"  # the word kept for units whose action has no name


def word(text: str | None) -> str:
    """A word as it is compared: ShipBob writes one with spaces here and without them there."""
    return "".join((text or "").split()).casefold()


_STATUSES = {word(status): status for status in STAGES}


def status_of(text: str | None) -> str | None:
    """A status in the spelling of the API's filter; None for a word that is not known."""
    return _STATUSES.get(word(text))


def stage_of(text: str | None) -> RmaStage | None:
    """The stage that a status stands for; None for a word that is not known."""
    status = status_of(text)
    return None if status is None else STAGES[status]
