"""The questions of /data and of the notebook, each asked of a store that a simulated world has filled."""

from __future__ import annotations

import ast
import csv
import importlib.util
import re
import sys
from collections.abc import Callable
from inspect import getsource, signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backhaul.sandbox import scenarios
from backhaul.store.questions import QUESTIONS, Question, answer
from backhaul.store.views import VIEWS
from flows.reconcile import reconcile
from tests.e2e.house import House

NOTEBOOK = Path(__file__).parents[2] / "docs/notebooks/questions.py"
TARGETS = {"announce_within": 1, "inspect_within": 1, "decide_within": 1, "refund_within": 1}


@pytest.fixture(scope="module")
def house(build_shared: Callable[..., House], module_store_url: str) -> House:
    house = build_shared({"acme": {"targets": TARGETS}}, store_url=module_store_url)
    scenarios.populate(house.world, "acme", 60, days=6)
    house.sync()
    scenarios.receive_some(house.world, "acme", 0.8, blind=2)
    for _ in range(2):
        house.sync()
    reconcile.fn("acme", config=str(house.file))
    return house


def test_there_are_twenty_questions_of_the_public_views_alone() -> None:
    assert len({one.name for one in QUESTIONS}) == len({one.asked for one in QUESTIONS}) == len(QUESTIONS) == 20
    for one in QUESTIONS:
        assert set(re.findall(r"\b(?:FROM|JOIN) (\w+)", one.sql)) <= set(VIEWS), one.name


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.name)
def test_every_question_has_an_answer(house: House, question: Question) -> None:
    with house.store.read() as connection:
        columns, rows = answer(connection, question)
    assert columns == list(dict.fromkeys(columns)) and all(list(row) == columns for row in rows)
    assert rows or question.name in ("late", "unmapped", "whose-units", "received-not-paid"), "a world in which nothing answers it"
    for row in rows:
        for name, value in row.items():
            assert not isinstance(value, float) or round(value, 2) == value or "hours" in name, f"{name} is not rounded"


def test_the_numbers_of_a_question_are_those_of_its_view(house: House) -> None:
    with house.store.read() as connection:
        _, rows = answer(connection, next(one for one in QUESTIONS if one.name == "standing"))
    [all_of_them] = house.rows("SELECT count(*) AS number, round(sum(value_at_risk), 2) AS at_risk FROM recon_returns")
    assert sum(row["returns"] for row in rows) == all_of_them["number"] == 60
    assert float(sum(row["at_risk"] for row in rows)) == pytest.approx(float(all_of_them["at_risk"]))


def test_a_view_is_taken_away_by_a_command(house: House, tmp_path: Path) -> None:
    file = tmp_path / "returns.csv"
    done = house.command("export", "recon_returns", "--where", "merchant=acme", "--out", file)
    assert (done.returncode, done.stderr) == (0, f"60 rows of recon_returns in {file}\n")
    with file.open(encoding="utf-8", newline="") as opened:
        assert {row["return_id"] for row in csv.DictReader(opened)} == {
            row["return_id"] for row in house.rows("SELECT * FROM recon_returns")
        }
    for words in (("nothing",), ("recon_returns", "--where", "nothing=1"), ("recon_returns", "--format", "xml")):
        assert house.command("export", *words, "--out", tmp_path / "none").returncode == 2
    assert list(tmp_path.iterdir()) == [file]


class Cells:
    """What the notebook needs of marimo, which is not installed for the tests: its cells, run in order, each given what others return."""

    def __init__(self, **_: Any) -> None:
        self.cells: list[Callable[..., Any]] = []
        self.md = self.vstack = self.accordion = lambda what: what
        self.ui = SimpleNamespace(table=lambda rows, selection: rows)

    def cell(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self.cells.append(function)
        return function

    def run(self) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for cell in self.cells:
            given = cell(*(known[name] for name in signature(cell).parameters))
            last = ast.parse(getsource(cell)).body[0].body[-1].value  # type: ignore[attr-defined]
            known |= dict(zip([name.id for name in last.elts], given, strict=True)) if last is not None else {}
        return known


def test_the_notebook_asks_them_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKHAUL_CONFIG", str(house.file))
    stand_in = Cells()
    stand_in.App = Cells  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "marimo", stand_in)
    spec = importlib.util.spec_from_file_location("questions_notebook", NOTEBOOK)
    notebook = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "questions_notebook", notebook)
    spec.loader.exec_module(notebook)  # type: ignore[union-attr]
    asked = notebook.app.run()["answers"]
    assert [question.name for question, _, _ in asked] == [one.name for one in QUESTIONS]
    assert sum(bool(rows) for _, _, rows in asked) >= 16
