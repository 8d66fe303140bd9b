"""Loop's records as frames. Columnar: whole pages at once, since a page has 750 returns and a backfill a million."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Literal

import msgspec

from backhaul.connectors import parse
from backhaul.connectors.base import Rejected, ReturnBatch
from backhaul.connectors.frames import Columns, Unreadable, frame, parsed, picked
from backhaul.connectors.loop.decode import Record, decode, encode
from backhaul.connectors.loop.wire import LineWire, PhpDate, ReturnWire
from backhaul.connectors.parse import Scalar
from backhaul.domain.schema import RETURN_LINES, RETURNS

Source = Literal["list", "details", "webhook"]

NO_VARIANT = "Default Title"  # the shop's own word for a product without variants; the list leaves it out of the title

_RETURN_MONEY = (
    "return_product_total",
    "return_discount_total",
    "return_tax_total",
    "return_total",
    "return_credit_total",
    "exchange_total",
    "gift_card",
    "handling_fee",
    "refund",
    "upsell",
)
_RETURN_TIMES = ("created_at", "updated_at", "edited_at")
_RETURN_TEXT = ("order_name", "outcome", "currency")
_RETURN_LABEL = ("carrier", "tracking_number", "label_status")  # N/A or blank before a label exists
_LINE_MONEY = ("price", "discount", "tax", "refund")
_LINE_IDS = ("line_item_id", "product_id", "variant_id")
_LINE_TEXT = ("sku", "barcode", "return_reason", "parent_return_reason")


def normalise(raws: Sequence[msgspec.Raw | bytes], source: Source) -> ReturnBatch:
    """Returns from their JSON: `decode`, then `batch`."""
    return batch(decode(raws), source)


def batch(records: Sequence[Record], source: Source) -> ReturnBatch:
    """Returns as `schema.RETURNS` and `schema.RETURN_LINES`, in the order of `records`; those that could not be decoded are `rejected`.

    An amount or a time that does not parse is None and named in the checked columns. Personal data is dropped: `bodies` hold the wanted
    fields only.
    """
    returns = [record for record in records if type(record) is ReturnWire]
    owned = [record.line_items or [] for record in returns]
    ids = [parse.ident(record.id) for record in returns]
    owners = list(chain.from_iterable(repeat(ident, len(lines)) for ident, lines in zip(ids, owned, strict=True)))
    lines = list(chain.from_iterable(owned))
    return ReturnBatch(
        returns=frame(RETURNS, _return_columns(returns, ids)),
        lines=frame(RETURN_LINES, _line_columns(lines, owners, source)),
        bodies=list(map(encode, returns)),
        rejected=[record for record in records if isinstance(record, Rejected)],
    )


def _return_columns(returns: list[ReturnWire], ids: list[str | None]) -> Columns:
    amounts, times = Unreadable(), Unreadable()
    columns: Columns = {
        "return_id": ids,
        "loop_state": parsed(picked(returns, "state"), _state),
        "order_id": parsed(picked(returns, "order_id"), parse.ident),
        "destination_id": parsed(picked(returns, "destination_id"), parse.ident),
        "is_paid": [_is_paid(record) for record in returns],
    }
    for field in _RETURN_TEXT:
        columns[field] = parsed(picked(returns, field), parse.text)
    for field in _RETURN_LABEL:
        columns[field] = parsed(picked(returns, field), parse.text_or_na)
    for field in _RETURN_MONEY:
        columns[field] = amounts.parse(field, picked(returns, field), parse.money)
    for field in _RETURN_TIMES:
        columns[field] = times.parse(field, picked(returns, field), parse.time)
    columns["unparsed_money"] = amounts.column(len(returns))
    columns["unparsed_times"] = times.column(len(returns))
    return columns


def _line_columns(lines: list[LineWire], owners: list[str | None], source: Source) -> Columns:
    amounts, times = Unreadable(), Unreadable()
    columns: Columns = {
        "return_id": owners,
        "title": [_full_title(line) for line in lines] if source == "details" else parsed(picked(lines, "title"), parse.text),
        "line_outcome": parsed(picked(lines, "outcome"), parse.text),
        "returned_at": times.parse("returned_at", picked(lines, "returned_at"), parse.time),
    }
    for field in _LINE_IDS:
        columns[field] = parsed(picked(lines, field), parse.ident)
    for field in _LINE_TEXT:
        columns[field] = parsed(picked(lines, field), parse.text)
    for field in _LINE_MONEY:
        columns[field] = amounts.parse(field, picked(lines, field), parse.money)
    columns["unparsed_money"] = amounts.column(len(lines))
    columns["unparsed_times"] = times.column(len(lines))
    return columns


def _full_title(line: LineWire) -> str | None:
    """The details give product and variant apart; joined, the line reads as it does in the list."""
    title, variant = parse.text(line.title), parse.text(line.variant_title)
    if title is None or variant is None or variant == NO_VARIANT or title.endswith(f" - {variant}"):
        return title
    return f"{title} - {variant}"


def _state(value: Scalar) -> str | None:
    written = parse.text(value)
    return "review" if written == "needs review" else written  # older webhook bodies spell it so


def _is_paid(record: ReturnWire) -> bool:
    """Loop has processed the return: it says so, or dates an outcome, or there is a refund (contracts/loop.md, section 6.1)."""
    return (
        parse.is_true(record.was_processed)
        or bool(record.refunds)
        or bool(record.shopify_refund_object)
        or _is_dated(record.outcomes_processed_at)
    )


def _is_dated(outcomes: dict[str, PhpDate | Scalar] | list[PhpDate | Scalar] | Scalar) -> bool:
    if not outcomes:
        return False
    values: Iterable[PhpDate | Scalar] = (
        outcomes.values() if isinstance(outcomes, dict) else outcomes if isinstance(outcomes, list) else [outcomes]
    )
    return any(bool(value.date) if type(value) is PhpDate else bool(value) for value in values if value is not None)
