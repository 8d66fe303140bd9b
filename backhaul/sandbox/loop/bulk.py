"""Very many returns that cost almost no memory: each is a prototype with other ids and times, written only when asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from typing import Any

import msgspec

from backhaul.sandbox.loop.state import Return, copy_lines
from backhaul.sandbox.loop.time_index import STATES, TimeIndex, time_key
from backhaul.sandbox.loop.wire import FIRST_ORDER, FIRST_PROVIDER_LINE, FIRST_PROVIDER_ORDER, list_record, spaced

MAX_LINES = 5  # line ids are set aside in fives
UPDATED_AFTER = 3  # seconds from created_at to updated_at
_ID, _LINE, _ORDER, _SECOND = 3_999_000_001, 3_998_000_001, 8_880_001, 981_173_106  # stand-ins that no real record has


def _values(return_id: int, first_line: int, order_number: int, created: int) -> list[str]:
    """Every text in a record that differs from one return to the next, in a fixed order."""
    times = []
    for step in range(UPDATED_AFTER + 1):
        text = str(spaced(created + step))
        times += [text, f"{text[:10]}T{text[11:]}.000Z"]
    lines = [str(base + first_line + each) for each in range(MAX_LINES) for base in (FIRST_PROVIDER_LINE, 0)]
    orders = [str(FIRST_PROVIDER_ORDER + order_number), str(FIRST_ORDER + order_number), str(order_number)]
    return [f"{return_id:012d}", str(return_id), *lines, *orders, *times]


class Bulk:
    """`count` returns between two moments, evenly spread, states and lines taken from the prototypes in turn."""

    def __init__(self, prototypes: Sequence[Return], count: int, start: datetime, end: datetime, first_id: int, first_line: int) -> None:
        self.count = count
        self._first_id, self._first_line = first_id, first_line
        self._start, self._span = int(start.timestamp()), int((end - start).total_seconds()) - UPDATED_AFTER
        self._prototypes = [self._stand_in(each) for each in prototypes]
        tokens = _values(_ID, _LINE, _ORDER, _SECOND)
        splitter = re.compile("(" + "|".join(re.escape(token) for token in tokens) + ")")
        place = {token: index for index, token in enumerate(tokens)}
        self._templates = [self._template(each, splitter, place) for each in self._prototypes]

    @staticmethod
    def _stand_in(item: Return) -> Return:
        lines = [replace(line, line_item_id=_LINE + index) for index, line in enumerate(copy_lines(item.lines[:MAX_LINES]))]
        made = replace(item, id=_ID, order_number=_ORDER, lines=lines, list_json=None)
        made.created_at, made.updated_at = _SECOND, _SECOND + UPDATED_AFTER
        for name, moment in (("edited_at", 2), ("label_updated_at", 2), ("closed_at", UPDATED_AFTER), ("processed_at", UPDATED_AFTER)):
            if getattr(item, name) is not None:
                setattr(made, name, _SECOND + moment)
        return made

    @staticmethod
    def _template(item: Return, splitter: re.Pattern[str], place: dict[str, int]) -> tuple[str, itemgetter[Any]]:
        """The record as a %-format, and what picks its values: formatting a page of 750 takes a few milliseconds."""
        pieces = splitter.split(msgspec.json.encode(list_record(item)).decode())
        used = [place[piece] for piece in pieces if piece in place]
        return "".join("%s" if piece in place else piece.replace("%", "%%") for piece in pieces), itemgetter(*used)

    def __contains__(self, return_id: int) -> bool:
        return self._first_id <= return_id < self._first_id + self.count

    def _created(self, index: int) -> int:
        return self._start + index * self._span // self.count

    def moment(self, return_id: int, column: str) -> int:
        """`created_at` or `updated_at`, in seconds."""
        created = self._created(return_id - self._first_id)
        return created + UPDATED_AFTER if column == "updated_at" else created

    def make(self, return_id: int) -> Return:
        """The return itself, to be changed."""
        index = return_id - self._first_id
        item, shift = self._prototypes[index % len(self._prototypes)], self._created(index) - _SECOND
        lines = copy_lines(item.lines)
        for place, line in enumerate(lines):
            line.line_item_id = self._first_line + index * MAX_LINES + place
        made = replace(item, id=return_id, order_number=1001 + index, lines=lines, exchanges=list(item.exchanges), extra=dict(item.extra))
        made.created_at, made.updated_at = item.created_at + shift, item.updated_at + shift
        for name in ("edited_at", "label_updated_at", "closed_at", "processed_at"):
            moment = getattr(item, name)
            setattr(made, name, None if moment is None else moment + shift)
        return made

    def record_json(self, return_id: int) -> bytes:
        """The list's record."""
        index = return_id - self._first_id
        values = _values(return_id, self._first_line + index * MAX_LINES, 1001 + index, self._created(index))
        template, pick = self._templates[index % len(self._templates)]
        text: str = template % pick(values)
        return text.encode()

    def fill(self, by_created: TimeIndex, by_updated: TimeIndex) -> None:
        """Put every return into an account's indexes."""
        states = [item.state for item in self._prototypes]
        keys: dict[str, list[int]] = {state: [] for state in STATES}
        for index in range(self.count):
            keys[states[index % len(states)]].append(time_key(self._created(index), self._first_id + index))
        for state, found in keys.items():
            by_created.extend(state, found)
            by_updated.extend(state, (key + (UPDATED_AFTER << 32) for key in found))
