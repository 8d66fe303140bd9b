"""A draft in MasonHub's words (docs/vendors/masonhub.md, 4.2)."""

from __future__ import annotations

from backhaul.connectors.masonhub.endpoints import (
    MADE_BY_CUSTOMER,
    MANIFEST_LIMIT,
    NOTES_LIMITS,
    PACKAGE_LIMITS,
    TARGET_STATUS,
    UNLABELLED_PACKAGE,
)
from backhaul.connectors.masonhub.wire import LineOut, RmaOut
from backhaul.domain.rma import RmaDraft, RmaLine


def wire_form(draft: RmaDraft, *, send_order_id: bool) -> RmaOut:
    """The whole record, as POST and PUT take it. `send_order_id` names the order, which makes MasonHub check it against its own."""
    order_id = draft.order_number if send_order_id else None
    return RmaOut(
        customer_identifier=draft.return_id,
        return_type=MADE_BY_CUSTOMER,
        generate_return_label=False,
        package_id=package_id(draft),
        manifest_id=manifest_id(draft),
        line_items=[_line(line, order_id) for line in draft.lines],
    )


def manifest_id(draft: RmaDraft) -> str:
    """`#1001-R1`: the order's name, cut so that the whole fits 20 characters, and the return's ordinal on that order."""
    suffix = f"-R{draft.ordinal}"
    name = draft.order_name or draft.order_number or draft.return_id
    return name[: MANIFEST_LIMIT - len(suffix)] + suffix


def package_id(draft: RmaDraft) -> str:
    """The tracking number, or a stand-in until there is one that MasonHub takes (5 to 100 characters)."""
    shortest, longest = PACKAGE_LIMITS
    tracking = (draft.tracking_number or "").strip()
    return (tracking if len(tracking) >= shortest else UNLABELLED_PACKAGE.format(return_id=draft.return_id))[:longest]


def _line(line: RmaLine, order_id: str | None) -> LineOut:
    shortest, longest = NOTES_LIMITS
    notes = " ".join((line.reason or "").split())[:longest].rstrip()
    return LineOut(
        customer_sku_id=line.sku,
        quantity=line.units,
        return_reason_code=line.reason_code,
        return_inventory_status=TARGET_STATUS,
        return_notes=notes if len(notes) >= shortest else None,
        customer_order_id=order_id,
    )
