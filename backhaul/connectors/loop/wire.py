"""What Backhaul takes from Loop's JSON: the wanted fields alone, none of them personal, unknown ones ignored.

Types are as wide as the contract (docs/vendors/loop.md, 3 and 6): the same id is a string in the list and an integer in
the details, amounts are strings but sometimes numbers. A record fails to decode only when its structure is wrong.
No struct can be part of a cycle, so the many ones are kept out of the garbage collector's sight.
"""

from __future__ import annotations

from typing import Any

import msgspec

from backhaul.connectors import parse
from backhaul.connectors.parse import Scalar
from backhaul.connectors.text import GONE


class PhpDate(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """A PHP DateTime as JSON, as `outcomes_processed_at` has it."""

    date: Scalar = None
    timezone: Scalar = None


class Refund(msgspec.Struct, omit_defaults=True, gc=False):
    """One refund, from `refunds` or from `shopify_refund_object`; that there is one is what counts."""

    id: Scalar = None
    amount: Scalar = None
    currency: Scalar = None
    provider_refund_id: Scalar = None


class ExchangeWire(msgspec.Struct, omit_defaults=True, gc=False):
    """One unit that is sent out in exchange; what matters of it is whether it can be."""

    exchange_id: Scalar = None
    sku: Scalar = None
    out_of_stock: Scalar = None
    out_of_stock_resolution: Scalar = None


class CurrentLineWire(msgspec.Struct, omit_defaults=True, gc=False):
    """A line as `presentment` has it: only those are current."""

    line_item_id: Scalar = None


class PresentmentWire(msgspec.Struct, omit_defaults=True, gc=False):
    """The return in the shopper's currency."""

    line_items: list[CurrentLineWire] | Scalar = None


class LineWire(msgspec.Struct, omit_defaults=True, gc=False):
    """One returned unit. The details say `reason` and `parent_reason`, and may leave the variant out of `title` and into `variant_title`.

    `returned_at` is UNSET where the record does not have it at all.
    """

    line_item_id: Scalar = None
    product_id: Scalar = None
    variant_id: Scalar = None
    sku: Scalar = None
    barcode: Scalar = None
    title: Scalar = None
    variant_title: Scalar = None
    price: Scalar = None
    discount: Scalar = None
    tax: Scalar = None
    refund: Scalar = None
    return_reason: Scalar = None
    parent_return_reason: Scalar = None
    reason: Scalar = None
    parent_reason: Scalar = None
    outcome: Scalar = None
    returned_at: Scalar | msgspec.UnsetType = msgspec.UNSET


def _may_be_time(value: PhpDate | Scalar) -> bool:
    return type(value) is not str or parse.time(value) is not parse.UNPARSED


class ReturnWire(msgspec.Struct, omit_defaults=True, gc=False):
    """One return, from the list, the details or a webhook."""

    id: Scalar = None
    state: Scalar = None
    created_at: Scalar = None
    updated_at: Scalar = None
    edited_at: Scalar = None
    order_id: Scalar = None
    order_name: Scalar = None
    outcome: Scalar = None
    currency: Scalar = None
    return_product_total: Scalar = None
    return_discount_total: Scalar = None
    return_tax_total: Scalar = None
    return_total: Scalar = None
    return_credit_total: Scalar = None
    exchange_total: Scalar = None
    gift_card: Scalar = None
    handling_fee: Scalar = None
    refund: Scalar = None
    upsell: Scalar = None
    carrier: Scalar = None
    tracking_number: Scalar = None
    label_status: Scalar = None
    destination_id: Scalar = None
    was_processed: Scalar = None
    outcomes_processed_at: dict[str, PhpDate | Scalar] | list[PhpDate | Scalar] | Scalar = None
    refunds: list[Refund] | Refund | Scalar = None
    shopify_refund_object: list[Refund] | Refund | Scalar = None
    exchanges: list[ExchangeWire] | Scalar = None
    presentment: PresentmentWire | list[PresentmentWire] | Scalar = None
    line_items: list[LineWire] | None = None

    def __post_init__(self) -> None:
        """The map of outcomes is open, so that it could hold anything: a text in it that is no time is not kept."""
        told = self.outcomes_processed_at
        if type(told) is dict and not all(map(_may_be_time, told.values())):
            self.outcomes_processed_at = {
                name: at if _may_be_time(at) else GONE for name, at in told.items() if _may_be_time(at) or name.endswith("_processed")
            }


class PageWire(msgspec.Struct):
    """The paginated list. Unpaginated, the list is a bare array instead."""

    returns: list[ReturnWire]
    nextPageUrl: Any = None


class RawPageWire(msgspec.Struct):
    """The same, where a record of it has no shape to decode."""

    returns: list[msgspec.Raw]
    nextPageUrl: Any = None


class PeekWire(msgspec.Struct):
    """The field that paging needs of a record, whatever the rest looks like."""

    updated_at: Any = None


class AsnWire(msgspec.Struct):
    """One row of the ASN report."""

    id: Scalar = None
    return_line_item_id: Scalar = None
    order_name: Scalar = None
    state: Scalar = None
    sku: Scalar = None
    tracking_number: Scalar = None
    created_at: Scalar = None
    updated_at: Scalar = None


class NoteWire(msgspec.Struct):
    """One note on a return."""

    content: Scalar = None


class NotesWire(msgspec.Struct):
    """The notes of a return, in the one of the two shapes that is not a bare array."""

    notes: list[NoteWire]


class WebhookWire(msgspec.Struct):
    """One webhook subscription."""

    id: Scalar = None
    topic: Scalar = None
    trigger: Scalar = None
    url: Scalar = None
    status: Scalar = None


class WebhooksWire(msgspec.Struct):
    """The subscriptions of a shop."""

    webhooks: list[WebhookWire]


_OUTCOMES = {"return_processed", "refund_processed", "gift_card_processed", "exchange_processed", "shop_cash_processed"}
_STRUCTS = (ReturnWire, LineWire, Refund, PhpDate, ExchangeWire, PresentmentWire)

WANTED = frozenset({field.encode_name for struct in _STRUCTS for field in msgspec.structs.fields(struct)} | _OUTCOMES)
CONTAINERS = frozenset(  # where plain text is out of place
    {"line_items", "refunds", "shopify_refund_object", "outcomes_processed_at", "exchanges", "presentment"}
)
FREE = frozenset(  # where a person, or another program, may have written anything
    {
        "title",
        "variant_title",
        "return_reason",
        "parent_return_reason",
        "reason",
        "parent_reason",
        "outcome",
        "carrier",
        "label_status",
        "out_of_stock_resolution",
        "message",
    }
)
