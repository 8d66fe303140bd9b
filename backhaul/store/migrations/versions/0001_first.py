"""The first schema: all of its tables."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "check_results",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("record_key", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("found_at", types.Time(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "table_name", "record_key", "rule", name=op.f("pk_check_results")),
    )
    op.create_table(
        "decisions",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=False),
        sa.Column("decision_no", sa.Integer(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reasons", types.Json, nullable=False),
        sa.Column("expected_units", sa.Integer(), nullable=False),
        sa.Column("available_units", sa.Integer(), nullable=False),
        sa.Column("damaged_units", sa.Integer(), nullable=False),
        sa.Column("pending_units", sa.Integer(), nullable=False),
        sa.Column("missing_units", sa.Integer(), nullable=False),
        sa.Column("awaited_units", sa.Integer(), nullable=False),
        sa.Column("unverifiable_units", sa.Integer(), nullable=False),
        sa.Column("unexpected_units", sa.Integer(), nullable=False),
        sa.Column("policy_hash", sa.Text(), nullable=False),
        sa.Column("due_at", types.Time(), nullable=True),
        sa.Column("decided_at", types.Time(), nullable=False),
        sa.Column("assessed_at", types.Time(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "return_id", "decision_no", name=op.f("pk_decisions")),
    )
    op.create_index(
        "ix_decisions_current",
        "decisions",
        ["merchant", "return_id"],
        unique=True,
        postgresql_where=sa.text("is_current"),
        sqlite_where=sa.text("is_current"),
    )
    op.create_index(
        "ix_decisions_due",
        "decisions",
        ["merchant", "due_at"],
        unique=False,
        postgresql_where=sa.text("(is_current and due_at is not null)"),
        sqlite_where=sa.text("(is_current and due_at is not null)"),
    )
    op.create_index(
        "ix_decisions_held",
        "decisions",
        ["merchant", "return_id"],
        unique=False,
        postgresql_where=sa.text("(is_current and decision = 'hold')"),
        sqlite_where=sa.text("(is_current and decision = 'hold')"),
    )
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", types.Id, nullable=False),
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=False),
        sa.Column("effect_key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("waits_for", types.Id, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("is_uncertain", sa.Boolean(), nullable=False),
        sa.Column("next_attempt_at", types.Time(), nullable=False),
        sa.Column("last_attempt_at", types.Time(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", types.Time(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("created_at", types.Time(), nullable=False),
        sa.Column("accepted_at", types.Time(), nullable=True),
        sa.Column("confirmed_at", types.Time(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("merchant", "effect_key", name=op.f("uq_deliveries_merchant_effect_key")),
    )
    op.create_index(
        "ix_deliveries_open",
        "deliveries",
        ["merchant", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state in ('pending', 'sending')"),
        sqlite_where=sa.text("state in ('pending', 'sending')"),
    )
    op.create_index("ix_deliveries_return", "deliveries", ["merchant", "return_id"], unique=False)
    op.create_index(
        "ix_deliveries_unconfirmed",
        "deliveries",
        ["merchant", "kind"],
        unique=False,
        postgresql_where=sa.text("state = 'accepted'"),
        sqlite_where=sa.text("state = 'accepted'"),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("attempt_id", types.Id, nullable=False),
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("delivery_id", types.Id, nullable=False),
        sa.Column("attempt_no", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("started_at", types.Time(), nullable=False),
        sa.Column("finished_at", types.Time(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_delivery_attempts")),
    )
    op.create_index("ix_delivery_attempts_delivery", "delivery_attempts", ["delivery_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("event_id", types.Id, nullable=False),
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("record_key", sa.Text(), nullable=True),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("occurred_at", types.Time(), nullable=True),
        sa.Column("received_at", types.Time(), nullable=False),
        sa.Column("handled_at", types.Time(), nullable=True),
        sa.Column("claimed_until", types.Time(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_events")),
        sa.UniqueConstraint("merchant", "source", "channel", "body_hash", name=op.f("uq_events_merchant_source_channel_body_hash")),
    )
    op.create_index("ix_events_record", "events", ["merchant", "record_key"], unique=False)
    op.create_index(
        "ix_events_waiting",
        "events",
        ["event_id"],
        unique=False,
        postgresql_where=sa.text("handled_at is null"),
        sqlite_where=sa.text("handled_at is null"),
    )
    op.create_table(
        "exceptions",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("opened_at", types.Time(), nullable=False),
        sa.Column("resolved_at", types.Time(), nullable=True),
        sa.Column("is_settled", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "kind", "subject", name=op.f("pk_exceptions")),
    )
    op.create_index("ix_exceptions_return", "exceptions", ["merchant", "return_id"], unique=False)
    op.create_table(
        "matches",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=False),
        sa.Column("match_no", sa.Integer(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("discrepancy", sa.Text(), nullable=True),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "return_id", "match_no", name=op.f("pk_matches")),
    )
    op.create_table(
        "quarantine",
        sa.Column("quarantine_id", types.Id, nullable=False),
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("record_key", sa.Text(), nullable=False),
        sa.Column("order_name", sa.Text(), nullable=True),
        sa.Column("rules", types.Json, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("quarantined_at", types.Time(), nullable=False),
        sa.Column("released_at", types.Time(), nullable=True),
        sa.PrimaryKeyConstraint("quarantine_id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint(
            "merchant", "source", "record_key", "content_hash", name=op.f("uq_quarantine_merchant_source_record_key_content_hash")
        ),
    )
    op.create_table(
        "reason_codes",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "reason", name=op.f("pk_reason_codes")),
    )
    op.create_table(
        "receipt_lines",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("rma_key", sa.Text(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("inventory_status", sa.Text(), nullable=True),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("is_known", sa.Boolean(), nullable=True),
        sa.Column("is_expected", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "rma_key", "line_no", name=op.f("pk_receipt_lines")),
    )
    op.create_table(
        "receipts",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("rma_key", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=True),
        sa.Column("event_status", sa.Text(), nullable=False),
        sa.Column("as_of", types.Time(), nullable=True),
        sa.Column("delivered_at", types.Time(), nullable=True),
        sa.Column("received_at", types.Time(), nullable=True),
        sa.Column("closed_at", types.Time(), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "rma_key", name=op.f("pk_receipts")),
    )
    op.create_index("ix_receipts_received", "receipts", ["merchant", "received_at"], unique=False)
    op.create_table(
        "return_lines",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("barcode", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("product_id", sa.Text(), nullable=True),
        sa.Column("variant_id", sa.Text(), nullable=True),
        sa.Column("price", types.Money(), nullable=True),
        sa.Column("discount", types.Money(), nullable=True),
        sa.Column("tax", types.Money(), nullable=True),
        sa.Column("refund", types.Money(), nullable=True),
        sa.Column("return_reason", sa.Text(), nullable=True),
        sa.Column("parent_return_reason", sa.Text(), nullable=True),
        sa.Column("line_outcome", sa.Text(), nullable=True),
        sa.Column("returned_at", types.Time(), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "return_id", "line_item_id", name=op.f("pk_return_lines")),
    )
    op.create_table(
        "return_versions",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=False),
        sa.Column("version_no", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("updated_at", types.Time(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("seen_at", types.Time(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "return_id", "version_no", name=op.f("pk_return_versions")),
    )
    op.create_table(
        "returns",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=False),
        sa.Column("loop_state", sa.Text(), nullable=False),
        sa.Column("created_at", types.Time(), nullable=True),
        sa.Column("updated_at", types.Time(), nullable=True),
        sa.Column("edited_at", types.Time(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("order_name", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("return_product_total", types.Money(), nullable=True),
        sa.Column("return_discount_total", types.Money(), nullable=True),
        sa.Column("return_tax_total", types.Money(), nullable=True),
        sa.Column("return_total", types.Money(), nullable=True),
        sa.Column("return_credit_total", types.Money(), nullable=True),
        sa.Column("exchange_total", types.Money(), nullable=True),
        sa.Column("gift_card", types.Money(), nullable=True),
        sa.Column("handling_fee", types.Money(), nullable=True),
        sa.Column("refund", types.Money(), nullable=True),
        sa.Column("upsell", types.Money(), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=True),
        sa.Column("tracking_number", sa.Text(), nullable=True),
        sa.Column("label_status", sa.Text(), nullable=True),
        sa.Column("destination_id", sa.Text(), nullable=True),
        sa.Column("is_paid", sa.Boolean(), nullable=True),
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("version_no", sa.Integer(), nullable=False),
        sa.Column("is_history", sa.Boolean(), nullable=False),
        sa.Column("is_due", sa.Boolean(), nullable=False),
        sa.Column("archived_at", types.Time(), nullable=True),
        sa.Column("first_state", sa.Text(), nullable=False),
        sa.Column("first_seen_at", types.Time(), nullable=False),
        sa.Column("loaded_at", types.Time(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "return_id", name=op.f("pk_returns")),
    )
    op.create_index(
        "ix_returns_due",
        "returns",
        ["merchant", "return_id"],
        unique=False,
        postgresql_where=sa.text("is_due"),
        sqlite_where=sa.text("is_due"),
    )
    op.create_index("ix_returns_order", "returns", ["merchant", "order_name"], unique=False)
    op.create_table(
        "rmas",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("rma_key", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=True),
        sa.Column("rma_id", sa.Text(), nullable=True),
        sa.Column("rma_status", sa.Text(), nullable=True),
        sa.Column("is_terminal", sa.Boolean(), nullable=True),
        sa.Column("package_id", sa.Text(), nullable=True),
        sa.Column("return_type", sa.Text(), nullable=True),
        sa.Column("manifest_id", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("as_of", types.Time(), nullable=True),
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("first_seen_at", types.Time(), nullable=False),
        sa.Column("polled_at", types.Time(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "rma_key", name=op.f("pk_rmas")),
    )
    op.create_index(
        "ix_rmas_open",
        "rmas",
        ["merchant", "warehouse"],
        unique=False,
        postgresql_where=sa.text("not is_terminal"),
        sqlite_where=sa.text("not is_terminal"),
    )
    op.create_index("ix_rmas_return", "rmas", ["merchant", "return_id"], unique=False)
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("flow_run_id", sa.Text(), nullable=True),
        sa.Column("process", sa.Text(), nullable=True),
        sa.Column("window_start", types.Time(), nullable=True),
        sa.Column("window_end", types.Time(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", types.Time(), nullable=False),
        sa.Column("finished_at", types.Time(), nullable=True),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("records_in", sa.Integer(), nullable=False),
        sa.Column("records_out", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("counts", types.Json, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
    )
    op.create_index("ix_runs_merchant", "runs", ["merchant", "started_at"], unique=False)
    op.create_index("ix_runs_started", "runs", ["started_at"], unique=False)
    op.create_table(
        "watermarks",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("high_water_at", types.Time(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "source", name=op.f("pk_watermarks")),
    )
    op.create_table(
        "windows",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("window_start", types.Time(), nullable=False),
        sa.Column("window_end", types.Time(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("records_in", sa.Integer(), nullable=False),
        sa.Column("records_out", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("proof", types.Json, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started_at", types.Time(), nullable=True),
        sa.Column("finished_at", types.Time(), nullable=True),
        sa.Column("lease_expires_at", types.Time(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "purpose", "window_start", "window_end", name=op.f("pk_windows")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SCHEMA IF NOT EXISTS backhaul_live")
        op.create_table(
            "call_budgets",
            sa.Column("merchant", sa.Text(), nullable=False),
            sa.Column("vendor", sa.Text(), nullable=False),
            sa.Column("made", types.Json, nullable=False),
            sa.Column("paused_until", sa.Float(), nullable=False),
            sa.PrimaryKeyConstraint("merchant", "vendor"),
            schema="backhaul_live",
            prefixes=["UNLOGGED"],
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP SCHEMA IF EXISTS backhaul_live CASCADE")
    op.drop_table("windows")
    op.drop_table("watermarks")
    op.drop_index("ix_runs_started", table_name="runs")
    op.drop_index("ix_runs_merchant", table_name="runs")
    op.drop_table("runs")
    op.drop_index("ix_rmas_return", table_name="rmas")
    op.drop_index("ix_rmas_open", table_name="rmas", postgresql_where=sa.text("not is_terminal"), sqlite_where=sa.text("not is_terminal"))
    op.drop_table("rmas")
    op.drop_index("ix_returns_order", table_name="returns")
    op.drop_index("ix_returns_due", table_name="returns", postgresql_where=sa.text("is_due"), sqlite_where=sa.text("is_due"))
    op.drop_table("returns")
    op.drop_table("return_versions")
    op.drop_table("return_lines")
    op.drop_index("ix_receipts_received", table_name="receipts")
    op.drop_table("receipts")
    op.drop_table("receipt_lines")
    op.drop_table("reason_codes")
    op.drop_table("quarantine")
    op.drop_table("matches")
    op.drop_index("ix_exceptions_return", table_name="exceptions")
    op.drop_table("exceptions")
    op.drop_index(
        "ix_events_waiting", table_name="events", postgresql_where=sa.text("handled_at is null"), sqlite_where=sa.text("handled_at is null")
    )
    op.drop_index("ix_events_record", table_name="events")
    op.drop_table("events")
    op.drop_index("ix_delivery_attempts_delivery", table_name="delivery_attempts")
    op.drop_table("delivery_attempts")
    op.drop_index(
        "ix_deliveries_unconfirmed",
        table_name="deliveries",
        postgresql_where=sa.text("state = 'accepted'"),
        sqlite_where=sa.text("state = 'accepted'"),
    )
    op.drop_index("ix_deliveries_return", table_name="deliveries")
    op.drop_index(
        "ix_deliveries_open",
        table_name="deliveries",
        postgresql_where=sa.text("state in ('pending', 'sending')"),
        sqlite_where=sa.text("state in ('pending', 'sending')"),
    )
    op.drop_table("deliveries")
    op.drop_index(
        "ix_decisions_held",
        table_name="decisions",
        postgresql_where=sa.text("(is_current and decision = 'hold')"),
        sqlite_where=sa.text("(is_current and decision = 'hold')"),
    )
    op.drop_index(
        "ix_decisions_due",
        table_name="decisions",
        postgresql_where=sa.text("(is_current and due_at is not null)"),
        sqlite_where=sa.text("(is_current and due_at is not null)"),
    )
    op.drop_index(
        "ix_decisions_current", table_name="decisions", postgresql_where=sa.text("is_current"), sqlite_where=sa.text("is_current")
    )
    op.drop_table("decisions")
    op.drop_table("check_results")
