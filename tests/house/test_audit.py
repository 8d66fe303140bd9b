"""What `make audit` says of the lock, whatever the vulnerability service answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.audit_lock import audit

SOUND = {"name": "httpx", "version": "1.0", "vulns": []}
HOLED = {"name": "jinja2", "version": "3.0", "vulns": [{"id": "CVE-2026-0001", "fix_versions": ["3.1"]}]}
UNKNOWN = {"name": "alembic", "skip_reason": "not found"}


def said(tmp_path: Path, answer: str) -> tuple[int, list[str]]:
    """What is said when pip-audit writes this."""
    program = tmp_path / "answer.py"
    program.write_text(f"print({answer!r})")
    return audit([sys.executable, str(program)], tmp_path / "requirements.lock")


@pytest.mark.parametrize(
    ("packages", "code", "last"),
    [
        ([SOUND, UNKNOWN], 0, "1 packages audited, 0 known holes; not known to the service: alembic."),
        ([SOUND, HOLED], 1, "2 packages audited, 1 known holes."),
        ([UNKNOWN, UNKNOWN], 0, "The vulnerability service knows none of the 2 packages: what is locked was not audited."),
    ],
)
def test_a_known_hole_fails_and_what_was_not_audited_is_told(packages: list[dict[str, Any]], code: int, last: str, tmp_path: Path) -> None:
    found, lines = said(tmp_path, json.dumps({"dependencies": packages}))
    assert (found, lines[-1]) == (code, last)
    assert lines[:-1] == (["jinja2 3.0: CVE-2026-0001, mended in 3.1"] if code else [])


def test_a_service_that_does_not_answer_is_one_line_and_no_failure(tmp_path: Path) -> None:
    unanswered = (0, ["The vulnerability service does not answer: what is locked was not audited."])
    assert said(tmp_path, "ERROR: no connection") == unanswered
    assert audit([str(tmp_path / "is-not-there")], tmp_path / "requirements.lock") == unanswered
