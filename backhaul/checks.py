"""Validation of normalised frames against the suites in `expectations/`, by Great Expectations.

The suites are native GX JSON and hold every rule: its id, severity and one plain sentence. This module only feeds them: it keeps
the columns that a suite names, turns money into floats (the sign and half a cent survive that; Decimals cost ten times as much
to compare), and adds the few columns that a rule needs and no table stores:

| column | table | meaning |
|---|---|---|
| `return_total_gap` | returns | return_total - (product - discount + tax) |
| `line_count` | returns | lines of the return; null unless `validate` is given the lines |
| `line_price_gap` | returns | return_product_total - sum of its lines' prices; null likewise |

Nothing else imports Great Expectations, whose import costs seconds; it is imported when the first frame with rows is validated.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from backhaul.domain import schema
from backhaul.errors import StructuralError

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite, ExpectationValidationResult
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

Table = Literal["returns", "return_lines", "receipts", "receipt_lines"]
Severity = Literal["critical", "warning"]
Floats = npt.NDArray[np.float64]

SUITES = Path(__file__).parents[1] / "expectations"  # beside the package, in the source tree and in the wheel alike

_FRAMES = {frame.name: frame for frame in (schema.RETURNS, schema.RETURN_LINES, schema.RECEIPTS, schema.RECEIPT_LINES)}
_EVERY_ROW = {"result_format": "COMPLETE", "include_unexpected_rows": False}  # every failing row's position, not its content
_one_at_a_time = threading.Lock()  # GX keeps one global project and one engine; flows may run in threads of one process

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation, as documented: `rule` is the id that shows up in quarantine and in `check_results`."""

    rule: str
    severity: Severity
    description: str
    table: Table


@dataclass(frozen=True, slots=True)
class Failure:
    """One row that breaks one rule. `row` is its position in the frame, from 0."""

    rule: str
    severity: Severity
    description: str
    row: int


@dataclass(frozen=True, slots=True)
class Report:
    """What one frame's validation found. `structural` says why the frame as a whole cannot be trusted; it is empty when it can."""

    failures: list[Failure] = field(default_factory=list)  # by row, then rule
    structural: list[str] = field(default_factory=list)
    rules_run: int = 0

    @property
    def critical_rows(self) -> set[int]:
        """Positions of the rows that break a critical rule."""
        return {failure.row for failure in self.failures if failure.severity == "critical"}


def validate(frame: pd.DataFrame, table: Table, *, lines: pd.DataFrame | None = None) -> Report:
    """Check one frame (columns as in `schema`) against its suite.

    `lines`, the return lines of the same batch, lets `returns` be checked against them too. A missing column or a rule that
    cannot be evaluated is structural and raises nothing. A frame without rows is checked for its columns only: no rule is run.
    """
    structural = [f"{table}: column {name!r} is missing" for name in _FRAMES[table].all_columns if name not in frame.columns]
    if structural or frame.empty:
        return Report(structural=structural)
    try:
        checked = _checked_columns(frame, table, lines)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        return Report(structural=[f"{table}: a column holds values of the wrong kind ({error.__class__.__name__})"])
    with _one_at_a_time:
        return _report(_failed(checked, table), table)


def rules() -> dict[str, Rule]:
    """Every rule by its id, read from the suites alone: Great Expectations is not imported."""
    found: dict[str, Rule] = {}
    for table in get_args(Table):
        for expectation in _suite_json(table)["expectations"]:
            rule = Rule(expectation["meta"]["rule"], expectation["severity"], expectation["description"], table)
            found[rule.rule] = rule
    return found


def _failed(checked: pd.DataFrame, table: Table) -> list[ExpectationValidationResult]:
    """The expectations that do not hold, each with all its rows. Naming rows doubles GX's cost, so only those that fail pay it."""
    from great_expectations.core import ExpectationSuite

    batch, suite = _batch_definition().get_batch({"dataframe": checked}), _suite(table)
    brief = batch.validate(suite, result_format="BOOLEAN_ONLY")
    failed = {_rule_id(_config_of(result)) for result in brief.results if not result.success}
    if not failed:
        return []
    again = ExpectationSuite(name=table, expectations=[one for one in suite.expectations if _rule_id(one) in failed])
    return list(batch.validate(again, result_format=_EVERY_ROW).results)


def _report(failed: list[ExpectationValidationResult], table: Table) -> Report:
    known = rules()
    failures: list[Failure] = []
    structural: list[str] = []
    for outcome in failed:
        config = _config_of(outcome)
        rule = known[_rule_id(config)]
        positions = outcome.result.get("unexpected_index_list")
        if positions is None:  # GX does not raise: it answers success=False with an exception in place of a result
            log.debug("rule %s could not be evaluated: %s", rule.rule, outcome.exception_info)
            columns = ", ".join(_columns_of(config.kwargs))
            structural.append(f"{table}: rule {rule.rule} cannot be evaluated on {columns}; a value there has the wrong type")
            continue
        failures.extend(Failure(rule.rule, rule.severity, rule.description, int(row)) for row in positions)
    failures.sort(key=lambda failure: (failure.row, failure.rule))
    return Report(failures, sorted(structural), len(_suite_json(table)["expectations"]))


def _config_of(result: ExpectationValidationResult) -> ExpectationConfiguration:
    if result.expectation_config is None:  # GX allows a result without one; none of its own comes so
        raise StructuralError("Great Expectations answered without naming the expectation")
    return result.expectation_config


def _rule_id(expectation: Expectation | ExpectationConfiguration) -> str:
    return str((expectation.meta or {})["rule"])


def _checked_columns(frame: pd.DataFrame, table: Table, lines: pd.DataFrame | None) -> pd.DataFrame:
    kinds = {column.name: column.kind for column in _FRAMES[table].fields}
    columns: dict[str, Any] = {}
    for name in _suite_columns(table):
        if name in _DERIVED:
            columns[name] = _DERIVED[name](frame, lines)
        elif kinds.get(name) is schema.Kind.MONEY:
            columns[name] = _floats(frame[name])
        else:
            values = frame[name].to_numpy(dtype=object)
            is_blank = values == ""
            if is_blank.any():  # a blank text is an absent one
                values = values.copy()
                values[is_blank] = None
            columns[name] = values
    return pd.DataFrame(columns, copy=False)


def _floats(amounts: pd.Series[Any]) -> Floats:
    """Amounts as floats, each distinct one converted once."""
    values = amounts.tolist()
    known = {value: np.nan if value is None else float(value) for value in set(values)}
    return np.array([known[value] for value in values], dtype=np.float64)


def _return_total_gap(returns: pd.DataFrame, _lines: pd.DataFrame | None) -> Floats:
    product, discount, tax, total = (
        _floats(returns[name]) for name in ("return_product_total", "return_discount_total", "return_tax_total", "return_total")
    )
    return total - (product - discount + tax)


def _line_count(returns: pd.DataFrame, lines: pd.DataFrame | None) -> Floats:
    return np.full(len(returns), np.nan) if lines is None else _sums(returns, lines, np.ones(len(lines)))


def _line_price_gap(returns: pd.DataFrame, lines: pd.DataFrame | None) -> Floats:
    if lines is None:
        return np.full(len(returns), np.nan)
    prices = _floats(lines["price"])
    is_priced = ~np.isnan(prices)
    sums = _sums(returns, lines, np.where(is_priced, prices, 0.0))
    sums[_sums(returns, lines, is_priced.astype(np.float64)) == 0] = np.nan  # no price to compare: another rule tells of that
    return _floats(returns["return_product_total"]) - sums


def _sums(returns: pd.DataFrame, lines: pd.DataFrame, of_line: Floats) -> Floats:
    """For each return, the sum of what its lines have."""
    ids = np.concatenate([table["return_id"].to_numpy(dtype=object) for table in (returns, lines)])
    places, known = pd.factorize(ids)
    mine, owner = places[: len(returns)], places[len(returns) :]
    has_owner = owner >= 0
    sums = np.bincount(owner[has_owner], of_line[has_owner], len(known)).astype(np.float64)
    return np.append(sums, 0.0)[mine]  # a row without an id is at place -1


_DERIVED: dict[str, Callable[[pd.DataFrame, pd.DataFrame | None], Floats]] = {
    "return_total_gap": _return_total_gap,
    "line_count": _line_count,
    "line_price_gap": _line_price_gap,
}


def _columns_of(kwargs: dict[str, Any]) -> list[str]:
    named = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
    return named + list(kwargs.get("column_list", ()))


@cache
def _suite_columns(table: Table) -> tuple[str, ...]:
    named = (name for expectation in _suite_json(table)["expectations"] for name in _columns_of(expectation["kwargs"]))
    return tuple(dict.fromkeys(named))


@cache
def _suite_json(table: Table) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((SUITES / f"{table}.json").read_text(encoding="utf-8"))
    return content


@cache
def _suite(table: Table) -> ExpectationSuite:
    from great_expectations.core import ExpectationSuite

    return ExpectationSuite(**_suite_json(table))


@cache
def _batch_definition() -> BatchDefinition[Any]:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read by GX when it is imported
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults, ProgressBarsConfig
    from great_expectations.execution_engine import pandas_execution_engine

    pandas_execution_engine.HASH_THRESHOLD = 0  # no frame is hashed for a fingerprint that nobody reads: a fourth of a check

    # Spelt out, because GX's own default for an ephemeral context has a docs site on disk and shows progress bars.
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    return context.data_sources.add_pandas("frames").add_dataframe_asset("frame").add_batch_definition_whole_dataframe("whole")
