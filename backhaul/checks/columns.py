"""The columns that the rules look at, made from a normalised frame.

Money becomes floats (the sign and half a cent survive that; Decimals cost ten times as much to compare), a blank text an absent one, and
the few columns are added that a rule needs and no table stores:

| column | table | meaning |
|---|---|---|
| `return_total_gap` | returns | return_total - (product - discount + tax) |
| `line_count` | returns | lines of the return; null unless `validate` is given the lines |
| `line_price_gap` | returns | return_product_total - sum of its lines' prices; null likewise |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from backhaul.checks.suites import Table, suite_columns
from backhaul.domain import schema

Floats = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[Any]]

FRAMES = {frame.name: frame for frame in (schema.RETURNS, schema.RETURN_LINES, schema.RECEIPTS, schema.RECEIPT_LINES)}


def checked_columns(frame: pd.DataFrame, table: Table, lines: pd.DataFrame | None) -> Columns:
    """Each column as an array: float64 for money and what is derived from it, else objects."""
    kinds = {column.name: column.kind for column in FRAMES[table].fields}
    columns: Columns = {}
    for name in suite_columns(table):
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
    return columns


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
