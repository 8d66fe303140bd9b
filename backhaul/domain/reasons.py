"""Reasons: the customer's words for why, mapped to the warehouse's codes by a merchant's table."""

from __future__ import annotations

from collections.abc import Mapping

UNMAPPED_CODE = "other"


def folded(reason: str | None) -> str:
    """A reason as it is compared, in the config and in the store alike: databases lower only ASCII, or by their own locale."""
    return (reason or "").strip().casefold()


class Reasons:
    """A merchant's table of reasons. Words are compared whole, without the spaces around them and without regard to case.

    Raises ValueError when two words that compare equal have different codes.
    """

    __slots__ = ("_codes",)

    def __init__(self, table: Mapping[str, str]) -> None:
        self._codes: dict[str, str] = {}
        for reason, code in table.items():
            if self._codes.setdefault(folded(reason), code) != code:
                raise ValueError(f"reasons: {reason!r} is there twice, with different codes; keep one")

    @property
    def table(self) -> dict[str, str]:
        """The table as it is compared: reasons without outer spaces, in lower case."""
        return dict(self._codes)

    def code(self, reason: str | None) -> str:
        """The warehouse's code; `other` for a reason that is empty or not in the table."""
        return self._codes.get(folded(reason), UNMAPPED_CODE) if reason else UNMAPPED_CODE

    def is_mapped(self, reason: str | None) -> bool:
        """Whether the table has the reason. An empty reason is not mapped."""
        return bool(reason) and folded(reason) in self._codes
