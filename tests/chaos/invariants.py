"""The invariants (docs/architecture.md) from outside: what happened at the vendors, and what the store says. One function, for all.

`check` is for an account at rest: everything is healed, and syncs have gone on until nothing changed any more.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from backhaul.store.whereabouts import differences
from tests.chaos.ground import Account, moment

# Vendors' operations by the kind of delivery that owes them, as the journal names them at either warehouse.
WRITES = {
    "masonhub.create": "rma.create",
    "masonhub.update": "rma.update",
    "masonhub.delete": "rma.cancel",
    "airhouse.create": "rma.create",
    "airhouse.update": "rma.update",
    "airhouse.cancel": "rma.cancel",
    "airhouse.close": "rma.close",
    "loop.note": "loop.note",
    "loop.flag": "loop.flag",
    "loop.process": "loop.process",
}
_AT_REST = {"confirmed", "superseded", "shadow"}
_ANSWERED = {"refused", "failed"}  # the vendor's own word; never for passing trouble
_CALLED = (
    "accepted",
    "adopted",
    "retry",
    "uncertain",
    "refused",
    "crashed",
    "unauthorized",
    "dead",
)  # what can come of an attempt that made a call
_SECONDS = timedelta(seconds=1)


def check(account: Account) -> list[str]:
    """Every breach, in words; empty when all invariants hold."""
    return [
        *(*_announced(account), *_processed(account), *_written(account), *_counted(account)),
        *(*_watermark(account), *_at_rest(account), *_whereabouts(account)),
    ]


def _announced(account: Account) -> Iterator[str]:
    """I1: one RMA for each return that was seen alive and has a SKU, keyed by its id; none for any other."""
    first = {row["return_id"]: row for row in account.rows("SELECT return_id, first_state, is_history FROM returns WHERE merchant = :m")}
    announces = "announce" not in account.file.read_text(encoding="utf-8")
    for item in account.loop:
        seen = first.get(str(item.id))
        if seen is None:
            continue
        has_sku = any(line.sku for line in item.lines)
        is_due = announces and seen["first_state"] in ("open", "review") and not seen["is_history"] and has_sku
        if account.warehouse == "masonhub":
            standing = [rma for rma in account.rmas.all_of(str(item.id)) if rma.status != "deleted"]
        else:
            standing = [one for one in account.world.airhouse(account.merchant).returns.values() if one.external_id == str(item.id)]
            standing = [one for one in standing if one.status != "cancelled"]
        is_withdrawn = item.state in ("cancelled", "expired")
        if len(standing) > 1:
            yield f"I1: return {item.id} has {len(standing)} RMAs"
        if is_due and not is_withdrawn and item.state in ("open", "review") and len(standing) != 1:
            yield f"I1: return {item.id}, {item.state}, has {len(standing)} RMAs"
        if standing and (seen["first_state"] not in ("open", "review") or seen["is_history"]):
            yield f"I1: return {item.id}, first seen {seen['first_state']}, has an RMA"


def _processed(account: Account) -> Iterator[str]:
    """I2: a return is processed at most once, and only on units that were all available."""
    for return_id, times in account.effects().get("loop.process", {}).items():
        if times > 1 + account.retried[return_id]:
            yield f"I2: return {return_id} was processed {times} times"
        found = account.rows(
            "SELECT expected_units, available_units FROM decisions WHERE merchant = :m AND return_id = :r AND decision = 'process'",
            r=return_id,
        )
        if not any(row["expected_units"] == row["available_units"] for row in found):
            yield f"I2: return {return_id} was processed, and no decision on its units calls for it"
    for effect in ("loop.flag", "loop.note"):
        for return_id, times in account.effects().get(effect, {}).items():
            if times > 1:
                yield f"I8: {effect} of return {return_id} happened {times} times"


def _written(account: Account) -> Iterator[str]:
    """I3: whatever a vendor was asked to write is a delivery that was there before, with an attempt for each call."""
    attempts: Counter[tuple[str, str]] = Counter()
    query = (
        "SELECT d.kind, d.return_id, a.outcome FROM delivery_attempts a JOIN deliveries d ON d.delivery_id = a.delivery_id "
        "WHERE d.merchant = :m"
    )
    for row in account.rows(query):
        attempts[row["kind"], row["return_id"]] += row["outcome"] in _CALLED
    created = {
        (row["kind"], row["return_id"]): row["created_at"]
        for row in account.rows("SELECT kind, return_id, min(created_at) AS created_at FROM deliveries WHERE merchant = :m GROUP BY 1, 2")
    }
    asked: Counter[tuple[str, str]] = Counter()
    for call in account.world.journal.writes(merchant=account.merchant):
        for return_id in _subjects(account, call):
            key = (WRITES[call.operation], return_id)
            asked[key] += 1
            if key not in created:
                yield f"I3: {call.operation} of {return_id} is in no outbox"
            elif moment(created[key]) > call.at + _SECONDS:
                yield f"I3: {call.operation} of {return_id} was sent before it was in the outbox"
    for key, times in asked.items():
        if attempts[key] < times:
            yield f"I3: {key[0]} of {key[1]} was sent {times} times and has {attempts[key]} attempts"


def _subjects(account: Account, call: Any) -> list[str]:
    """The returns that a write was about."""
    if call.operation.startswith("loop."):
        return [call.path.rstrip("/").split("/")[-2]]
    if call.operation.startswith("masonhub."):
        return [str(one["customer_identifier"]) if isinstance(one, dict) else _of_rma(account, str(one)) for one in call.body]
    if isinstance(call.body, dict) and "external_id" in call.body:
        return [str(call.body["external_id"])]
    held = account.world.airhouse(account.merchant).returns
    return [str(held[part].external_id) for part in call.path.split("/") if part in held]


def _of_rma(account: Account, key: str) -> str:
    rma = account.rmas.by_id(key)
    return str(rma.customer_identifier) if rma is not None else key


def _counted(account: Account) -> Iterator[str]:
    """I4: nothing that was extracted vanishes."""
    stored = {row["return_id"] for row in account.rows("SELECT return_id FROM returns WHERE merchant = :m")}
    held = {row["record_key"] for row in account.rows("SELECT record_key FROM quarantine WHERE merchant = :m AND released_at IS NULL")}
    for item in account.loop:
        if str(item.id) not in stored | held:
            yield f"I4: return {item.id} is neither in the tables nor in quarantine"
    for run in account.rows("SELECT * FROM runs WHERE merchant = :m AND state = 'completed'"):
        if run["records_in"] != run["records_out"] + run["unchanged"] + run["quarantined"]:
            yield f"I4: the counts of {run['flow']} {run['run_id']} do not add up"


def _watermark(account: Account) -> Iterator[str]:
    """I5: the watermark is no further than what was taken in, and never in the future."""
    found = account.rows("SELECT high_water_at FROM watermarks WHERE merchant = :m AND source = 'loop'")
    if not found:
        return
    high_water_at = moment(found[0]["high_water_at"])
    if high_water_at > account.world.now:
        yield "I5: the watermark lies in the future"
    held = {row["record_key"] for row in account.rows("SELECT record_key FROM quarantine WHERE merchant = :m AND released_at IS NULL")}
    taken_in = {
        row["return_id"]: row["updated_at"] for row in account.rows("SELECT return_id, updated_at FROM returns WHERE merchant = :m")
    }
    for item in account.loop:
        updated_at = datetime.fromtimestamp(item.updated_at, UTC)
        if updated_at > high_water_at or str(item.id) in held:
            continue
        seen = taken_in.get(str(item.id))
        if seen is None or moment(seen) < updated_at:
            yield f"I5: return {item.id} changed before the watermark, and the change is not here"


def _at_rest(account: Account) -> Iterator[str]:
    """Every delivery is over, or an open exception or what it waits for explains why not."""
    explained = {subject for _, subject in account.exceptions()}
    explained |= {subject.partition(":")[2] for subject in explained}
    for row in account.rows("SELECT * FROM deliveries WHERE merchant = :m"):
        name = f"{row['kind']} of return {row['return_id']}"
        if row["state"] in _AT_REST:
            continue
        if row["state"] in _ANSWERED and row["return_id"] in explained | _ended(account):
            continue
        if row["state"] == "accepted" and (row["kind"] == "loop.note" or row["return_id"] in explained):
            continue  # no news of Loop's ever shows a note
        yield f"{name} is {row['state']}: {row['message']}"


def _ended(account: Account) -> set[str]:
    return {str(item.id) for item in account.loop if item.state in ("closed", "cancelled", "expired")}


def _whereabouts(account: Account) -> Iterator[str]:
    """What is kept of where each return stands is what its facts come to."""
    with account.store.read() as connection:
        for one in differences(connection, account.merchant):
            yield f"return {one.return_id} stands at {one.true}, and what is kept is {one.stored}"


def digest(account: Account) -> dict[str, Any]:
    """Where everything stands, without times and our own numbers: equal for equal histories, whatever went wrong on the way (I7, I8)."""
    standing = account.rows(
        "SELECT return_id, loop_state, rma_status, expected_units, available_units, damaged_units, pending_units, missing_units, "
        "awaited_units, unverifiable_units, unexpected_units, decision, reasons, delivery_state, stage FROM recon_returns "
        "WHERE merchant = :m ORDER BY return_id"
    )
    lines = account.rows(
        "SELECT return_id, line_item_id, sku, condition, units, discrepancy FROM recon_lines WHERE merchant = :m "
        "ORDER BY return_id, line_item_id"
    )
    owed = account.rows("SELECT effect_key, state, payload FROM deliveries WHERE merchant = :m ORDER BY effect_key")
    for row in owed:  # no news shows a note: only one that was looked for is confirmed
        if row["state"] == "accepted" and row["effect_key"].startswith("loop.note:"):
            row["state"] = "confirmed"
    effects = {
        name: found for name, found in account.effects().items() if name != "masonhub.update"
    }  # a full replacement: again is nothing
    for row in standing:
        row["reasons"] = json.loads(row["reasons"]) if isinstance(row["reasons"], str) else row["reasons"]
    return {"standing": standing, "lines": lines, "owed": owed, "effects": effects, "exceptions": sorted(account.exceptions())}
