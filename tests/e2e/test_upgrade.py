"""A store of the first version, upgraded: the vendors tell what they told before, and nothing of it is news."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from backhaul.domain.keys import content_hash
from backhaul.store import tables
from backhaul.store.engine import Store
from tests.e2e.house import House
from tests.store.test_migrations import at_revision

# The columns that a hash covered in the first version, in their order.
FIRST = {
    "returns": (
        *("return_id", "loop_state", "created_at", "updated_at", "edited_at", "order_id", "order_name", "outcome", "currency"),
        *("return_product_total", "return_discount_total", "return_tax_total", "return_total", "return_credit_total", "exchange_total"),
        *("gift_card", "handling_fee", "refund", "upsell", "carrier", "tracking_number", "label_status", "destination_id", "is_paid"),
        *("unparsed_money", "unparsed_times"),
    ),
    "return_lines": (
        *("return_id", "line_item_id", "sku", "barcode", "title", "product_id", "variant_id", "price", "discount", "tax", "refund"),
        *("return_reason", "parent_return_reason", "line_outcome", "returned_at", "unparsed_money", "unparsed_times"),
    ),
    "receipts": (
        *("rma_key", "return_id", "rma_id", "rma_status", "event_status", "is_terminal", "has_lines", "package_id", "return_type"),
        *("manifest_id", "version", "as_of", "delivered_at", "received_at", "closed_at", "unparsed_money", "unparsed_times"),
    ),
    "receipt_lines": (
        *("rma_key", "line_no", "sku", "inventory_status", "condition", "units", "is_known", "is_expected", "unparsed_units"),
    ),
}


def first_hashes(store: Store) -> dict[str, dict[str, str]]:
    """The content hashes of returns and RMAs as the first version made them, by table and key."""
    with store.read() as connection:

        def rows(table: sa.Table) -> list[dict[str, Any]]:
            found = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            return sorted(found, key=lambda row: (row.get("line_item_id", ""), row.get("line_no", 0)))

        def hashed(name: str, lines: str, key: str, head: dict[str, Any], of: list[dict[str, Any]]) -> str:
            flat = [head.get(column) for column in FIRST[name]]
            for line in of:
                if line[key] == head[key]:
                    flat += [line.get(column) for column in FIRST[lines]]
            return content_hash(flat)

        lines, units = rows(tables.return_lines), rows(tables.receipt_lines)
        told = {row["rma_key"]: row for row in rows(tables.receipts)}
        heads = [row | told[row["rma_key"]] | {"has_lines": True} for row in rows(tables.rmas)]
        return {
            "returns": {row["return_id"]: hashed("returns", "return_lines", "return_id", row, lines) for row in rows(tables.returns)},
            "rmas": {row["rma_key"]: hashed("receipts", "receipt_lines", "rma_key", row, units) for row in heads},
        }


def as_of_the_first_version(house: House, file: Path) -> None:
    """Move what the house's store holds to one of the first version, as that would hold it."""
    hashes = first_hashes(house.store)
    old = Store(f"sqlite:///{file}")
    at_revision(old, "0001")
    old.close()
    house.store.close()
    with sqlite3.connect(file) as connection:
        connection.execute("ATTACH DATABASE ? AS now", (house.store_url.removeprefix("sqlite:///"),))
        for (table,) in connection.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
        ).fetchall():
            now = {row[1] for row in connection.execute(f"PRAGMA now.table_info({table})")}
            names = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})") if row[1] in now)
            if names:
                connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM now.{table}")
        for table, key in (("returns", "return_id"), ("rmas", "rma_key")):
            for value, content in hashes[table].items():
                connection.execute(f"UPDATE main.{table} SET content_hash = ? WHERE {key} = ?", (content, value))
    connection.close()
    house.store_url = f"sqlite:///{file}"
    house.write_config()
    house.store = Store(house.store_url)
    house.store.upgrade()


WRITTEN_WITH_NEWS = ("return_versions", "decisions", "matches", "deliveries", "exceptions", "events", "quarantine", "check_results")


def test_a_sync_after_the_upgrade_finds_no_news_and_brings_the_new_columns_up_to_date(house: House, tmp_path: Path) -> None:
    returns = [house.shop("TEE-NVY-M", "TEE-NVY-S") for _ in range(4)]
    house.sync()
    house.receive(returns[0])
    house.receive(returns[1], "damaged")
    house.sync()
    house.sync()
    as_of_the_first_version(house, tmp_path / "old.db")
    with house.store.write() as connection:
        connection.execute(sa.text("DELETE FROM watermarks"))  # everything is asked for again
        connection.execute(sa.text("UPDATE returns SET is_due = false"))  # an upgrade has the open ones decided once more, by design
    kept = "return_id, version_no, loaded_at, run_id, is_due, first_seen_at"
    rows, before = house.rows(f"SELECT {kept} FROM returns ORDER BY return_id"), house.dump()
    assert {row["facts_hash"] for row in house.rows("SELECT facts_hash FROM returns")} == {None}

    counts = house.sync().counts

    assert (counts["records_in"], counts.get("records_out", 0), counts.get("receipts_out", 0)) == (4, 0, 0), counts
    assert house.rows(f"SELECT {kept} FROM returns ORDER BY return_id") == rows
    after = house.dump()
    assert {name: after[name] for name in WRITTEN_WITH_NEWS} == {name: before[name] for name in WRITTEN_WITH_NEWS}
    assert all(row["content_hash"].startswith("2:") for row in house.rows("SELECT content_hash FROM returns"))
    assert {row["is_finished"] for row in house.rows("SELECT is_finished FROM returns")} <= {0, 1}
    house.sync()
    assert house.dump() == after  # up to date once, and then left alone
