"""The step that lets go what is past its time."""

from __future__ import annotations

from backhaul.pipeline import retaining
from tasks.steps import step

prune_store = step("prune-store", retaining.prune)
