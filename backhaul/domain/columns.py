"""Work on a column's values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

From = TypeVar("From")
To = TypeVar("To")


def once_each(convert: Callable[[From], To], values: Sequence[From]) -> list[To]:
    """`convert` of every value, asked once of an object that stands in several rows: most do, and to hash an amount costs as much as it."""
    keys = list(map(id, values))
    found = {key: convert(value) for key, value in dict(zip(keys, values, strict=True)).items()}
    return list(map(found.__getitem__, keys))
