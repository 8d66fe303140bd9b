"""Loop's records as frames. Columnar: whole pages at once, since a page has 750 returns and a backfill a million."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain, repeat
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET

from backhaul.connectors import parse
from backhaul.connectors.base import Rejected, ReturnBatch
from backhaul.connectors.frames import Columns, Unreadable, frame, parsed, picked
from backhaul.connectors.loop.decode import Record, decode, encode
from backhaul.connectors.loop.wire import LineWire, PhpDate, PresentmentWire, ReturnWire
from backhaul.connectors.parse import Scalar, Unparsed
from backhaul.domain.reasons import folded
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
_OUTCOMES = ("return_processed", "refund_processed", "gift_card_processed", "exchange_processed", "shop_cash_processed")
_RETURN_LABEL = ("carrier", "tracking_number", "label_status")  # N/A or blank before a label exists
_LINE_MONEY = ("price", "discount", "tax", "refund")
_LINE_IDS = ("product_id", "variant_id")


def normalise(raws: Sequence[msgspec.Raw | bytes], source: Source) -> ReturnBatch:
    """Returns from their JSON: `decode`, then `batch`."""
    return batch(decode(raws), source)


def batch(records: Sequence[Record], source: Source) -> ReturnBatch:
    """Returns as `schema.RETURNS` and `schema.RETURN_LINES`, in the order of `records`; those that could not be decoded are `rejected`.

    An amount, a time or a key that does not parse is None and named in the checked columns. Lines that were taken off the return are left
    out. Personal data is dropped: `bodies` hold the wanted fields only.
    """
    returns = [record for record in records if type(record) is ReturnWire]
    owned = list(map(current_lines, returns))
    ids = [parse.ident(record.id) for record in returns]
    owners = list(chain.from_iterable(repeat(ident, len(lines)) for ident, lines in zip(ids, owned, strict=True)))
    lines = list(chain.from_iterable(owned))
    return ReturnBatch(
        returns=frame(RETURNS, _return_columns(returns, ids)),
        lines=frame(RETURN_LINES, _line_columns(lines, owners, source)),
        bodies=list(map(encode, returns)),
        rejected=[record for record in records if isinstance(record, Rejected)],
    )


def current_lines(record: ReturnWire) -> list[LineWire]:
    """The lines that the return has now: Loop's remove call leaves a line in the list (docs/vendors/loop.md, 10).

    Where `presentment` lists lines by ids that are the return's, those alone are current; else a line is off when all its amounts are zero
    and its `returned_at`, which Loop gives every line, is null.
    """
    lines = record.line_items or []
    told = record.presentment.line_items if isinstance(record.presentment, PresentmentWire) else None
    if isinstance(told, list) and told:
        current = {parse.ident(line.line_item_id) for line in told} - {None}
        if any(parse.ident(line.line_item_id) in current for line in lines):
            return [line for line in lines if parse.ident(line.line_item_id) in current]
    if any(line.returned_at is None for line in lines):
        return [line for line in lines if not _is_taken_off(line)]
    return lines


def _is_taken_off(line: LineWire) -> bool:
    return line.returned_at is None and all(parse.money(amount) == 0 for amount in (line.price, line.discount, line.tax, line.refund))


def _return_columns(returns: list[ReturnWire], ids: list[str | None]) -> Columns:
    amounts, times, keys = Unreadable(), Unreadable(), Unreadable()
    columns: Columns = {
        "return_id": keys.parse("id", picked(returns, "id"), parse.key),
        "loop_state": parsed(picked(returns, "state"), _state),
        "order_id": parsed(picked(returns, "order_id"), parse.ident),
        "destination_id": keys.parse("destination_id", picked(returns, "destination_id"), parse.key),
        "is_paid": list(map(_is_paid, returns)),
        "is_finished": [one.outcomes_processed_at is None and parse.is_true(one.was_processed) for one in returns],
        **_exchange_columns(returns),
    }
    for field in _RETURN_TEXT:
        columns[field] = parsed(picked(returns, field), parse.text)
    for field in _RETURN_LABEL:
        columns[field] = parsed(picked(returns, field), parse.text_or_na)
    for field in _RETURN_MONEY:
        columns[field] = amounts.parse(field, picked(returns, field), parse.money)
    for field in _RETURN_TIMES:
        columns[field] = times.parse(field, picked(returns, field), parse.time)
    told = picked(returns, "outcomes_processed_at")
    for outcome in _OUTCOMES:
        dates = [record.get(outcome) if type(record) is dict else None for record in told]
        columns[f"{outcome}_at"] = times.parse(outcome, dates, _outcome_time) if any(dates) else [None] * len(returns)
    columns["unparsed_money"] = amounts.column(len(returns))
    columns["unparsed_times"] = times.column(len(returns))
    columns["unparsed_keys"] = keys.column(len(returns))
    return columns


def _exchange_columns(returns: list[ReturnWire]) -> Columns:
    told = picked(returns, "exchanges")
    return {
        "exchange_units": [len(units) if type(units) is list else None for units in told],
        "out_of_stock_units": [sum(parse.is_true(unit.out_of_stock) for unit in units) if type(units) is list else None for units in told],
    }


def _line_columns(lines: list[LineWire], owners: list[str | None], source: Source) -> Columns:
    amounts, times, keys = Unreadable(), Unreadable(), Unreadable()
    added_at = [None if line.returned_at is UNSET else line.returned_at for line in lines]
    columns: Columns = {
        "return_id": owners,
        "line_item_id": keys.parse("line_item_id", picked(lines, "line_item_id"), parse.key),
        "sku": keys.parse("sku", picked(lines, "sku"), parse.sku),
        "barcode": parsed(picked(lines, "barcode"), parse.text),
        "title": [_full_title(line) for line in lines] if source == "details" else parsed(picked(lines, "title"), parse.text),
        "return_reason": parsed(_either(lines, "return_reason", "reason"), parse.text),
        "parent_return_reason": parsed(_either(lines, "parent_return_reason", "parent_reason"), parse.text),
        "line_outcome": parsed(picked(lines, "outcome"), parse.text),
        "returned_at": times.parse("returned_at", added_at, parse.time),
    }
    for field in _LINE_IDS:
        columns[field] = parsed(picked(lines, field), parse.ident)
    for field in _LINE_MONEY:
        columns[field] = amounts.parse(field, picked(lines, field), parse.money)
    columns["reason_key"] = parsed(columns["return_reason"], _reason_key)
    columns["unparsed_money"] = amounts.column(len(lines))
    columns["unparsed_times"] = times.column(len(lines))
    columns["unparsed_keys"] = keys.column(len(lines))
    return columns


def _either(lines: list[LineWire], field: str, other: str) -> list[Scalar]:
    """A field by the list's name for it, or by the details'."""
    found = picked(lines, field)
    return (
        [picked([line], other)[0] if value is None else value for line, value in zip(lines, found, strict=True)] if None in found else found
    )


def _reason_key(reason: Scalar) -> str | None:
    return folded(reason) if isinstance(reason, str) else None


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
    """Loop has processed the return: it says so, or dates an outcome, or there is a refund (docs/vendors/loop.md, 6.1).

    A record of 2019 has no field that could say so: a closed one with a refund was paid.
    """
    told = (record.was_processed, record.refunds, record.shopify_refund_object, record.outcomes_processed_at)
    if told == (None, None, None, None):
        refund = parse.money(record.refund)
        return _state(record.state) == "closed" and isinstance(refund, Decimal) and refund > 0
    is_refunded = bool(record.refunds) or bool(record.shopify_refund_object)
    return parse.is_true(record.was_processed) or is_refunded or _is_dated(record.outcomes_processed_at)


def _outcome_time(value: PhpDate | Scalar) -> datetime | Unparsed | None:
    """A time from PHP's form of it, in the zone that stands beside it, or from plain text."""
    if value is None:
        return None
    if not isinstance(value, PhpDate):
        return parse.time(value)
    moment = parse.time(value.date)
    zone = parse.text(value.timezone)
    if not isinstance(moment, datetime) or zone in (None, "UTC", "Z"):
        return moment
    with_offset = parse.time(f"{value.date}{zone}")  # `+02:00`
    if isinstance(with_offset, datetime):
        return with_offset
    try:
        return moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, KeyError, OSError, OverflowError):  # no such zone
        return parse.UNPARSED


def _is_dated(outcomes: dict[str, PhpDate | Scalar] | list[PhpDate | Scalar] | Scalar) -> bool:
    if not outcomes:
        return False
    values: Iterable[PhpDate | Scalar] = (
        outcomes.values() if isinstance(outcomes, dict) else outcomes if isinstance(outcomes, list) else [outcomes]
    )
    return any(bool(value.date) if type(value) is PhpDate else bool(value) for value in values if value is not None)
