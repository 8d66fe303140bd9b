"""What Backhaul sends to ShipBob and takes from it: no personal field among them, unknown ones ignored.

`customer_name` may be the shopper's, `action_reason` is free text of the staff's: neither is taken.
"""

from __future__ import annotations

import msgspec

from backhaul.connectors.parse import Scalar


class TakenWire(msgspec.Struct, omit_defaults=True, gc=False):
    """Units of a line with which the same was done."""

    action: Scalar = None
    quantity_processed: Scalar = None


class RequestedWire(msgspec.Struct, omit_defaults=True, gc=False):
    """What had been asked for the units of a line."""

    action: Scalar = None


class LineWire(msgspec.Struct, omit_defaults=True, gc=False):
    """One inventory item of a return. `sku` is missing in the short form; a `quantity` of 0 seems to be what nobody announced."""

    id: Scalar = None
    sku: Scalar = None
    quantity: Scalar = None
    action_requested: RequestedWire | None = None
    action_taken: list[TakenWire] | None = None


class StepWire(msgspec.Struct, omit_defaults=True, gc=False):
    """One status that a return has had."""

    timestamp: Scalar = None


class ReturnWire(msgspec.Struct, omit_defaults=True, gc=False):
    """One return: full by GET, and short (without most dates and every SKU) as the answer to a write."""

    id: Scalar = None
    reference_id: Scalar = None
    status: Scalar = None
    return_type: Scalar = None
    tracking_number: Scalar = None
    insert_date: Scalar = None
    awaiting_arrival_date: Scalar = None
    arrived_date: Scalar = None
    processing_date: Scalar = None
    completed_date: Scalar = None
    cancelled_date: Scalar = None
    status_history: list[StepWire] | None = None
    inventory: list[LineWire] | None = None


class PageWire(msgspec.Struct):
    """A page of anything. `next` is a URL, or a path without the version; only its cursor counts."""

    items: list[msgspec.Raw]
    next: str | None = None


class StockWire(msgspec.Struct):
    """The stock that a variant stands for."""

    inventory_id: Scalar = None


class ActionWire(msgspec.Struct):
    """An action by name."""

    name: Scalar = None


class PreferencesWire(msgspec.Struct):
    """What the merchant wants done with units of an item that come back."""

    primary_action: ActionWire | None = None
    instructions: Scalar = None


class VariantWire(msgspec.Struct):
    """One variant of a product."""

    sku: Scalar = None
    status: Scalar = None
    is_digital: Scalar = None
    inventory: StockWire | None = None
    bundle_definition: list[msgspec.Raw] | None = None
    return_preferences: PreferencesWire | None = None


class ProductWire(msgspec.Struct):
    """A product with its variants."""

    variants: list[VariantWire] | None = None


class ChannelWire(msgspec.Struct):
    """A sales channel of the account, and what this token may do there."""

    id: Scalar = None
    name: Scalar = None
    scopes: list[str] | None = None


class CenterWire(msgspec.Struct):
    """A fulfilment center; its address is left behind."""

    id: Scalar = None
    name: Scalar = None


class HookWire(msgspec.Struct):
    """A webhook subscription. Its secret is shown only when it is made."""

    id: Scalar = None
    url: Scalar = None
    topics: list[str] | None = None
    enabled: bool | None = None


class PlaceOut(msgspec.Struct):
    """A fulfilment center by its id."""

    id: int


class LineOut(msgspec.Struct):
    """Units of one inventory item to announce; an item may stand in a return once."""

    id: int
    quantity: int
    requested_action: str


class ReturnOut(msgspec.Struct, omit_defaults=True):
    """A return to announce or to replace. There is no field for a reason, an order or a note."""

    reference_id: str
    fulfillment_center: PlaceOut
    inventory: list[LineOut]
    tracking_number: str | None = None


class HookOut(msgspec.Struct):
    """A webhook to register."""

    topics: list[str]
    url: str
    description: str
    secret: str


_TAKEN = (ReturnWire, LineWire, TakenWire, RequestedWire, StepWire)
WANTED = frozenset(field.encode_name for struct in _TAKEN for field in msgspec.structs.fields(struct))
CONTAINERS = frozenset({"inventory", "action_requested", "action_taken", "status_history"})
