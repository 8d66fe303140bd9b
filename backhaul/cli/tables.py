"""Rows as a person reads them: columns where they fit, else one row below the other, so that no word, id or amount is ever broken."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from backhaul import printable
from backhaul.domain.plainly import money

Row = Mapping[str, Any]
_AMOUNTS = frozenset({"value", "at_risk", "value_at_risk", "price", "refund", "return_total"})
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d{1,6})?(?:\+00:00|Z)?", re.ASCII)  # SQLite's views have times as text
_STYLES = {
    **dict.fromkeys(("ok", "done", "completed"), "green"),
    **dict.fromkeys(("warn", "running"), "yellow"),
    **dict.fromkeys(("fail", "failed", "dead", "refused"), "red"),
}
_GAP, _PROSE_LEAST = 2, 24  # characters between columns, and at least for one that is read as a sentence


def fitted(rows: Sequence[Row], names: Sequence[str], title: str, width: int) -> RenderableType:
    """A table of these columns, no wider than `width` characters. A column without a value in any row is left out."""
    has_currency = any(row.get("currency") for row in rows)
    shown = [name for name in names if any(row[name] not in (None, "") for row in rows) and not (has_currency and name == "currency")]
    cells = [[cell(name, row[name], row.get("currency")) for name in shown] for row in rows]
    heads = [name.removeprefix("records_").replace("_", " ") for name in shown]
    widest = [max(len(head), *(len(line[place]) for line in cells)) for place, head in enumerate(heads)]
    is_prose = [any(len(line[place]) > _PROSE_LEAST and " " in line[place] for line in cells) for place in range(len(heads))]
    least = [_PROSE_LEAST if prose else most for most, prose in zip(widest, is_prose, strict=True)]
    if sum(least) + _GAP * (len(heads) - 1) > width:
        told = [name for name in shown if any(row[name] != 0 for row in rows)]  # nothing but zeros says little
        return _listed(cells, heads, title) if len(told) == len(shown) else fitted(rows, told, title, width)
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for place, name in enumerate(shown):
        is_number = all(isinstance(row[name], (int, float, Decimal)) or row[name] is None for row in rows) or name in _AMOUNTS
        table.add_column(heads[place], justify="right" if is_number else "left", no_wrap=not is_prose[place])
    for line in cells:
        table.add_row(*(_styled(text) for text in line))
    return Group(Text(title, style="bold"), table)  # a table's own title is broken at the table's width


def _listed(cells: Sequence[Sequence[str]], heads: Sequence[str], title: str) -> RenderableType:
    """Each row as lines of a name and a value, an empty line between two rows."""
    parts: list[RenderableType] = [Text(title, style="bold")]
    for number, line in enumerate(cells):
        if number:
            parts.append(Text())
        block = Table.grid(padding=(0, _GAP, 0, 0))
        block.add_column(no_wrap=True, style="dim")
        block.add_column(overflow="fold")
        for head, text in zip(heads, line, strict=True):
            if text:
                block.add_row(head, _styled(text))
        parts.append(block)
    return Group(*parts)


def _styled(text: str) -> Text:
    return Text(text, style=_STYLES.get(text, ""))


def cell(name: str, value: Any, currency: str | None = None) -> str:
    """A value as text: times to the second, amounts with two decimals and their currency, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if name in _AMOUNTS and isinstance(value, (int, float, Decimal)):
        return money(Decimal(str(value)), currency)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return printable.line(", ".join(value))
    if isinstance(value, str) and (found := _TIME.fullmatch(value)):
        return f"{found[1]} {found[2]}"
    return printable.line(json.dumps(value) if isinstance(value, (list, dict)) else str(value))
