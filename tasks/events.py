"""Steps on events that arrived by webhook: claim, load, read back, settle."""

from __future__ import annotations

from backhaul.pipeline import deciding, eventing
from tasks.steps import step

claim_events = step("claim-events", eventing.claim)
load_events = step("load-events", eventing.load)
read_back = step("read-back", eventing.read_back)
confirm_rmas = step("confirm-rmas", eventing.confirm_rmas)
decide_in_short = step("decide-returns", deciding.decide_in_short)
settle_events = step("settle-events", eventing.settle)
give_events_back = step("give-events-back", eventing.postpone)
