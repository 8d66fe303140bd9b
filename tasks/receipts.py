"""Steps on warehouse news: poll, and take in."""

from __future__ import annotations

from backhaul.pipeline import pulling
from tasks.steps import step

poll_warehouse = step("poll-warehouse", pulling.poll, run_name="poll-warehouse {warehouse}")
load_receipts = step("load-receipts", pulling.load_receipts, run_name="load-receipts {receipts.warehouse}")
