"""A warehouse's results by file, where somebody keys them in: what every such file has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from backhaul.errors import BackhaulError

if TYPE_CHECKING:
    from backhaul.connectors.base import ReceiptBatch


class Figures(Protocol):
    """What a file says of one return. `row` is the first of its rows, counted as a spreadsheet does."""

    return_id: str
    row: int


@dataclass(frozen=True, slots=True)
class ByFile:
    """How a warehouse's results come by file."""

    told: str  # what stands in a file, for the command's help
    read: Callable[[Path], Sequence[Figures]]  # a file whole, or BadFiguresError
    as_receipts: Callable[[Sequence[Any], dict[str, str]], ReceiptBatch]  # with the warehouse's own ids by return id, as far as known
    is_only_way: Callable[[Any], bool]  # by the merchant's section


@dataclass(frozen=True, slots=True)
class BadRow:
    """What is wrong with a row, counted as a spreadsheet does: the header is row 1."""

    row: int
    column: str
    why: str

    def __str__(self) -> str:
        return f"row {self.row}, {self.column}: {self.why}"


_TOLD = 30  # lines; a file in which all is wrong has one thing wrong with it


class BadFiguresError(BackhaulError):
    """A file of figures that cannot be imported. The message has a line for each of the first bad rows."""

    def __init__(self, file: str, rows: Iterable[BadRow]) -> None:
        self.rows = sorted(rows, key=lambda bad: bad.row)
        count = len(self.rows)
        head = f"{file}: {count} thing{'' if count == 1 else 's'} to put right; nothing was imported"
        more = [f"… and {count - _TOLD} more"] if count > _TOLD else []
        super().__init__("\n".join([head, *map(str, self.rows[:_TOLD]), *more]))
