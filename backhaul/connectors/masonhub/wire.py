"""What Backhaul sends to MasonHub and takes from it: no personal field among them, unknown ones ignored.

Types are as wide as the samples (docs/vendors/masonhub.md, 9, Q2, Q3, Q5, Q6, Q13).
"""

from __future__ import annotations

from typing import Any

import msgspec

from backhaul.connectors import parse
from backhaul.connectors.parse import Scalar
from backhaul.connectors.text import GONE


class DetailWire(msgspec.Struct, omit_defaults=True, gc=False):
    """Units of a line in one condition; the associate's notes are left behind."""

    quantity: Scalar = None


Details = dict[str, list[DetailWire] | DetailWire | Scalar] | list[DetailWire] | Scalar


class LineWire(msgspec.Struct, omit_defaults=True, gc=False):
    """One line of an RMA. `receiving_details` is the graded truth; it is sometimes `[]` for none."""

    customer_order_id: Scalar = None
    customer_sku_id: Scalar = None
    quantity: Scalar = None
    quantity_received: Scalar = None
    return_reason_code: Scalar = None
    not_on_original_rma: Scalar = None
    receiving_details: Details = None

    def __post_init__(self) -> None:
        """The map of conditions is open, so that it could hold anything: a text in it that is no number is not kept."""
        if type(self.receiving_details) is dict:
            self.receiving_details = {
                word: GONE if type(units) is str and type(parse.count(units)) is not int else units
                for word, units in self.receiving_details.items()
            }


class RmaWire(msgspec.Struct, omit_defaults=True, gc=False):
    """One RMA record. `line_items` is None where the body says nothing of lines."""

    id: Scalar = None
    customer_identifier: Scalar = None
    manifest_id: Scalar = None
    return_type: Scalar = None
    package_id: Scalar = None
    status: Scalar = None
    version: Scalar = None
    as_of: Scalar = None
    created_at: Scalar = None
    updated_at: Scalar = None
    deleted_at: Scalar = None
    delivered_at: Scalar = None
    received_at: Scalar = None
    processed_at: Scalar = None
    line_items: list[LineWire] | None = None


class EventWire(RmaWire, omit_defaults=True, gc=False):
    """One element of a callback's data: a flat RMA (1.0), one in `details` (2.0), or a thin carrier event. Also reads plain records."""

    event_type: Scalar = None
    details: RmaWire | None = None


class CallbackWire(msgspec.Struct):
    """A callback's body. `data` is an array for rmaEvent, an object for some other types."""

    data: msgspec.Raw
    message_type: Scalar = None
    message_id: Scalar = None


class ListWire(msgspec.Struct):
    """A search result. `limit` is the page size that the server kept to."""

    data: list[msgspec.Raw]
    limit: Scalar = None


class ResultWire(msgspec.Struct):
    """The result of one record of a write. `messages` has three shapes."""

    customer_identifier: Scalar = None
    status: Scalar = None
    messages: Any = None


class BatchWire(msgspec.Struct):
    """The envelope of a write's results."""

    results: list[ResultWire] | None = None


class CallbackRecordWire(msgspec.Struct):
    """A registered callback. Its token is never read back."""

    id: Scalar = None
    url: Scalar = None
    message_type: Scalar = None
    api_version: Scalar = None


class LineOut(msgspec.Struct, omit_defaults=True):
    """A line to announce. `return_notes` and `customer_order_id` are left out when None."""

    customer_sku_id: str
    quantity: int
    return_reason_code: str
    return_inventory_status: str
    return_notes: str | None = None
    customer_order_id: str | None = None


class RmaOut(msgspec.Struct):
    """An RMA to announce or to replace. `generate_return_label` defaults to true at MasonHub, so it is always said."""

    customer_identifier: str
    return_type: str
    generate_return_label: bool
    package_id: str
    manifest_id: str
    line_items: list[LineOut]


WANTED = frozenset(field.encode_name for struct in (EventWire, LineWire, DetailWire) for field in msgspec.structs.fields(struct))
CONTAINERS = frozenset({"line_items", "details", "receiving_details"})  # where plain text is out of place
FREE = frozenset({"return_type", "status", "event_type"})  # where a person, or another program, may have written anything
