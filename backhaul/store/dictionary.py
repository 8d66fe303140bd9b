"""What each table, view and column means, for the docs, the console and PostgreSQL's comments: declared where it is made, and nowhere else.

A table's column has its `comment` in `tables.py`, a table its line below. A view begins with its purpose, and each column of it
ends with its meaning: `w.stage,  -- How far it has come`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import sqlalchemy as sa

from backhaul.store.tables import metadata
from backhaul.store.views import VIEWS, view_sql

PURPOSES = {
    "returns": "One row a return, as Loop told it last.",
    "return_lines": "One row a returned unit.",
    "return_versions": "Each version of a return that a source told, as it was told.",
    "whereabouts": "Where each return stands and since when, kept with what it follows from.",
    "daily_history": "A snapshot a day of where returns stand, by warehouse and currency.",
    "service_targets": "Within how many business days a step is to be done, from the config.",
    "monthly_times": "How long steps took, by month, as it was worked out last.",
    "kept_months": "Months that were worked out.",
    "stale_months": "Months that the next reconcile works out anew.",
    "business_days": "Days numbered by business days, for a merchant that has targets.",
    "rmas": "The RMA that announces a return, as its warehouse told it last.",
    "polls": "When an RMA was last asked for, while a budget cannot ask for all.",
    "scans": "Where a warehouse's list that was not read to its end goes on.",
    "receipts": "What a warehouse told of a parcel.",
    "receipt_lines": "What arrived, by SKU and condition.",
    "ties": "Units that a person has confirmed to belong to another return than the one they came for.",
    "events": "What a vendor told us, by webhook, poll or file; kept as it came, without personal data.",
    "decisions": "Every decision on a return; one is current.",
    "matches": "Received units tied to return lines, and those that belong to none.",
    "deliveries": "The outbox: each write that a vendor is owed.",
    "delivery_attempts": "What came of each attempt of a delivery.",
    "runs": "Each execution of a flow.",
    "windows": "The ranges of a backfill or an audit.",
    "watermarks": "How far each source has been taken in.",
    "quarantine": "Records that broke a critical rule.",
    "check_results": "Warnings that loaded records raised, and what checks found.",
    "exceptions": "What needs a person.",
    "notices": "What was told to people, and to which address.",
    "pauses": "What is held back by hand: a merchant, or one of its vendors.",
    "operator_actions": "What people did.",
    "prunings": "What retention let go, with the proof of it.",
    "entrances": "Where a vendor's webhooks come in: when a receiver was last open there, and what it refused.",
    "reason_codes": "The config's table of reasons.",
    "circuits": "Vendors to which calls fail, and since when.",
}
"""What a row of each table is."""

_COLUMN = re.compile(r"(?:^|[ .])(?P<name>[a-z0-9_]{1,63}),?  -- (?P<meaning>.{1,400})$")
_KINDS = [
    ("time", re.compile(r"\w{1,60}_at|as_of")),
    ("flag", re.compile(r"is_\w{1,60}")),
    ("json", re.compile(r"reasons")),
    ("number", re.compile(r"\w{0,60}hours\w{0,60}|\w{1,60}_rate")),
    ("money", re.compile(r"return_total|value_at_risk|price|discount|tax|refund|value|\w{1,60}_value")),
    ("count", re.compile(r"(\w{1,60}_)?(units|returns|lines|days|exceptions)|place|score")),
]
_SAME_AS = {"recon_open": "recon_returns"}  # it has the same columns


class Described(NamedTuple):
    """A table or a view: what a row is, and what each column means, in order."""

    purpose: str
    columns: dict[str, str]


def view(name: str) -> Described:
    """A public view."""
    purpose = view_sql(name, "sqlite").split("\n", 1)[0].removeprefix("-- ")
    found = (_COLUMN.search(line) for line in view_sql(_SAME_AS.get(name, name), "sqlite").splitlines())
    return Described(purpose, {at["name"]: at["meaning"] for at in found if at is not None})


def kind_of(column: str) -> str:
    """What a column of a view holds, as its name says: time, money, count, number, flag or json; text otherwise."""
    return next((kind for kind, named in _KINDS if named.fullmatch(column)), "text")


def table(name: str) -> Described:
    """A table; a column that says all by its name has an empty meaning."""
    return Described(PURPOSES.get(name, ""), {column.name: column.comment or "" for column in metadata.tables[name].columns})


def comment_on_everything(connection: sa.Connection) -> None:
    """Have PostgreSQL say what each table, view and column means. SQLite keeps no comments."""
    if connection.dialect.name != "postgresql":
        return
    described = [("TABLE", name, table(name)) for name in metadata.tables] + [("VIEW", name, view(name)) for name in VIEWS]
    for kind, name, about in described:
        _comment(connection, f"{kind} {name}", about.purpose)
        for column, meaning in about.columns.items():
            if meaning:
                _comment(connection, f"COLUMN {name}.{column}", meaning)


def _comment(connection: sa.Connection, on: str, words: str) -> None:
    quoted = words.replace("'", "''").replace("%", "%%")  # COMMENT takes no bound value; the words are our own
    connection.exec_driver_sql(f"COMMENT ON {on} IS '{quoted}'")
