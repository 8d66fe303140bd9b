"""Fails when a warehouse's name stands in Python outside its own folder and the registry.

What the rest of the house knows of a warehouse stands in `backhaul/connectors/registry.py`; an `if name == …` elsewhere is a place that
the next warehouse would have to find. Looks at names, imports and texts of the code; comments and docstrings may speak of anybody.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOOKED_AT = ("backhaul", "flows", "tasks")
CONNECTORS = Path("backhaul/connectors")
NO_WAREHOUSES = {"loop", "__pycache__"}
# Comments of columns, which landed migrations have written into databases.
COMMENTS_OF_COLUMNS = {"backhaul/domain/schema.py", "backhaul/store/tables.py"}


def findings(root: Path = ROOT) -> Iterator[str]:
    """One line for each place that names a warehouse: file, line number, the name."""
    names = sorted(path.name for path in (root / CONNECTORS).iterdir() if path.is_dir() and path.name not in NO_WAREHOUSES)
    pattern = re.compile("|".join(names), re.IGNORECASE)
    for top in LOOKED_AT:
        for path in sorted((root / top).rglob("*.py")):
            place = path.relative_to(root)
            if _may_name(place, names):
                continue
            for line, text in _said(ast.parse(path.read_text(encoding="utf-8"))):
                if found := pattern.search(text):
                    yield f"{place}:{line}: names {found[0]}, which only its folder and the registry may"


def _may_name(place: Path, names: list[str]) -> bool:
    in_folder = place.is_relative_to(CONNECTORS) and place.parts[2] in names
    is_landed = place.is_relative_to("backhaul/store/migrations")
    is_listed = place.as_posix() in COMMENTS_OF_COLUMNS
    return in_folder or is_landed or is_listed or place.is_relative_to("backhaul/sandbox") or place == CONNECTORS / "registry.py"


def _said(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The names and texts of a module, with their lines, but for its docstrings."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, f"{node.module} {' '.join(alias.name for alias in node.names)}"


def main() -> int:
    """Print every finding; 1 when there is any."""
    found = list(findings())
    print("\n".join(found) or "No warehouse is named outside its folder.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
