"""Fails when a file of the project names a package registry's host or a path of somebody's machine, or holds what looks like a secret.

Such a name works on one machine and nowhere else, and tells strangers about that machine; a secret that was committed once is known
to all who ever read the project. Looks at what git would commit; in a copy without git, at every file outside the folders that tools make.
An invented secret in a test says what it is: it has one of the words "invented", "not-a-real", "test" or "example" in it, or, in base64,
"backhaul-invented".
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MADE_BY_TOOLS = {
    ".git",
    ".venv",
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "build",
    "dist",
}

# Written in pieces, so that this file does not name them.
REGISTRY = re.compile(
    "|".join((r"pypi\." + "org", "python" + r"hosted\.org", r"npm" + r"js\.(?:org|com)", r"deb" + r"ian\.org", r"conda\." + "anaconda"))
)
MACHINE_PATH = re.compile(r"(?<![\w.\-*])/(?:root|work|home|Users|tmp)" + r"/[\w.]|\b[A-Z]:" + r"\\Users\\|file:/" + "//")
SECRET = re.compile(
    "|".join(
        (
            r"-----BEGIN (?:[A-Z]+ )*PRIVATE" + " KEY-----",
            r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
            r"\bgh[pousr]_[A-Za-z0-9]{36}",
            r"\bglpat-[\w-]{20}",
            r"\bxox[abprs]-[\w-]{10,}",
            r"\b(?:sk|rk|pk)_live_[A-Za-z0-9]{16,}",
            r"\bshp(?:at|ca|pa|ss)_[0-9a-f]{32}",
            r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
            # a key of no known form, by what it is called: 24 or more letters with digits among them
            r"(?i:api_?key|secret|token|passw(?:or)?d)[\"']?\s*[:=]\s*[\"'](?![\w+/=-]*(?:invented|not-a-real|test|example|YmFja2hhdWwtaW52ZW50ZWQ))(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[\w+/=-]{24,}[\"']",
        )
    )
)


def files(root: Path = ROOT) -> list[Path]:
    """The files that git has or would take, or all that tools did not make where there is no git."""
    if not (root / ".git").exists():
        return sorted(path for path in root.rglob("*") if path.is_file() and not MADE_BY_TOOLS & set(path.relative_to(root).parts))
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    return sorted(path for name in listing.split("\0") if name and (path := root / name).is_file())


def findings(paths: Iterable[Path], root: Path = ROOT) -> Iterator[str]:
    """One line for each place that names a registry, a machine's path or a secret: file, line number, and what it is."""
    for path in paths:
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", errors="replace").splitlines(), 1):
            for what, pattern in (("a registry's host", REGISTRY), ("a path of a machine", MACHINE_PATH), ("a secret", SECRET)):
                if pattern.search(line):
                    yield f"{path.relative_to(root)}:{number}: names {what}"


def main() -> int:
    """Print every finding; 1 when there is any."""
    found = list(findings(files()))
    print("\n".join(found) or "No file names a registry, a machine or a secret.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
