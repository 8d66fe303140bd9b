"""Requests to MasonHub that pass every check."""

from __future__ import annotations

from typing import Any


def rma(cid: str = "37600001", **more: Any) -> dict[str, Any]:
    line = {"customer_sku_id": "TEE-NVY-M", "quantity": 2, "return_reason_code": "tooBig", "return_inventory_status": "qc"}
    body = {"customer_identifier": cid, "return_type": "rma_submitted_by_customer", "generate_return_label": False}
    return body | {"package_id": "9400100000000000000001", "manifest_id": "#1001-R1", "line_items": [line]} | more


def line(**more: Any) -> list[dict[str, Any]]:
    return [rma()["line_items"][0] | more]
