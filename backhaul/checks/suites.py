"""The suites as they stand in `expectations/`: read here alone, without Great Expectations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

Table = Literal["returns", "return_lines", "receipts", "receipt_lines"]
Severity = Literal["critical", "warning"]

SUITES = Path(__file__).parents[2] / "expectations"  # beside the package, in the source tree and in the wheel alike


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation, as documented: `rule` is the id that shows up in quarantine and in `check_results`."""

    rule: str
    severity: Severity
    description: str
    table: Table


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation, as it is evaluated."""

    rule: str
    type: str
    kwargs: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        """The columns that it looks at."""
        named = [self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs]
        return named + list(self.kwargs.get("column_list", ()))


@cache
def suite_json(table: Table) -> dict[str, Any]:
    """A table's suite, as Great Expectations reads it."""
    content: dict[str, Any] = json.loads((SUITES / f"{table}.json").read_text(encoding="utf-8"))
    return content


@cache
def expectations(table: Table) -> tuple[Expectation, ...]:
    """A table's expectations, in the order of its suite."""
    return tuple(Expectation(one["meta"]["rule"], one["type"], one["kwargs"]) for one in suite_json(table)["expectations"])


@cache
def suite_columns(table: Table) -> tuple[str, ...]:
    """The columns that a table's rules look at."""
    return tuple(dict.fromkeys(name for one in expectations(table) for name in one.columns))


@cache
def _rules() -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for table in get_args(Table):
        for one in suite_json(table)["expectations"]:
            found[one["meta"]["rule"]] = Rule(one["meta"]["rule"], one["severity"], one["description"], table)
    return found


def rules() -> dict[str, Rule]:
    """Every rule by its id."""
    return dict(_rules())


def rule_of(rule: str) -> Rule:
    """One rule."""
    return _rules()[rule]
