"""Great Expectations itself. Nothing else imports it, and nothing imports this module before it is needed: it costs seconds.

It is asked for a yes or no first, and for rows only of the rules that failed: naming rows doubles its cost.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from backhaul.checks.columns import Columns
from backhaul.checks.report import Verdict
from backhaul.checks.suites import Expectation, Table, expectations, suite_json
from backhaul.errors import StructuralError

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read by Great Expectations when it is imported
import great_expectations as gx
from great_expectations.core import ExpectationSuite
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.execution_engine import pandas_execution_engine

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.datasource.fluent.interfaces import Batch

_EVERY_ROW = {"result_format": "COMPLETE", "include_unexpected_rows": False}  # every failing row's position, not its content
_one_at_a_time = threading.Lock()  # it keeps one global project and one engine; flows run in threads of one process

log = logging.getLogger(__name__)


def judge(columns: Columns, table: Table, *, only: Sequence[Expectation] | None = None) -> list[Verdict]:
    """The verdicts on the rules that do not hold, of the whole suite or of some of its rules."""
    wanted = {one.rule: one for one in (expectations(table) if only is None else only)}
    with _one_at_a_time:
        batch = _whole_frame().get_batch({"dataframe": pd.DataFrame(columns, copy=False)})
        brief = batch.validate(_suite(table, frozenset(wanted)), result_format="BOOLEAN_ONLY")
        return _named(batch, table, wanted, brief)


def run_checkpoint(columns: Columns, table: Table) -> list[Verdict]:
    """The same of a whole suite, as a Checkpoint."""
    wanted = {one.rule: one for one in expectations(table)}
    with _one_at_a_time:
        frame = pd.DataFrame(columns, copy=False)
        [(key, brief)] = _checkpoint(table).run(batch_parameters={"dataframe": frame}).run_results.items()
        _context().validation_results_store.remove_key(key)  # type: ignore[no-untyped-call]  # it would keep every result of this process
        return _named(_whole_frame().get_batch({"dataframe": frame}), table, wanted, brief)


def _named(batch: Batch, table: Table, wanted: dict[str, Expectation], brief: ExpectationSuiteValidationResult) -> list[Verdict]:
    failed = {_rule_of(outcome) for outcome in brief.results if not outcome.success}
    if not failed:
        return []
    every_row = batch.validate(_suite(table, frozenset(failed)), result_format=_EVERY_ROW)
    return [Verdict(wanted[_rule_of(outcome)], _rows(outcome), "great_expectations") for outcome in every_row.results]


def _rows(outcome: ExpectationValidationResult) -> list[int] | None:
    positions = outcome.result.get("unexpected_index_list")
    if positions is None:  # it does not raise: it answers success=False with an exception in place of a result
        log.debug("a rule could not be evaluated: %s", outcome.exception_info)
        return None
    return [int(row) for row in positions]


def _rule_of(outcome: ExpectationValidationResult) -> str:
    if outcome.expectation_config is None:  # it allows a result without one; none of its own comes so
        raise StructuralError("Great Expectations answered without naming the expectation")
    return str((outcome.expectation_config.meta or {})["rule"])


@cache
def _context() -> EphemeralDataContext:
    pandas_execution_engine.HASH_THRESHOLD = 0  # no frame is hashed for a fingerprint that nobody reads: a fourth of a check
    # Spelt out, because the default for an ephemeral context has a docs site on disk and shows progress bars.
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


@cache
def _whole_frame() -> BatchDefinition[Any]:
    return _context().data_sources.add_pandas("frames").add_dataframe_asset("frame").add_batch_definition_whole_dataframe("whole")


@lru_cache(maxsize=64)
def _suite(table: Table, rules: frozenset[str]) -> ExpectationSuite:
    chosen = [one for one in suite_json(table)["expectations"] if one["meta"]["rule"] in rules]
    return ExpectationSuite(name=table, expectations=chosen)


@cache
def _checkpoint(table: Table) -> gx.Checkpoint:
    context = _context()
    suite = context.suites.add(_suite(table, frozenset(one.rule for one in expectations(table))))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=table, data=_whole_frame(), suite=suite))
    return context.checkpoints.add(gx.Checkpoint(name=table, validation_definitions=[definition], result_format="BOOLEAN_ONLY"))
