"""The decisions (docs/architecture.md): what is to be done about a return, from its facts alone. Written anew, without the product's code.

The facts are read from the vendors themselves (`true_facts`), or from what the store has been told (`told_facts`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.chaos.ground import Account, moment

HOLD = timedelta(days=5)
CONDITIONS = {"available": "available", "damaged": "damaged", "disposed": "damaged", "short": None}  # any other key: pending
Decision = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Facts:
    """One return as one side knows it. `is_withheld`: the newest record of it, or of its receipt, is in quarantine.

    `is_history`: a backfill alone has seen it, so that whatever is called for is done by nobody.
    """

    state: str
    skus: tuple[str | None, ...]
    is_terminal: bool
    units: Counter[tuple[str, str]]
    received_at: datetime | None
    is_withheld: bool
    is_history: bool = False


def expected(facts: Facts, now: datetime) -> Decision:
    """The first rule that holds, as long as no call may have had its effect."""
    if facts.state in ("closed", "cancelled", "expired"):
        return "skip", (f"loop_{facts.state}",)
    if facts.state == "review":
        return "hold", ("loop_review",)
    return on_receipt(facts, now)


def on_receipt(facts: Facts, now: datetime) -> Decision:
    """What the receipt alone calls for: rules 3 to 8."""
    if not any(facts.skus):
        return "hold", ("unverifiable",)
    if not facts.is_terminal or facts.is_withheld:
        return "wait", ()
    left = Counter(facts.units)
    found = []
    for sku in facts.skus:
        condition = next((one for one in ("available", "pending", "damaged") if left[sku or "", one] > 0), "missing")
        left[sku or "", condition] -= 1
        found.append(condition if sku else "unverifiable")
    wrong = tuple(sorted({"damaged", "missing", "unverifiable"} & set(found)))
    if wrong:
        return "flag", wrong
    if "pending" in found:
        is_due = facts.received_at is not None and now >= facts.received_at + HOLD
        return ("flag", ("inspection_overdue",)) if is_due else ("hold", ("pending",))
    return "process", ()


def true_facts(account: Account, return_id: str) -> Facts:
    """A return as Loop and the warehouse have it."""
    item = account.loop.need(return_id)
    skus = tuple(line.sku for line in item.lines)
    units: Counter[tuple[str, str]] = Counter()
    if account.figures is not None:
        told = account.figures.get(return_id)
        for sku, (_, received, restocked) in (told or {}).items():
            units[sku, "available"] += restocked
            units[sku, "damaged"] += received - restocked
        is_terminal, received_at = told is not None, None
    elif account.warehouse == "airhouse":
        held = account.world.airhouse(account.merchant).find(return_id)
        for each in held.items if held is not None else ():
            units[each["sku"], "available"] += each["restocked_quantity"]
            units[each["sku"], "damaged"] += each["received_quantity"] - each["restocked_quantity"]
        is_terminal = held is not None and held.status in ("processed", "closed")
        received_at = held.received_at if held is not None else None
    else:
        rma = account.rmas.find(return_id)
        for line in rma.lines if rma is not None else ():
            for key, graded in line["receiving_details"].items():
                condition = CONDITIONS.get(key, "pending")
                if condition is not None:
                    units[line["customer_sku_id"], condition] += sum(one["quantity"] for one in graded)
        is_terminal = rma is not None and rma.status == "received"
        received_at = rma.received_at if rma is not None else None
    is_withheld = any(count < 0 for count in units.values())
    return Facts(item.state, skus, is_terminal, units, received_at, is_withheld)


def told_facts(account: Account, return_id: str) -> Facts | None:
    """A return as the store has it; None when it has none."""
    heads = account.rows(
        "SELECT r.loop_state, r.is_history, m.is_terminal, t.received_at FROM returns r "
        "LEFT JOIN rmas m ON m.merchant = r.merchant AND m.rma_key = r.return_id "
        "LEFT JOIN receipts t ON t.merchant = r.merchant AND t.rma_key = r.return_id WHERE r.merchant = :m AND r.return_id = :r",
        r=return_id,
    )
    if not heads:
        return None
    lines = account.rows("SELECT sku FROM return_lines WHERE merchant = :m AND return_id = :r ORDER BY line_item_id", r=return_id)
    counted = account.rows("SELECT sku, condition, units FROM receipt_lines WHERE merchant = :m AND rma_key = :r", r=return_id)
    withheld = account.rows("SELECT 1 FROM quarantine WHERE merchant = :m AND record_key = :r AND released_at IS NULL", r=return_id)
    units: Counter[tuple[str, str]] = Counter()
    for line in counted:
        units[line["sku"], line["condition"]] += line["units"]
    received_at = heads[0]["received_at"]
    return Facts(
        heads[0]["loop_state"],
        tuple(line["sku"] for line in lines),
        bool(heads[0]["is_terminal"]),
        units,
        None if received_at is None else moment(received_at),
        bool(withheld),
        bool(heads[0]["is_history"]),
    )
