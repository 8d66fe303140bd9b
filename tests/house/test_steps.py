"""Every step says in Prefect's page what it does, and on what."""

from __future__ import annotations

import importlib
import inspect
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter

import pytest

from backhaul.domain.windows import Window
from tasks.audit import audit_window
from tasks.steps import Step
from tasks.windows import backfill_window

FOLDER = Path(__file__).parents[2] / "tasks"
MODULES = [importlib.import_module(f"tasks.{file.stem}") for file in sorted(FOLDER.glob("*.py")) if file.stem != "__init__"]
STEPS = {name: found for module in MODULES for name, found in vars(module).items() if isinstance(found, Step)}
DAY = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC))


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_described_by_its_function_and_named_by_what_it_is_given(name: str) -> None:
    step = STEPS[name]
    assert step.description and step.description == inspect.getdoc(step.fn)
    given = {field.split(".")[0] for _, field, _, _ in Formatter().parse(str(step.task_run_name or "")) if field}
    assert given <= set(inspect.signature(step.fn).parameters)


def test_a_window_s_step_names_its_first_day() -> None:
    assert backfill_window.task_run_name.format(window=DAY) == "backfill-window 2026-03-01"
    assert audit_window.task_run_name.format(window=DAY) == "audit-window 2026-03-01"


def test_there_are_steps() -> None:
    assert len(STEPS) > 25
