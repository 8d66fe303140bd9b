"""What the validation of one frame found, whichever engine looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from backhaul.checks.suites import Expectation, Severity, Table, expectations, rule_of

Engine = Literal["compiled", "great_expectations"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One row that breaks one rule. `row` is its position in the frame, from 0; `engine` is who found it."""

    rule: str
    severity: Severity
    description: str
    row: int
    engine: Engine = "compiled"


@dataclass(frozen=True, slots=True)
class Report:
    """What one frame's validation found. `structural` says why the frame as a whole cannot be trusted; it is empty when it can."""

    failures: list[Failure] = field(default_factory=list)  # by row, then rule
    structural: list[str] = field(default_factory=list)
    rules_run: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule on one frame: the rows that break it; None when it cannot be evaluated there."""

    expectation: Expectation
    rows: Sequence[int] | None
    engine: Engine


def report_of(table: Table, verdicts: Sequence[Verdict]) -> Report:
    """The verdicts of a whole suite as a report."""
    failures: list[Failure] = []
    structural: list[str] = []
    for verdict in verdicts:
        rule = rule_of(verdict.expectation.rule)
        if verdict.rows is None:
            columns = ", ".join(verdict.expectation.columns)
            structural.append(f"{table}: rule {rule.rule} cannot be evaluated on {columns}; a value there has the wrong type")
            continue
        failures.extend(Failure(rule.rule, rule.severity, rule.description, row, verdict.engine) for row in verdict.rows)
    failures.sort(key=lambda failure: (failure.row, failure.rule))
    return Report(failures, sorted(structural), len(expectations(table)))
