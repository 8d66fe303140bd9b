"""The files to deploy with give up what they do not use."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

from scripts.try_image import RECIPE, ROOT, context, steps

UNIT = (ROOT / "docs/deploy/backhaul.service").read_text(encoding="utf-8")


def test_the_image_is_built_from_what_it_needs_and_nothing_else() -> None:
    names = {str(file.relative_to(ROOT)) for file in context()}
    assert {"requirements.lock", "pyproject.toml", "README.md", "prefect.yaml", "backhaul/cli/app.py", "flows/sync.py"} <= names
    strange = {
        name for name in names if name.split("/")[0] in {".venv", ".git", "tests", "benchmarks", "build"} or name.endswith((".db", ".pyc"))
    }
    assert strange == set()
    included = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*included["packages"], *included["force-include"]} <= {name.split("/")[0] for name in names}


def test_the_image_runs_as_nobody_in_particular_from_the_lock_that_runs_and_checks_no_port() -> None:
    words = list(steps(RECIPE.read_text(encoding="utf-8")))
    assert ("USER", "backhaul") in words
    assert "HEALTHCHECK" not in {word for word, _ in words}
    installs = " ".join(rest for word, rest in words if word == "RUN")
    assert "--require-hashes -r requirements.lock" in installs and "requirements-dev" not in installs
    assert all(rest.startswith("${BASE}") for word, rest in words if word == "FROM")
    (base,) = [rest for word, rest in words if word == "ARG"]
    assert re.fullmatch(r"BASE=python:3\.11-slim@sha256:[0-9a-f]{64}", base)


def test_the_unit_leaves_the_service_no_right_that_it_does_not_use() -> None:
    wanted = {
        *(
            "NoNewPrivileges=true",
            "CapabilityBoundingSet=",
            "ProtectSystem=strict",
            "ProtectHome=true",
            "PrivateTmp=true",
            "PrivateDevices=true",
        ),
        *("PrivateUsers=true", "RestrictNamespaces=true", "RestrictSUIDSGID=true", "SystemCallFilter=@system-service", "UMask=0077"),
        *("ProtectKernelModules=true", "ProtectKernelLogs=true", "ProtectClock=true", "SystemCallArchitectures=native"),
    }
    assert wanted - set(UNIT.splitlines()) == set()


def test_the_units_exposure_is_under_three_where_systemd_can_say(tmp_path: Path) -> None:
    """Where there is no systemd-analyze, the settings above are all that is known."""
    (tmp_path / "backhaul.service").write_text(UNIT)
    try:
        told = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--no-pager", str(tmp_path / "backhaul.service")],
            capture_output=True,
            text=True,
        ).stdout
    except FileNotFoundError:
        return
    (exposure,) = re.findall(r"Overall exposure level for backhaul\.service: ([0-9.]+)", told) or ["0"]
    assert float(exposure) < 3.0
