"""The documentation says what the code does."""

import re
from pathlib import Path

import sqlalchemy as sa
from typer.main import get_command

from backhaul.cli import app
from backhaul.store.engine import Store
from backhaul.store.views import VIEWS
from scripts.write_docs import rules_page, tables_page

ROOT = Path(__file__).parents[2]

RECON_RETURNS = [
    "merchant",
    "warehouse",
    "return_id",
    "order_name",
    "loop_state",
    "outcome",
    "currency",
    "return_total",
    "created_at",
    "rma_id",
    "rma_status",
    "expected_units",
    "available_units",
    "damaged_units",
    "pending_units",
    "missing_units",
    "awaited_units",
    "unverifiable_units",
    "unexpected_units",
    "decision",
    "reasons",
    "decided_at",
    "delivery_state",
    "stage",
    "age_days",
    "value_at_risk",
    "tracking_number",
    "received_at",
    "processed_at",
    "refund",
    "waits_for",
]


def documented_columns(view: str) -> list[str]:
    page = (ROOT / "docs/views.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {view}\n", 1)[1].split("\n## ", 1)[0]
    table = section.split("| column | meaning |", 1)[1].split("\n\n", 1)[0]
    return [name for row in re.findall(r"^\| ([a-z0-9_, ]+) \|", table, re.M) for name in row.split(", ")]


def test_every_view_is_documented_column_by_column(store_url: str) -> None:
    store = Store(store_url).ready()
    with store.read() as connection:
        for view in VIEWS:
            columns = list(connection.execute(sa.text(f"SELECT * FROM {view}")).keys())
            assert sorted(columns) == sorted(documented_columns(view)), view
    store.close()


def test_recon_returns_has_exactly_the_promised_columns_in_order(store_url: str) -> None:
    store = Store(store_url).ready()
    with store.read() as connection:
        assert list(connection.execute(sa.text("SELECT * FROM recon_returns")).keys()) == RECON_RETURNS
    store.close()


def test_the_generated_pages_are_up_to_date() -> None:
    assert (ROOT / "docs/rules.md").read_text(encoding="utf-8") == rules_page()
    assert (ROOT / "docs/tables.md").read_text(encoding="utf-8") == tables_page()


def test_every_command_of_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \| [a-z]", readme.split("## Commands", 1)[1].split("## For analysts", 1)[0], re.M)
    named = {word.split()[0] for row in rows for word in re.findall(r"`([^`]+)`", row)}
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert named - commands == set()
    assert commands - named == {"version"}


def test_every_threat_has_tests_that_exist() -> None:
    rows = [line.strip("|").split("|") for line in (ROOT / "docs/security.md").read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    tests = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    names = {name for text in tests.values() for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    assert len(rows) > 20
    for row in rows[1:]:
        told = re.findall(r"`([^`]+)`", row[-1])
        assert told, row[0]
        for one in told:
            is_file = any(str(path).endswith(f"tests/{one}") for path in tests)
            is_name = any(re.fullmatch(one.replace("…", ".*"), name) for name in names)
            assert is_file or is_name or one.startswith(("make ", "python -m benchmarks", "scripts/")), one
