"""The normalised tables, declared once: connectors build frames of these columns, the store builds its tables from them.

A frame is a pandas DataFrame with exactly the columns of its `Frame`, in order, dtype object: text and ids are `str`, money is
`Decimal`, times are aware UTC `datetime`, flags are `bool`, counts are `int`, absent is `None`. The `checked` columns
are for the suites in `expectations/` only and are not stored: they name the fields of a record that did not parse.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from backhaul.domain.words import LoopState


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    MONEY = "money"  # Decimal, major units of the row's currency
    TIME = "time"  # aware datetime, UTC
    FLAG = "flag"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its name, its kind, what it means to an analyst, and the version of its table that it came with (`domain/content.py`).

    A derived one says nothing that another does not.
    """

    name: str
    kind: Kind
    doc: str
    required: bool = False
    is_derived: bool = False
    since: int = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """One normalised table. `key` identifies a row within a merchant."""

    name: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    checked: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The stored columns, in order."""
        return tuple(field.name for field in self.fields)

    @property
    def all_columns(self) -> tuple[str, ...]:
        """The columns of the frame: the stored ones, then the checked ones."""
        return self.columns + self.checked

    @property
    def since(self) -> tuple[int, ...]:
        """The version that each of all columns came with; 0 for a derived one, which no hash covers."""
        stored = tuple(0 if field.is_derived else field.since for field in self.fields)
        return stored + tuple(_CHECKED_SINCE.get(name, 1) for name in self.checked)


_CHECKED_SINCE = {"unparsed_keys": 2}
_UNPARSED = ("unparsed_money", "unparsed_times", "unparsed_keys")  # comma-joined wire names, or None

RETURNS = Frame(
    "returns",
    ("return_id",),
    (
        Field("return_id", Kind.TEXT, "Loop's return id, the one in the URL.", required=True),
        Field("loop_state", Kind.TEXT, "open, closed, cancelled, expired or review.", required=True),
        Field("created_at", Kind.TIME, "When the customer started the return."),
        Field("updated_at", Kind.TIME, "Loop's own last change of the return; facts are ranked by it."),
        Field("edited_at", Kind.TIME, "When the return's lines were last edited."),
        Field("order_id", Kind.TEXT, "Loop's order id."),
        Field("order_name", Kind.TEXT, "The order as the customer knows it, such as #1001."),
        Field("outcome", Kind.TEXT, "exchange, upsell, refund, credit or a sum of these; an open set."),
        Field("currency", Kind.TEXT, "ISO code of every amount of the return."),
        Field("return_product_total", Kind.MONEY, "Price of the returned units."),
        Field("return_discount_total", Kind.MONEY, "Discount on the returned units."),
        Field("return_tax_total", Kind.MONEY, "Tax on the returned units."),
        Field("return_total", Kind.MONEY, "Product - discount + tax."),
        Field("return_credit_total", Kind.MONEY, "The part of the value spent as credit."),
        Field("exchange_total", Kind.MONEY, "Value of the exchange."),
        Field("gift_card", Kind.MONEY, "Store credit issued."),
        Field("handling_fee", Kind.MONEY, "Fee kept by the merchant."),
        Field("refund", Kind.MONEY, "Money that goes back to the customer."),
        Field("upsell", Kind.MONEY, "Extra paid by the customer."),
        Field("carrier", Kind.TEXT, "Carrier of the return label."),
        Field("tracking_number", Kind.TEXT, "Tracking number, null before a label exists (Loop: N/A or empty)."),
        Field("label_status", Kind.TEXT, "new, pre_transit, in_transit, delivered, …; an open set."),
        Field("destination_id", Kind.TEXT, "Loop's destination, which routes to a warehouse."),
        Field("is_paid", Kind.FLAG, "Loop has processed the return: was_processed, or an outcome is dated, or a refund exists."),
        Field("is_finished", Kind.FLAG, "Loop says was_processed, and dates no outcome by itself: all of them are done.", since=2),
        Field("return_processed_at", Kind.TIME, "When Loop had processed the return; like the four below, it lags by hours.", since=2),
        Field("refund_processed_at", Kind.TIME, "When the refund was made.", since=2),
        Field("gift_card_processed_at", Kind.TIME, "When the store credit was issued.", since=2),
        Field("exchange_processed_at", Kind.TIME, "When the exchange was ordered.", since=2),
        Field("shop_cash_processed_at", Kind.TIME, "When the shop's own cash was given, in place of a refund.", since=2),
        Field("exchange_units", Kind.COUNT, "Units that are to go out in exchange.", since=2),
        Field("out_of_stock_units", Kind.COUNT, "Those of them that Loop says are out of stock.", since=2),
    ),
    _UNPARSED,
)

RETURN_LINES = Frame(
    "return_lines",
    ("return_id", "line_item_id"),
    (
        Field("return_id", Kind.TEXT, "The return.", required=True),
        Field("line_item_id", Kind.TEXT, "Loop's id of the returned unit.", required=True),
        Field("sku", Kind.TEXT, "Null when Loop has none; such a line cannot be announced."),
        Field("barcode", Kind.TEXT, "Barcode of the unit."),
        Field("title", Kind.TEXT, "Product title."),
        Field("product_id", Kind.TEXT, "Product id at the shop."),
        Field("variant_id", Kind.TEXT, "Variant id at the shop."),
        Field("price", Kind.MONEY, "Price of the unit."),
        Field("discount", Kind.MONEY, "Discount on the unit."),
        Field("tax", Kind.MONEY, "Tax on the unit."),
        Field("refund", Kind.MONEY, "Refund for the unit, its tax included."),
        Field("return_reason", Kind.TEXT, "The customer's reason."),
        Field("parent_return_reason", Kind.TEXT, "The reason's group."),
        Field("line_outcome", Kind.TEXT, "Loop's outcome of the line."),
        Field("returned_at", Kind.TIME, "When the line was added to the return."),
        Field(
            "reason_key",
            Kind.TEXT,
            "The customer's reason as it is compared with the config's: case-folded, without outer spaces.",
            is_derived=True,
        ),
    ),
    _UNPARSED,
)

RECEIPTS = Frame(
    "receipts",
    ("rma_key",),
    (
        Field("rma_key", Kind.TEXT, "The RMA's key: the Loop return id, or dc:<RMA id> when the warehouse made it.", required=True),
        Field("return_id", Kind.TEXT, "The Loop return id; null for an RMA that the warehouse made itself."),
        Field("rma_id", Kind.TEXT, "The warehouse's own id; null in events that carry none."),
        Field("rma_status", Kind.TEXT, "The RMA record's status; null in events that tell only of the carrier."),
        Field(
            "rma_stage",
            Kind.TEXT,
            "announced, receiving, received, closed or gone: the status in no warehouse's own words.",
            is_derived=True,
        ),
        Field("event_status", Kind.TEXT, "The status as the event named it.", required=True),
        Field("is_terminal", Kind.FLAG, "Nothing more will arrive: received at MasonHub, processed or closed at Airhouse."),
        Field("has_lines", Kind.FLAG, "False for thin events that say nothing of units."),
        Field("package_id", Kind.TEXT, "The parcel's tracking number, as the warehouse has it."),
        Field("return_type", Kind.TEXT, "Who made the RMA, in the warehouse's words."),
        Field("manifest_id", Kind.TEXT, "The reference that the warehouse searches by."),
        Field("version", Kind.COUNT, "The record's version, where the warehouse counts them."),
        Field("as_of", Kind.TIME, "The warehouse's own time of the fact; facts are ranked by it, then by version."),
        Field("delivered_at", Kind.TIME, "When the parcel reached the dock."),
        Field("received_at", Kind.TIME, "When the warehouse finished receiving."),
        Field("closed_at", Kind.TIME, "When the record was closed at the warehouse (Airhouse)."),
    ),
    _UNPARSED,
)

RECEIPT_LINES = Frame(
    "receipt_lines",
    ("rma_key", "line_no"),
    (
        Field("rma_key", Kind.TEXT, "The receipt.", required=True),
        Field("line_no", Kind.COUNT, "Place of the line in the receipt, from 0.", required=True),
        Field("sku", Kind.TEXT, "The SKU, as the warehouse has it.", required=True),
        Field("inventory_status", Kind.TEXT, "The warehouse's own word for the condition; 'quantity_received' when it gave none."),
        Field("condition", Kind.TEXT, "available, damaged or pending.", required=True),
        Field("units", Kind.COUNT, "Units that arrived in this condition.", required=True),
        Field("is_known", Kind.FLAG, "False when the condition had to be taken as pending, because the word is unlisted or absent."),
        Field("is_expected", Kind.FLAG, "False when the warehouse says the unit was not announced."),
    ),
    ("unparsed_units", "unparsed_keys"),
)

LOOP_STATES = tuple(state.value for state in LoopState)
