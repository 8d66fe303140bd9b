"""What a content hash covers: the columns that were known when it was made, so that a column that is added later is no news by itself.

A hash is `2:…`: the version of the columns, and the digest of their values. One without a version is the first's. A column that is added
gets the next number as its `since`: a stored row is then compared by the columns of its own version, and brought up to date in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from backhaul.domain.keys import hash_of
from backhaul.domain.schema import Frame


@dataclass(frozen=True, eq=False, slots=True)  # told apart as objects: the caches below are asked a million times
class Content:
    """The columns of one kind of record: its own, and its lines'."""

    head: Frame
    lines: Frame

    @property
    def newest(self) -> int:
        """The version of the columns as they are now."""
        return _newest(self)

    def covered(self, version: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The places of the columns that a hash of this version covers, in a record's row and in those of its lines."""
        return _covered(self, version)


def version_of(stored: str) -> int:
    """The version of the columns that a hash covers."""
    version, mark, _ = stored.partition(":")
    return int(version) if mark else 1


def versioned(version: int, text: str) -> str:
    """The hash of a text that is made of the columns of a version."""
    digest = hash_of(text)
    return digest if version == 1 else f"{version}:{digest}"


def named(frame: Frame, places: Sequence[int], names: Sequence[str]) -> tuple[int, ...]:
    """Those of these places whose columns have one of these names."""
    return tuple(place for place in places if frame.all_columns[place] in names)


@cache
def _newest(content: Content) -> int:
    return max(since for frame in (content.head, content.lines) for since in frame.since)


@cache
def _covered(content: Content, version: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    head, lines = (
        tuple(place for place, since in enumerate(frame.since) if 0 < since <= version) for frame in (content.head, content.lines)
    )
    return head, lines
