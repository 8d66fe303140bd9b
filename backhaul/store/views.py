"""What analysts query. One SQL text a view in `views/`, the same for both databases but for the few words below."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa

_FOLDER = Path(__file__).parent / "views"

# In dependency order: a view may read those before it.
VIEWS = (
    "recon_returns",
    "recon_open",
    "recon_lines",
    "recon_discrepancies",
    "recon_exceptions",
    "recon_daily",
    "recon_unmapped_reasons",
    "processed_not_received",
    "received_not_processed",
)

_WORDS = {
    "sqlite": {
        "days": "(julianday({1}) - julianday({0}))",
        "now": "strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')",
        "day": "date({0})",
        "money": "round({0}, 4)",  # a sum of REALs, back to the decimal it stands for
    },
    "postgresql": {
        "days": "(extract(epoch from ({1}) - ({0})) / 86400.0)",
        "now": "now()",
        "day": "to_char(({0}) at time zone 'UTC', 'YYYY-MM-DD')",
        "money": "({0})",
    },
}


def view_sql(name: str, dialect: str) -> str:
    """The SELECT of a view, each `@word(arguments)` written out for one database."""
    return _write_out((_FOLDER / f"{name}.sql").read_text(encoding="utf-8"), _WORDS[dialect])


def _write_out(text: str, words: dict[str, str]) -> str:
    while found := re.search(r"@(\w{1,20})\(", text):
        close = _closing(text, found.end())
        arguments = _arguments(_write_out(text[found.end() : close], words))
        text = text[: found.start()] + words[found.group(1)].format(*arguments) + text[close + 1 :]
    return text


def _closing(text: str, start: int) -> int:
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise ValueError("a view's SQL has an unclosed parenthesis")


def _arguments(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def create_views(connection: sa.Connection) -> None:
    """Make every view."""
    is_formatted = connection.dialect.name == "postgresql"  # its driver takes a percent sign for a parameter, SQLite's does not
    for name in VIEWS:
        statement = f"CREATE VIEW {name} AS\n{view_sql(name, connection.dialect.name)}"
        connection.exec_driver_sql(statement.replace("%", "%%") if is_formatted else statement)


def drop_views(connection: sa.Connection) -> None:
    """Drop every view, so that the tables below may change."""
    for name in reversed(VIEWS):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
