"""Write the parts of the documentation that the code already says: the rules of the suites, the store's tables and its views.

`python scripts/write_docs.py` writes them, `--check` only says whether they are up to date (exit 1 when not).
"""

from __future__ import annotations

import sys
from pathlib import Path

from backhaul.checks import rules
from backhaul.domain import whereabouts
from backhaul.domain.words import ExceptionKind
from backhaul.store import dictionary
from backhaul.store.tables import metadata
from backhaul.store.views import VIEWS

DOCS = Path(__file__).parents[1] / "docs"


def rules_page() -> str:
    """Every rule with its severity and meaning, and every kind of exception with its remedy."""
    lines = ["# Rules and exceptions", "", "Written by `make docs` from `expectations/` and `backhaul/domain/words.py`.", ""]
    lines += ["## Rules", "", "A critical failure quarantines the whole return or receipt; a warning is kept in `check_results`.", ""]
    lines += ["| rule | table | severity | meaning |", "|---|---|---|---|"]
    lines += [f"| {rule.rule} | `{rule.table}` | {rule.severity} | {rule.description} |" for rule in rules().values()]
    lines += ["| WIRE-001 | `returns` | critical | A Loop record can be decoded. |"]
    lines += ["| WIRE-002 | `receipts` | critical | A warehouse record can be decoded. |"]
    lines += ["", "## Exceptions", "", "| kind | what to do |", "|---|---|"]
    lines += [f"| `{kind}` | {kind.remedy} |" for kind in ExceptionKind]
    return "\n".join(lines) + "\n"


def tables_page() -> str:
    """Every table with its columns."""
    lines = ["# The store's tables", "", "Written by `make docs` from `backhaul/domain/schema.py` and `backhaul/store/tables.py`."]
    lines += ["Analysts query the [views](views.md), which are stable; the tables may change with a migration."]
    for table in metadata.sorted_tables:
        key = ", ".join(column.name for column in table.primary_key)
        lines += [
            "",
            f"## {table.name}",
            "",
            f"{dictionary.table(table.name).purpose} Key: {key}.".lstrip(),
            "",
            "| column | type | meaning |",
            "|---|---|---|",
        ]
        for column in table.columns:
            kind = type(column.type).__name__.lower().replace("biginteger", "number").replace("integer", "count")
            lines.append(f"| {column.name} | {kind}{'' if column.nullable else ', required'} | {column.comment or ''} |")
    return "\n".join(lines) + "\n"


_TAKEN_AWAY = """## Questions

The console's `/data` answers twenty questions of analysts, finance and support, each with its SQL to start from; so does a notebook:
`pip install 'backhaul[notebook]'`, then `BACKHAUL_CONFIG=backhaul.toml marimo run docs/notebooks/questions.py`.

## Take one away

```sh
backhaul export recon_returns > returns.csv
backhaul export recon_discrepancies --where merchant=acme --where kind=damaged --format jsonl --out damaged.jsonl
backhaul export recon_cycle_times --where 'created_at>=2026-11-01' --where 'created_at<2026-12-01' --format parquet --out november.parquet
```

`--where` takes a column of the view, one of `=` `!=` `>` `>=` `<` `<=`, and a value; several must all hold. `'processed_at='` asks for
rows that have none, `'processed_at!='` for those that have one. A day is its midnight in UTC. Rows come in no order, from one snapshot,
and are never held in memory: a million take no more of it than a thousand. CSV writes an apostrophe before text that a spreadsheet would
take for a formula. Amounts are exact (text in JSON, decimals in Parquet), times ISO in UTC, `reasons` JSON. `--out` writes for its owner
only, and takes the place of what is there once it is whole. Parquet needs `pip install 'backhaul[parquet]'`. On SQLite a long export
keeps the write-ahead log from shrinking until it ends; nobody waits for it."""


def views_page() -> str:
    """Every public view with its columns, and what the stages mean."""
    lines = [
        "# The views that analysts query",
        "",
        "Written by `make docs` from `backhaul/store/views/` and `backhaul/domain/whereabouts.py`.",
    ]
    lines += [
        "",
        "Stable: names and columns change only with a major version; columns may be added. The same on SQLite and PostgreSQL, but",
    ]
    lines += [
        "that SQLite has no types of its own for times (ISO text, UTC) and JSON (text). Money is in the currency of the row, in major"
    ]
    lines += ["units; it is never summed over currencies. A row is always within one `merchant`; join on `merchant` and `return_id`."]
    lines += ["PostgreSQL has these words as comments.", "", _TAKEN_AWAY]
    for name in VIEWS:
        described = dictionary.view(name)
        lines += ["", f"## {name}", described.purpose, "", "| column | meaning |", "|---|---|"]
        lines += [f"| {column} | {meaning} |" for column, meaning in described.columns.items()]
        if name == "recon_returns":
            lines += ["", (whereabouts.__doc__ or "").split("\n\n", 1)[1].strip().replace("(`STOPPING`)", "([which](rules.md))")]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the pages, or check them."""
    pages = {DOCS / "rules.md": rules_page(), DOCS / "tables.md": tables_page(), DOCS / "views.md": views_page()}
    if "--check" in sys.argv:
        stale = [page.name for page, text in pages.items() if not page.exists() or page.read_text(encoding="utf-8") != text]
        print(f"stale: {', '.join(stale)}; run 'make docs'" if stale else "the documentation is up to date")
        return 1 if stale else 0
    for page, text in pages.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
