"""Asks for known holes in what is locked, with pip-audit in an environment of its own (`build/audit`).

It needs an index for pip-audit itself, and a vulnerability service that knows the packages. Where one of them does not answer, that is
told in one line and is no failure: who is offline can audit nothing. A known hole is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / "build" / "audit"
_PATIENCE = 300.0  # seconds, for each of the two


def pip_audit(home: Path = HOME) -> Path | None:
    """The program, installed on first use; None where no index has it."""
    program = home / "bin" / "pip-audit"
    if program.exists():
        return program
    installing = ([sys.executable, "-m", "venv", str(home)], [str(home / "bin" / "pip"), "--quiet", "install", "pip-audit"])
    try:
        for command in installing:
            subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE)
    except (subprocess.SubprocessError, OSError):
        shutil.rmtree(home, ignore_errors=True)
        return None
    return program


def audit(program: Sequence[str], lock: Path) -> tuple[int, list[str]]:
    """The exit code, and what to say."""
    command = [*program, "--requirement", str(lock), "--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    try:
        told = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE).stdout)
    except (subprocess.SubprocessError, OSError, ValueError):
        return 0, ["The vulnerability service does not answer: what is locked was not audited."]
    packages = told["dependencies"]
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    holes = [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in packages
        for hole in one.get("vulns", ())
    ]
    if len(unknown) == len(packages):
        return 0, [f"The vulnerability service knows none of the {len(packages)} packages: what is locked was not audited."]
    summary = f"{len(packages) - len(unknown)} packages audited, {len(holes)} known holes"
    return int(bool(holes)), [*holes, summary + (f"; not known to the service: {', '.join(unknown)}." if unknown else ".")]


def main() -> int:
    """Audit the lock that runs."""
    program = pip_audit()
    if program is None:
        print("No index answers: what is locked was not audited.")
        return 0
    code, lines = audit([str(program)], ROOT / "requirements.lock")
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
