"""How Loop writes a return: five surfaces, five sets of types and date formats (docs/vendors/loop.md 3, 6.1 to 6.3, 7.1 to 7.3).

Names, addresses and e-mails are fictional, and there on purpose: whoever reads these payloads has to drop them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from backhaul.sandbox.loop.state import Line, Return

_FIRST = ("Sam", "Zoë", "Dana", "Kim", "Noor", "Ana", "Lee", "Ira")
_LAST = ("Shopper", "Example", "Sample", "Tester", "Placeholder")
FIRST_PROVIDER_ORDER, FIRST_ORDER = 5_444_175_000_000, 98_000_000  # plus the order number: the shop's id and Loop's own
FIRST_PROVIDER_LINE = 23_984_000_000_000
DESTINATIONS = {67_896: "Main Warehouse", 67_897: "West Warehouse"}


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def _parts(moment: int) -> tuple[str, str]:
    """Date and time of day as text; a page of 750 returns asks for thousands of them, and strftime is slow."""
    day, second = divmod(moment, 86_400)
    return _date(day), f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def iso_ms(moment: int | None) -> str | None:
    """The list's dates: 2026-01-05T22:27:15.000Z."""
    return None if moment is None else "{}T{}.000Z".format(*_parts(moment))


def spaced(moment: int | None) -> str | None:
    """The details' dates, without a zone: 2026-01-05 22:27:15."""
    return None if moment is None else "{} {}".format(*_parts(moment))


def offset(moment: int | None) -> str | None:
    """The webhooks' dates: 2026-01-05T22:27:15+00:00."""
    return None if moment is None else "{}T{}+00:00".format(*_parts(moment))


def zulu(moment: int | None) -> str | None:
    """The ASN report's dates: 2026-01-05T22:27:15Z."""
    return None if moment is None else "{}T{}Z".format(*_parts(moment))


def money(cents: int) -> str:
    """A decimal string in major units."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def shopper(number: int) -> dict[str, str]:
    """A fictional customer."""
    first, last = _FIRST[number % len(_FIRST)], _LAST[number // len(_FIRST) % len(_LAST)]
    return {"first_name": first, "last_name": last, "email": f"shopper.{number}@example.com"}


def _totals(item: Return) -> dict[str, str]:
    product, discount = sum(line.price for line in item.lines), sum(line.discount for line in item.lines)
    tax = sum(line.tax for line in item.lines)
    exchanged = sum(round(float(each["total"]) * 100) for each in item.exchanges)
    credit = min(exchanged, item.return_total)
    left = max(item.return_total - credit - item.handling_fee, 0)
    gift_card = left if "credit" in item.outcome else 0
    refund = 0 if gift_card else left
    return {
        "total": money(refund),
        "return_product_total": money(product),
        "return_discount_total": money(discount),
        "return_tax_total": money(tax),
        "return_total": money(item.return_total),
        "return_credit_total": money(credit),
        "exchange_product_total": money(sum(round(float(each["price"]) * 100) for each in item.exchanges)),
        "exchange_discount_total": "0.00",
        "exchange_tax_total": money(sum(round(float(each["tax"]) * 100) for each in item.exchanges)),
        "exchange_total": money(exchanged),
        "exchange_credit_total": money(credit),
        "gift_card": money(gift_card),
        "handling_fee": money(item.handling_fee),
        "refund": money(refund),
        "upsell": money(max(exchanged - item.return_total, 0)),
    }


def _line(line: Line, item: Return, returned_at: str | None) -> dict[str, Any]:
    refund = line.price - line.discount
    return {
        "line_item_id": str(line.line_item_id),
        "provider_line_item_id": str(FIRST_PROVIDER_LINE + line.line_item_id),
        "product_id": str(line.product_id),
        "variant_id": str(line.variant_id),
        "sku": line.sku,
        "title": f"{line.title} - {line.variant}",
        "price": money(line.price),
        "discount": money(line.discount),
        "tax": money(line.tax),
        "refund": money(refund + line.tax),
        "refund_item": money(refund),
        "refund_tax": money(line.tax),
        "returned_at": returned_at,
        "exchange_variant": "",
        "return_reason": line.reason,
        "parent_return_reason": line.parent_reason,
        "return_comment": line.comment,
        "barcode": line.barcode,
        "outcome": "default",
        "provider_restock_location_id": None,
        "consolidation_tracking": None,
        "consolidation_destination_id": None,
        "condition": None,
        "disposition": None,
        **line.extra,
    }


def _label(item: Return) -> dict[str, Any]:
    has_label = item.tracking_number is not None
    return {
        "carrier": item.carrier if has_label else "N/A",
        "tracking_number": item.tracking_number if has_label else "N/A",
        "label_status": item.label_status,
        "label_url": f"https://labels.example.com/{item.id}.pdf" if has_label else None,
        "label_rate": "4.50" if has_label else None,
        "label_updated_at": iso_ms(item.label_updated_at),
    }


def _labels(item: Return) -> list[dict[str, Any]]:
    """Line ids are integers here, and the rate is cents, beside decimal strings everywhere else (quirk 9)."""
    if item.tracking_number is None:
        return []
    return [
        {
            "status": item.label_status,
            "updated_at": iso_ms(item.label_updated_at),
            "url": f"https://labels.example.com/{item.id}.pdf",
            "rate": 450,
            "carrier": item.carrier,
            "tracking_number": item.tracking_number,
            "line_items": [line.line_item_id for line in item.lines],
        }
    ]


def _processed_dates(item: Return) -> dict[str, Any]:
    stamp = None
    if item.was_processed and item.processed_at is not None:
        stamp = {"date": f"{spaced(item.processed_at)}.000000", "timezone_type": 3, "timezone": "UTC"}
    refund, exchange, gift = (
        stamp if word in item.outcome and word not in item.undone else None for word in ("refund", "exchange", "credit")
    )
    return {
        "return_processed": stamp,
        "refund_processed": refund,
        "gift_card_processed": gift,
        "exchange_processed": exchange,
        "shop_cash_processed": None,
    }


def list_record(item: Return) -> dict[str, Any]:
    """One return as the list shows it: ids are strings, dates ISO with milliseconds."""
    person = shopper(item.shopper)
    return {
        "id": str(item.id),
        "state": item.state,
        "created_at": iso_ms(item.created_at),
        "updated_at": iso_ms(item.updated_at),
        "edited_at": iso_ms(item.edited_at),
        "outcome": item.outcome,
        "order_id": str(FIRST_ORDER + item.order_number),
        "order_name": item.order_name,
        "order_number": str(item.order_number),
        "provider_order_id": str(FIRST_PROVIDER_ORDER + item.order_number),
        "provider_order_number": str(item.order_number),
        "customer": person["email"],
        "origin_country": "United States",
        "origin_country_code": "US",
        "multi_currency": False,
        "currency": item.currency,
        **_totals(item),
        "gift_card_order_name": None,
        "gift_card_order_id": None,
        "refund_before_inspection": False,
        "was_processed": item.was_processed,
        "outcomes_processed_at": _processed_dates(item),
        "line_items": [_line(line, item, iso_ms(item.created_at + 1)) for line in item.lines] + [_off(line, item) for line in item.removed],
        "exchanges": item.exchanges,
        **_label(item),
        "status_page_url": f"https://example.loopreturns.com/#/return/00000000-0000-4000-8000-{item.id:012d}",
        "destination_id": None if item.destination_id is None else str(item.destination_id),
        "return_method": None,
        "package_reference": None,
        "type": item.type,
        "labels": _labels(item),
        "shopify_refund_object": [],
        **_presentment(item),
        **item.extra,
    }


def _off(line: Line, item: Return) -> dict[str, Any]:
    """A line that the remove call took off: it stays, with every amount at zero and without its date."""
    return _line(line, item, None) | dict.fromkeys(("price", "discount", "tax", "refund", "refund_item", "refund_tax"), "0.00")


def _presentment(item: Return) -> dict[str, Any]:
    """Left out while it says nothing that `line_items` does not, since pages are long enough."""
    if not item.removed:
        return {}
    return {"presentment": {"currency": item.currency, "line_items": [{"line_item_id": str(line.line_item_id)} for line in item.lines]}}


def details_record(item: Return) -> dict[str, Any]:
    """One return by itself: ids are integers, dates are spaced and have no zone."""
    record = list_record(item)
    for absent in ("order_id", "type", "origin_country", "origin_country_code", "refund_before_inspection", "was_processed"):
        record.pop(absent, None)
    for absent in ("outcomes_processed_at", "shopify_refund_object", "presentment"):
        record.pop(absent, None)
    lines = []
    for line, wire in zip([*item.lines, *item.removed], record["line_items"], strict=True):
        wire.update(line_item_title=line.title, variant_title=line.variant, title=line.title, image="https://cdn.example.com/p.jpg")
        for name in ("line_item_id", "provider_line_item_id", "product_id", "variant_id"):
            wire[name] = _as_int(wire[name])
        for absent in ("refund_item", "refund_tax", "consolidation_destination_id"):
            wire.pop(absent, None)
        lines.append(wire)
    refunds = []
    if item.processed_at is not None and "refund" in item.outcome:
        refunds = [{"gateway": "manual", "amount": record["refund"], "currency": item.currency, "provider_refund_id": str(item.id * 10)}]
    return {
        **record,
        "id": item.id,
        "created_at": spaced(item.created_at),
        "updated_at": spaced(item.updated_at),
        "edited_at": spaced(item.edited_at),
        "order_id": FIRST_ORDER + item.order_number,
        "provider_order_number": item.order_number,
        "provider_order_id": FIRST_PROVIDER_ORDER + item.order_number,
        "exchange": record["exchange_total"],
        "exchange_order_name": None,
        "exchange_order_id": None,
        "refunds": refunds,
        "line_items": lines,
        **item.extra,
    }


def _as_int(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value


def asn_rows(item: Return) -> list[dict[str, Any]]:
    """The ASN report: one row a line, the return's id an integer, the line's a string."""
    label, email = _label(item), shopper(item.shopper)["email"]
    return [
        {
            "id": item.id,
            "return_line_item_id": str(line.line_item_id),
            "order_id": str(FIRST_ORDER + item.order_number),
            "order_name": item.order_name,
            "order_number": str(item.order_number),
            "provider_order_number": str(item.order_number),
            "state": item.state,
            "customer_email": email,
            "title": line.title,
            "purchase_price": money(line.price),
            "sku": line.sku,
            "barcode": line.barcode,
            "carrier": label["carrier"],
            "service": "Priority" if item.tracking_number else None,
            "label_status": item.label_status,
            "tracking_number": label["tracking_number"],
            "integration_tracking_url": None,
            "restock_status": None,
            "currency": item.currency,
            "label_updated_at": zulu(item.label_updated_at),
            "label_url": label["label_url"],
            "label_rate": label["label_rate"],
            "closed_at": zulu(item.closed_at),
            "updated_at": zulu(item.updated_at),
            "created_at": zulu(item.created_at),
            "return_reason": line.reason,
            "actioned_by": None,
            "return_method": None,
            "date_delivered": None,
            "outcome": item.outcome,
            "scannable_id": None,
            "package_reference": None,
            "provider_created_at": zulu(item.created_at - 9 * 86_400),
            "destination_id": None if item.destination_id is None else str(item.destination_id),
            "destination_name": None if item.destination_id is None else DESTINATIONS.get(item.destination_id),
            "destination_address1": "123 Commerce St",
            "destination_city": "Columbus",
            "destination_state": "Ohio",
            "destination_zip": "43215",
            "consolidation_tracking": None,
        }
        for line in item.lines
    ]
