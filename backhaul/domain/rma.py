"""The RMA that a return needs, in no warehouse's own words. Each connector turns a draft into its wire form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RmaLine:
    """Units of one SKU that come back for one reason. `reason_code` is the warehouse's code, `reason` the customer's words for it."""

    sku: str
    units: int
    reason_code: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RmaDraft:
    """One RMA to announce. `return_id` is its key at the warehouse; `tracking_number` is None until a label exists."""

    return_id: str
    order_name: str | None
    order_number: str | None
    ordinal: int
    tracking_number: str | None
    lines: tuple[RmaLine, ...]
