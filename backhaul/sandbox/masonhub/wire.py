"""How MasonHub writes an RMA (docs/vendors/masonhub.md 4.2, 4.5; quirks Q6 and Q13)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from backhaul.sandbox.masonhub.state import Rma


def rfc3339(moment: datetime | None) -> str | None:
    """2026-03-09T16:20:11Z."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def record(rma: Rma) -> dict[str, Any]:
    """One RMA as a detailed list shows it."""
    return {
        "id": rma.id,
        "customer_identifier": rma.customer_identifier,
        "manifest_id": rma.manifest_id,
        "return_type": rma.return_type,
        "package_id": rma.package_id,
        "return_label_url": rma.return_label_url,
        "customer_instructions": rma.customer_instructions,
        **rma.address,
        "line_items": rma.lines,
        "status": rma.status,
        "notes": rma.notes,
        "received_at": rfc3339(rma.received_at),
        "version": rma.version,
        "created_at": rfc3339(rma.created_at),
        "updated_at": rfc3339(rma.updated_at),
        "deleted_at": rfc3339(rma.deleted_at),
    }


def summary(rmas: Sequence[Rma]) -> dict[str, Any]:
    """A summary list: other names, counts as strings, `processed_at` for the time of receipt."""
    rows = []
    for rma in rmas:
        row = {
            "return_id": rma.id,
            "return_customer_identifier": rma.customer_identifier,
            "return_type": rma.return_type,
            "return_package_id": rma.package_id,
            "return_status": rma.status,
            "number_skus": str(len({line["customer_sku_id"] for line in rma.lines})),
            "number_units": str(sum(int(line["quantity"]) for line in rma.lines)),
        }
        if rma.received_at is not None:
            row["processed_at"] = rfc3339(rma.received_at)
        rows.append(row)
    return {"number_of_returns": len(rows), "returns": rows}
