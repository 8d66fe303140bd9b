"""What leaves for a person's screen, a file or a spreadsheet: printable text and nothing else, whoever wrote it.

A vendor's words may hold what moves a terminal's cursor, renames its window, turns a line around or becomes a formula.
All of it is shown as what it is (`\\x1b`), so that nothing is hidden either.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime
from decimal import Decimal
from typing import Any

_PLAIN_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "|",
    "%",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)  # the last four: full-width, which some programs read as the first


def line(text: str) -> str:
    """The text on one line, whatever is not printable written as its escape."""
    return text if text.isprintable() else "".join(one if one.isprintable() else _escaped(one) for one in text)


def lines(text: str) -> str:
    """The same for text of ours that has lines."""
    return "\n".join(map(line, text.split("\n")))


def plain(value: Any) -> Any:
    """A value as JSON has it: times as ISO text, amounts as text, so that none is rounded."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def as_json(value: Any, indent: int | None = 2) -> str:
    """One JSON document with every letter in it readable, and what is not printable escaped; on one line without `indent`."""
    written = json.dumps(value, default=plain, ensure_ascii=False, indent=indent)
    if written.isprintable():
        return written
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1].replace("\x7f", "\\u007f") for one in written)


def csv_cell(value: Any) -> Any:
    """A value for a CSV file that a spreadsheet may open: text that would be a formula begins with an apostrophe; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    shown = line(value)
    is_formula = shown.lstrip().startswith(_FORMULA) and not _PLAIN_NUMBER.fullmatch(shown)
    return f"'{shown}" if is_formula else shown


def _escaped(one: str) -> str:
    if one in "\n\r\t" or unicodedata.category(one) == "Zs":
        return " "
    return one.encode("unicode_escape").decode()
