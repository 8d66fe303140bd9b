"""Steps on quarantine: read what is held again from its source."""

from __future__ import annotations

from backhaul.pipeline import pulling
from tasks.steps import step

count_held = step("count-held", pulling.count_held)
begin_retry = step("begin-retry", pulling.begin_retry)
read_held_returns = step("read-held-returns", pulling.read_held_returns)
read_held_receipts = step("read-held-receipts", pulling.read_held_receipts, run_name="read-held-receipts {warehouse}")
