"""Frames from columns, and the bookkeeping of values that did not parse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import TYPE_CHECKING, Any

from backhaul.connectors.base import ReceiptBatch
from backhaul.connectors.parse import AT_ONCE, UNPARSED, Scalar
from backhaul.domain.schema import RECEIPT_LINES, RECEIPTS, Frame

if TYPE_CHECKING:  # pandas costs a third of a second; only what makes frames imports it
    import pandas as pd

Columns = dict[str, list[Any]]
_TEXTS = {str, NoneType}


class Unreadable:
    """The wire fields that did not parse, row by row, for one checked column."""

    def __init__(self) -> None:
        self._fields: dict[int, list[str]] = {}

    def parse(self, field: str, values: Sequence[Scalar], parser: Callable[[Scalar], Any]) -> list[Any]:
        """A column of parsed values. One that does not parse becomes None, and its row is marked with the field's wire name."""
        column, has_unparsed = _parsed(values, parser)
        if has_unparsed:
            for row, value in enumerate(column):
                if value is UNPARSED:
                    column[row] = None
                    self.mark(row, field)
        return column

    def mark(self, row: int, field: str) -> None:
        """Note that a field of a row did not parse."""
        fields = self._fields.setdefault(row, [])
        if field not in fields:
            fields.append(field)

    def column(self, rows: int) -> list[str | None]:
        """The checked column: comma-joined wire names, None where all is well."""
        column: list[str | None] = [None] * rows
        for row, fields in self._fields.items():
            column[row] = ",".join(fields)
        return column


def parsed(values: Sequence[Scalar], parser: Callable[[Scalar], Any]) -> list[Any]:
    """Every value parsed: the column at once where it is plain, else each distinct value."""
    return _parsed(values, parser)[0]


def _parsed(values: Sequence[Scalar], parser: Callable[[Scalar], Any]) -> tuple[list[Any], bool]:
    """The column, and whether a value of it did not parse."""
    at_once = AT_ONCE[parser](values) if parser in AT_ONCE else None
    if at_once is not None:
        return list(at_once), False
    known = {value: parser(value) for value in set(values)}
    if not set(map(type, known)) <= _TEXTS:  # of numbers 1, 1.0 and True are one key
        column = list(map(parser, values))
        return column, UNPARSED in column
    return list(map(known.__getitem__, values)), UNPARSED in known.values()


def frame(table: Frame, columns: Columns) -> pd.DataFrame:
    """The columns as a frame of `table`, in its order, dtype object, None where absent."""
    import pandas as pd

    if not columns[table.all_columns[0]]:
        return empty(table)
    return pd.DataFrame({name: columns[name] for name in table.all_columns}, dtype=object)


def empty(table: Frame) -> pd.DataFrame:
    """A frame of `table` without rows."""
    return _empty(table).copy()


@cache
def _empty(table: Frame) -> pd.DataFrame:
    """One for all: most answers are empty, and pandas takes a millisecond to make such a frame."""
    import pandas as pd

    return pd.DataFrame(columns=list(table.all_columns), dtype=object)


def picked(records: Sequence[Any], field: str) -> list[Any]:
    """One attribute of every record."""
    return list(map(attrgetter(field), records))


def joined(batches: Sequence[ReceiptBatch]) -> ReceiptBatch:
    """Several batches as one; none are an empty one."""
    import pandas as pd

    if len(batches) == 1:
        return batches[0]
    return ReceiptBatch(
        pd.concat([empty(RECEIPTS), *(batch.receipts for batch in batches)], ignore_index=True),
        pd.concat([empty(RECEIPT_LINES), *(batch.lines for batch in batches)], ignore_index=True),
        [body for batch in batches for body in batch.bodies],
        [rejected for batch in batches for rejected in batch.rejected],
    )
