"""Every pattern of the code takes linear time: by its structure, so that no machine's speed matters.

A pattern in which nothing repeats without bound, and no repeat holds another, does bounded work at each place of a text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from re import _constants as marks
from re import _parser as parser
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("backhaul", "flows", "tasks", "benchmarks")  # scripts/ read this project's own files, by hand
TAKES_A_PATTERN = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
LONGEST = 1_000  # characters that one match may take
_REPEATS = {marks.MAX_REPEAT, marks.MIN_REPEAT, marks.POSSESSIVE_REPEAT}


def patterns() -> Iterator[tuple[str, str | bytes | None]]:
    """Where a pattern stands, and the pattern; None where it is not written out."""
    for file in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not isinstance(node.func.value, ast.Name):
                continue
            if node.func.value.id == "re" and node.func.attr in TAKES_A_PATTERN:
                yield f"{file.relative_to(ROOT)}:{node.lineno}", _written(node.args[0])


def _written(node: ast.expr) -> str | bytes | None:
    """The text of a constant, of constants added up, or joined by a constant."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return node.value
    if isinstance(node, ast.BinOp):
        parts = _written(node.left), _written(node.right)
        return parts[0] + parts[1] if None not in parts else None  # type: ignore[operator]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        parts = [_written(part) for part in getattr(node.args[0], "elts", [])]
        return "|".join(map(str, parts)) if parts and None not in parts else None
    return None


def faults(pattern: str | bytes) -> list[str]:
    """What makes a pattern take more than bounded work at a place."""
    parsed = parser.parse(pattern)
    found = list(_faults(parsed, is_repeated=False))
    return found if found or parsed.getwidth()[1] <= LONGEST else [f"it may take {parsed.getwidth()[1]} characters"]


def _faults(parsed: Any, *, is_repeated: bool) -> Iterator[str]:
    for operation, argument in parsed:
        repeats = operation in _REPEATS and argument[1] > 1
        if repeats and argument[1] == marks.MAXREPEAT:
            yield "it repeats without bound"
        if repeats and is_repeated:
            yield "a repeat holds a repeat"
        for part in argument if isinstance(argument, tuple | list) else [argument]:
            for inner in part if isinstance(part, list) else [part]:
                if isinstance(inner, parser.SubPattern):
                    yield from _faults(inner, is_repeated=is_repeated or repeats)


FOUND = list(patterns())
BY_OURSELVES = {"backhaul/sandbox/loop/bulk.py"}  # made of escaped words of the sandbox's own
# A column's dates, joined: each round begins with a digit and ends at its own `;`, so there is one way to match and none to go back to.
COLUMNS = {r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3}(\d{3})?)?Z?;)*"}


@pytest.mark.parametrize(("place", "pattern"), FOUND, ids=[place for place, _ in FOUND])
def test_a_pattern_takes_linear_time(place: str, pattern: str | bytes | None) -> None:
    if place.partition(":")[0] in BY_OURSELVES:
        assert pattern is None
        return
    assert pattern is not None, "write the pattern out, so that it can be judged"
    assert pattern in COLUMNS or faults(pattern) == []


@pytest.mark.parametrize("pattern", [r"\S+@\S+", r"(a{1,9}){1,9}b", r"a*", r"(x|y+)", r"[^@]{1,5000}"])
def test_a_pattern_that_takes_longer_is_found(pattern: str) -> None:
    assert re.compile(pattern) and faults(pattern)


def test_there_are_patterns_to_judge() -> None:
    assert len(FOUND) > 10 and not [place for place, _ in FOUND if not place]
