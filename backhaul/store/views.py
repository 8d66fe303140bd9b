"""What analysts query. One Jinja template of SQL a view in `views/`, the same for both databases but for the few words below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from backhaul.domain.whereabouts import Stage

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
    "recon_operator_actions",
    "recon_cycle_times",
    "recon_monthly",
    "recon_daily_history",
    "recon_service_levels",
    "recon_scorecards",
    "recon_freshness",
    "recon_candidates",
)

STEPS = ("announce", "label", "deliver", "receive", "decide", "tell", "finish")  # of `recon_cycle_times`, which has their hours
_VALUE = "coalesce(l.price, 0) - coalesce(l.discount, 0) + coalesce(l.tax, 0)"  # of a line, in the return's currency
_WORDS = {
    "sqlite": {
        "days": "(julianday({1}) - julianday({0}))",
        "hours": "((julianday({1}) - julianday({0})) * 24.0)",
        "now": "strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')",
        "day": "substr({0}, 1, 10)",
        "month": "substr({0}, 1, 7)",
        "starts_with": "(substr({0}, 1, length({1})) = {1})",
        "money": "round({0}, 4)",  # a sum of REALs, back to the decimal it stands for
    },
    "postgresql": {
        "days": "(extract(epoch from ({1}) - ({0})) / 86400.0)",
        "hours": "CAST(extract(epoch from ({1}) - ({0})) / 3600.0 AS double precision)",
        "now": "now()",
        "day": "to_char(({0}) at time zone 'UTC', 'YYYY-MM-DD')",
        "month": "to_char(({0}) at time zone 'UTC', 'YYYY-MM')",
        "starts_with": "starts_with({0}, {1})",
        "money": "({0})",
    },
}


def view_sql(name: str, dialect: str, **given: str) -> str:
    """The SELECT of a view, its words written out for one database; `given` are those that a part leaves to its user."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only upgrades and reconcile write a view out

    words = {word: text.format for word, text in _WORDS[dialect].items()}
    environment = Environment(loader=FileSystemLoader(_FOLDER), undefined=StrictUndefined)  # noqa: S701 - SQL has nothing to escape for HTML
    environment.globals.update(words)
    environment.filters.update(words)
    environment.globals |= {"stages": list(Stage), "value": _VALUE, "steps": STEPS}
    return environment.get_template(f"{name}.sql").render(given)


def create_views(connection: sa.Connection, readers: Sequence[str] = ()) -> None:
    """Make every view, and let these roles of PostgreSQL read it."""
    is_formatted = connection.dialect.name == "postgresql"  # its driver takes a percent sign for a parameter, SQLite's does not
    for name in VIEWS:
        statement = f"CREATE VIEW {name} AS\n{view_sql(name, connection.dialect.name)}"
        connection.exec_driver_sql(statement.replace("%", "%%") if is_formatted else statement)
        for role in readers:
            connection.exec_driver_sql(f"GRANT SELECT ON {name} TO {connection.dialect.identifier_preparer.quote_identifier(role)}")


def drop_views(connection: sa.Connection) -> list[str]:
    """Drop every view, so that the tables below may change; returns the roles that could read them."""
    readers = _readers(connection) if connection.dialect.name == "postgresql" else []
    for name in reversed(VIEWS):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    return readers


def _readers(connection: sa.Connection) -> list[str]:
    query = sa.text(
        "SELECT DISTINCT r.rolname FROM pg_class c, aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee "
        "WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = :view AND c.relkind = 'v' "
        "AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner"
    )
    return sorted(connection.execute(query, {"view": VIEWS[0]}).scalars())
