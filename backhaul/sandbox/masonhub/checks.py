"""What MasonHub checks of one RMA in a request (docs/vendors/masonhub.md 4.2 and 4.3). The code 300 is our own, the others are attested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from backhaul.sandbox.masonhub.state import MasonHubAccount

RETURN_TYPES = ("returned_to_sender", "rma_submitted_by_customer", "rma_created_by_distribution_center")
REASON_CODES = ("tooBig", "tooSmall", "damaged", "wrongItem", "other")
INVENTORY_STATUSES = ("available", "qc", "damaged", "quarantine")
ADDRESS_LENGTHS = {
    "name": (1, 30),
    "street_line_one": (1, 40),
    "city": (1, 30),
    "state": (2, 2),
    "postal_code": (1, 20),
    "country_code": (2, 2),
}
Problem = tuple[str, str]  # field, message


def is_taken(cid: str) -> Problem:
    """The key is in use."""
    return "customer_identifier", f"301: '{cid}' is already taken and 'customer_identifier' must be unique"


def does_not_exist(cid: object) -> Problem:
    """There is no such RMA."""
    return "customer_identifier", f"303: 'RMA' with customer_identifier '{cid}' does not exist"


def is_not_open(cid: str) -> Problem:
    """Receiving has begun."""
    return "status", f"409: '{cid}' must be in the 'open' status to be updated."


def check(account: MasonHubAccount, body: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with one RMA; an empty list when it is accepted."""
    problems = [
        *_text(body, "customer_identifier", 1, 250, is_required=True),
        *_text(body, "manifest_id", 1, 20),
        *_text(body, "customer_instructions", 0, 250),
        *_one_of(body, "return_type", RETURN_TYPES),
    ]
    if body.get("generate_return_label", True):  # the default makes a label, and needs an address (quirk Q8)
        for name, (low, high) in ADDRESS_LENGTHS.items():
            problems += _text(body, f"customer_address_{name}", low, high, is_required=True)
        if body.get("customer_address_country_code") not in (None, "US"):
            problems.append(("customer_address_country_code", "300: only 'US' is supported"))
    else:
        problems += _text(body, "package_id", 5, 100, is_required=True)
    lines = body.get("line_items")
    if not isinstance(lines, list) or not lines:
        return [*problems, ("line_items", "300: is required")]
    for index, line in enumerate(lines):
        found = _line(account, line) if isinstance(line, dict) else [("", "300: is not an object")]
        problems += [(f"line_items[{index}].{name}", text) for name, text in found]
    return problems + _orders(account, lines)


def _line(account: MasonHubAccount, line: Mapping[str, Any]) -> list[Problem]:
    problems = [
        *_text(line, "customer_sku_id", 2, 100, is_required=True),
        *_text(line, "customer_order_id", 2, 100),
        *_text(line, "return_notes", 2, 50),
        *_one_of(line, "return_reason_code", REASON_CODES),
    ]
    if "return_inventory_status" in line:
        problems += _one_of(line, "return_inventory_status", INVENTORY_STATUSES)
    quantity = line.get("quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
        problems.append(("quantity", "300: must be a whole number above zero"))
    known, sku = account.options.known_skus, line.get("customer_sku_id")
    if known is not None and isinstance(sku, str) and sku not in known:
        problems.append(("customer_sku_id", f"303: 'Sku' with customer_identifier '{sku}' does not exist"))
    return problems


def _orders(account: MasonHubAccount, lines: list[Any]) -> list[Problem]:
    """Only a `customer_order_id` that is given is looked up: it must exist, hold the SKU, and as many units."""
    orders, wanted, problems = account.options.orders, Counter[tuple[str, str]](), []
    if orders is None:
        return []
    for index, line in enumerate(lines):
        order, sku, quantity = (line.get(name) for name in ("customer_order_id", "customer_sku_id", "quantity"))
        if order is None or not isinstance(quantity, int):
            continue
        wanted[order, sku] += quantity
        if order not in orders:
            problems.append((f"line_items[{index}].customer_order_id", f"303: 'Order' with customer_identifier '{order}' does not exist"))
        elif sku not in orders[order]:
            problems.append((f"line_items[{index}].customer_sku_id", f"300: '{sku}' is not on order '{order}'"))
        elif wanted[order, sku] > orders[order][sku]:
            problems.append((f"line_items[{index}].quantity", f"300: more than the {orders[order][sku]} ordered"))
    return problems


def _text(body: Mapping[str, Any], name: str, low: int, high: int, *, is_required: bool = False) -> list[Problem]:
    value = body.get(name)
    if value is None:
        return [(name, "300: is required")] if is_required else []
    if not isinstance(value, str):
        return [(name, "300: must be a string")]
    return [] if low <= len(value) <= high else [(name, f"300: length must be between {low} and {high}")]


def _one_of(body: Mapping[str, Any], name: str, known: tuple[str, ...]) -> list[Problem]:
    value = body.get(name)
    if value is None:
        return [(name, "300: is required")]
    return [] if value in known else [(name, f"300: '{value}' is not an accepted value")]
