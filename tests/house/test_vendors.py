"""A warehouse is named in its folder and in the registry, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.check_vendors import findings


def test_no_warehouse_is_named_outside_its_folder() -> None:
    assert list(findings()) == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ('if name == "acmehouse":\n    pass\n', True),
        ("from backhaul.connectors.acmehouse.client import AcmeHouse\n", True),
        ("settings.acmehouse\n", True),
        ('"""What AcmeHouse calls a parcel."""\n', False),
        ("x = 1  # AcmeHouse has no other\n", False),
    ],
)
def test_a_name_in_the_code_is_found_and_one_in_a_comment_is_not(tmp_path: Path, text: str, is_found: bool) -> None:
    for folder in ("backhaul/connectors/acmehouse", "backhaul/connectors/loop", "backhaul/pipeline", "flows", "tasks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "backhaul/connectors/acmehouse/client.py").write_text(text)
    assert list(findings(tmp_path)) == []
    (tmp_path / "backhaul/pipeline/session.py").write_text(text)
    assert [one.split(": names")[0] for one in findings(tmp_path)] == (["backhaul/pipeline/session.py:1"] if is_found else [])
