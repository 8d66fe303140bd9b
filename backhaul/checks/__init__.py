"""Validation of normalised frames against the suites in `expectations/`.

The suites are native Great Expectations JSON and hold every rule: its id, severity and one plain sentence. Two engines read them:

| engine | file | judges |
|---|---|---|
| `compiled` | `compiled.py` | every frame that a run loads: the same rules as numpy, in half a millisecond |
| `great_expectations` | `engine.py` | rules that are not compiled; a seeded share of frames, beside; nightly, what the tables hold |

That the two agree is a property test over every rule, and checked in production (`pipeline/judging.py`). Great Expectations, whose import
costs seconds, is imported when it is first asked.
"""

from __future__ import annotations

import pandas as pd

from backhaul.checks import compiled
from backhaul.checks.columns import FRAMES, Columns, checked_columns
from backhaul.checks.report import Failure, Report, report_of
from backhaul.checks.suites import SUITES, Rule, Severity, Table, rules

__all__ = ["SUITES", "Failure", "Report", "Rule", "Severity", "Table", "differences", "judge_all", "rules", "validate"]


def validate(frame: pd.DataFrame, table: Table, *, lines: pd.DataFrame | None = None) -> Report:
    """Check one frame (columns as in `schema`) against its suite.

    `lines`, the return lines of the same batch, lets `returns` be checked against them too. A missing column or a rule that
    cannot be evaluated is structural and raises nothing. A frame without rows is checked for its columns only: no rule is run.
    """
    checked = _checked(frame, table, lines)
    if isinstance(checked, Report):
        return checked
    found, others = compiled.judge(checked, table)
    if not others:
        return report_of(table, found)
    from backhaul.checks import engine

    return report_of(table, found + engine.judge(checked, table, only=others))


def judge_all(frame: pd.DataFrame, table: Table, *, lines: pd.DataFrame | None = None, as_checkpoint: bool = False) -> Report:
    """The same, by Great Expectations alone; as a Checkpoint of the table's suite if wanted."""
    checked = _checked(frame, table, lines)
    if isinstance(checked, Report):
        return checked
    from backhaul.checks import engine

    return report_of(table, engine.run_checkpoint(checked, table) if as_checkpoint else engine.judge(checked, table))


def differences(one: Report, other: Report) -> list[str]:
    """The rules, or structural complaints, on which two reports of one frame differ; whichever engine wrote them."""
    rows = ({(failure.rule, failure.row) for failure in report.failures} for report in (one, other))
    differing = {rule for rule, _ in set.symmetric_difference(*rows)}
    return sorted(differing | (set(one.structural) ^ set(other.structural)))


def _checked(frame: pd.DataFrame, table: Table, lines: pd.DataFrame | None) -> Columns | Report:
    """The columns that the rules look at; a report where there is nothing to look at."""
    structural = [f"{table}: column {name!r} is missing" for name in FRAMES[table].all_columns if name not in frame.columns]
    if structural or frame.empty:
        return Report(structural=structural)
    try:
        return checked_columns(frame, table, lines)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        return Report(structural=[f"{table}: a column holds values of the wrong kind ({error.__class__.__name__})"])
