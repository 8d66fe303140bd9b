"""The suites' rules as numpy. Each does what Great Expectations 1.x does with pandas, type by type; nothing else about a rule stands here.

| expectation | a row breaks it when its value is |
|---|---|
| `…_to_not_be_null` | absent |
| `…_to_be_null` | there |
| `…_to_be_in_set` | there, and not in the set |
| `…_to_be_between` | there, and out of bounds; text against a number cannot be evaluated |
| `…_lengths_to_be_between` | there, and its text too short or too long |
| `…_to_be_unique`, `…_compound_columns_…` | all there, and met in another row too |
| `…_pair_values_a_to_be_greater_than_b` | both there, and A the smaller |

An expectation of another type, or with an argument that is not listed in `_TYPES`, is left to Great Expectations itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from backhaul.checks.columns import Columns
from backhaul.checks.report import Verdict
from backhaul.checks.suites import Expectation, Table, expectations

Bools = npt.NDArray[np.bool_]
_Broken = Callable[["_Frame"], "Bools | list[int]"]  # a mask, or positions


class _Frame:
    """A frame's columns, with each column's absent values found once."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._absent: dict[str, Bools] = {}

    def is_absent(self, name: str) -> Bools:
        """Where a column says nothing: None, NaN, NaT."""
        if name not in self._absent:
            self._absent[name] = pd.isna(self.columns[name])
        return self._absent[name]

    def told(self, *names: str) -> list[tuple[int, tuple[Any, ...]]]:
        """(position, values) of the rows in which all these columns say something."""
        is_told = ~np.logical_or.reduce([self.is_absent(name) for name in names])
        places = np.flatnonzero(is_told)
        return list(zip(places.tolist(), zip(*(self.columns[name][places].tolist() for name in names), strict=True), strict=True))


def judge(columns: Columns, table: Table) -> tuple[list[Verdict], list[Expectation]]:
    """The verdicts on every compiled rule that does not hold, and the expectations that are not compiled."""
    frame = _Frame(columns)
    verdicts: list[Verdict] = []
    compiled, others = _suite(table)
    for expectation, broken in compiled:
        try:
            found = broken(frame)
        except (TypeError, ValueError, ArithmeticError):
            verdicts.append(Verdict(expectation, None, "compiled"))
            continue
        rows = found if isinstance(found, list) else np.flatnonzero(found).tolist()
        if rows:
            verdicts.append(Verdict(expectation, rows, "compiled"))
    return verdicts, others


@cache
def _suite(table: Table) -> tuple[list[tuple[Expectation, _Broken]], list[Expectation]]:
    compiled: list[tuple[Expectation, _Broken]] = []
    others: list[Expectation] = []
    for expectation in expectations(table):
        broken = compile_rule(expectation)
        if broken is None:
            others.append(expectation)
        else:
            compiled.append((expectation, broken))
    return compiled, others


def compile_rule(expectation: Expectation) -> _Broken | None:
    """An expectation as a function; None for one that only Great Expectations knows."""
    known = _TYPES.get(expectation.type)
    if known is None:
        return None
    make, required, optional, fixed = known
    given = dict(expectation.kwargs)
    if any(given.pop(name, None) != value for name, value in fixed.items()):
        return None
    if not required <= given.keys() <= required | optional:
        return None
    return make(**given)


def _not_null(column: str) -> _Broken:
    return lambda frame: frame.is_absent(column)


def _null(column: str) -> _Broken:
    return lambda frame: ~frame.is_absent(column)


def _in_set(column: str, value_set: Sequence[Any]) -> _Broken:
    known = frozenset(value_set)
    return lambda frame: [place for place, (value,) in frame.told(column) if value not in known]


def _between(column: str, min_value: float | None = None, max_value: float | None = None) -> _Broken:
    bounds = [bound for bound in (min_value, max_value) if bound is not None]

    def is_out(value: Any) -> bool:
        if any(isinstance(value, str) != isinstance(bound, str) for bound in bounds):
            raise TypeError
        return not ((min_value is None or value >= min_value) and (max_value is None or value <= max_value))

    def broken(frame: _Frame) -> Bools | list[int]:
        values = frame.columns[column]
        if values.dtype != np.float64:
            return [place for place, (value,) in frame.told(column) if is_out(value)]
        with np.errstate(invalid="ignore"):
            is_low = values < min_value if min_value is not None else False
            is_high = values > max_value if max_value is not None else False
        return np.asarray(is_low | is_high, dtype=np.bool_)  # NaN is neither

    return broken if bounds else lambda frame: np.zeros(len(frame.columns[column]), dtype=np.bool_)


def _lengths_between(column: str, min_value: int, max_value: int) -> _Broken:
    def length(value: Any) -> int:
        return len(value.decode() if isinstance(value, bytes) else str(value))

    return lambda frame: [place for place, (value,) in frame.told(column) if not min_value <= length(value) <= max_value]


def _unique(column: str) -> _Broken:
    return _compound_unique([column])


def _compound_unique(column_list: Sequence[str]) -> _Broken:
    def broken(frame: _Frame) -> list[int]:
        told = frame.told(*column_list)
        seen = Counter(values for _, values in told)
        return [place for place, values in told if seen[values] > 1]

    return broken


def _a_at_least_b(column_A: str, column_B: str) -> _Broken:  # noqa: N803 - Great Expectations' own names
    return lambda frame: [place for place, (a, b) in frame.told(column_A, column_B) if not a >= b]


_Known = tuple[Callable[..., _Broken], set[str], set[str], dict[str, Any]]  # how, its arguments: needed, possible, and fixed ones
_TYPES: dict[str, _Known] = {
    "expect_column_values_to_not_be_null": (_not_null, {"column"}, set(), {}),
    "expect_column_values_to_be_null": (_null, {"column"}, set(), {}),
    "expect_column_values_to_be_in_set": (_in_set, {"column", "value_set"}, set(), {}),
    "expect_column_values_to_be_between": (_between, {"column"}, {"min_value", "max_value"}, {}),
    "expect_column_value_lengths_to_be_between": (_lengths_between, {"column", "min_value", "max_value"}, set(), {}),
    "expect_column_values_to_be_unique": (_unique, {"column"}, set(), {}),
    "expect_compound_columns_to_be_unique": (_compound_unique, {"column_list"}, set(), {"ignore_row_if": "any_value_is_missing"}),
    "expect_column_pair_values_a_to_be_greater_than_b": (
        _a_at_least_b,
        {"column_A", "column_B"},
        set(),
        {"or_equal": True, "ignore_row_if": "either_value_is_missing"},
    ),
}
