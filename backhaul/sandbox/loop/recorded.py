"""How a live Loop wrote a return in June 2026 (docs/vendors/loop.md 10), where not as documented. An account's `surface` picks one.

| what | documented | recorded |
|---|---|---|
| details | one object | an array |
| a line's reason, in the details | `return_reason` | `reason` |
| `order_id`, in the details | Loop's own | the shop's |
| `edited_at` | once it was edited | never in the list, always in the details |
| dates of the list | `2026-05-27T16:30:36.000Z` | `2026-05-27T16:30:36+00:00` |
| outcomes and `was_processed` | in the list | in both |
"""

from __future__ import annotations

from typing import Any

from backhaul.sandbox.loop.state import Return
from backhaul.sandbox.loop.wire import FIRST_PROVIDER_ORDER, details_record, list_record, offset, spaced

DOCUMENTED, RECORDED, SEEDED = "documented", "recorded", "seeded"


def surface_of(surface: str, seed: int) -> str:
    """The surface that an option names; `seeded` leaves it to the seed. Raises ValueError for any other."""
    if surface not in (DOCUMENTED, RECORDED, SEEDED):
        raise ValueError(f"no surface {surface!r}: one of {DOCUMENTED}, {RECORDED}, {SEEDED}")
    return (DOCUMENTED, RECORDED)[seed % 2] if surface == SEEDED else surface


def listed(item: Return, surface: str) -> dict[str, Any]:
    """One return as the list shows it."""
    record = list_record(item)
    if surface == DOCUMENTED:
        return record
    for line in record["line_items"]:
        line["returned_at"] = line["returned_at"] and spaced(item.created_at + 1)
    told = {"created_at": offset(item.created_at), "updated_at": offset(item.updated_at), "edited_at": None}
    return record | told | _of_both(item, record) | {"order_number": "", "provider_order_number": ""} | item.extra


def detailed(item: Return, surface: str) -> Any:
    """The answer of the details."""
    if surface == DOCUMENTED:
        return details_record(item)
    shown, record = details_record(item), list_record(item)
    for line in shown["line_items"]:
        line["title"] = f"{line['title']} - {line['variant_title']}"
        line["returned_at"] = line["returned_at"] and spaced(item.created_at + 1)
        line["reason"], line["parent_reason"] = line.pop("return_reason", None), line.pop("parent_return_reason", None)
    told = {name: record[name] for name in ("was_processed", "shopify_refund_object", "type")}
    told |= {"edited_at": spaced(item.edited_at or item.updated_at), "order_id": FIRST_PROVIDER_ORDER + item.order_number}
    told |= {"exchange_order_name": [], "exchange_order_id": [], "order_number": None, "provider_order_number": ""}
    return [shown | told | _of_both(item, record) | item.extra]


def _of_both(item: Return, record: dict[str, Any]) -> dict[str, Any]:
    times = {name: time for name, time in record["outcomes_processed_at"].items() if name != "shop_cash_processed"}
    return {
        "outcomes_processed_at": times,
        "destination_id": item.destination_id,
        "label_updated_at": record["label_updated_at"] or "N/A",
        "presentment": None,
    }
