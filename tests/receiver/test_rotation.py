"""A webhook's secret is changed without a gap: two are let in, and what a block holds is read anew."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul import config
from backhaul.errors import ConfigError
from backhaul.receiver.admission import Door
from backhaul.sandbox import Sandbox, config_env, config_toml

from .conftest import MERCHANT, Desk

BODY = b'{"topic": "return", "id": 1}'
ROOT = Path(__file__).parents[2]


def _signed(secret: str) -> dict[str, str]:
    return {"x-loop-signature": base64.b64encode(hmac.digest(secret.encode(), BODY, hashlib.sha256)).decode()}


@pytest.fixture
def write(desk: Desk, tmp_path: Path) -> Callable[[str], Path]:
    """Writes a config whose Loop secret is what is given."""
    [reference] = [name for name in config_env(desk.box) if "LOOP_WEBHOOK" in name]

    def write(secret: str) -> Path:
        file = tmp_path / "rotated.toml"
        text = config_toml(desk.box, store_url=f"sqlite:///{tmp_path}/store.db")
        file.write_text(text.replace(f'"env:{reference}"', secret), encoding="utf-8")
        return file

    return write


def test_while_a_secret_is_rotated_both_are_let_in_and_no_third(
    desk: Desk, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_NEW", "invented-new")
    monkeypatch.setenv("TEST_OLD", "invented-old")
    settings = config.load(write('["env:TEST_NEW", "env:TEST_OLD"]'))
    door = Door(settings)
    for secret, is_let_in in (("invented-new", True), ("invented-old", True), ("invented-third", False), ("", False)):
        assert door.admits(MERCHANT, "loop", _signed(secret), BODY, desk.now()) is is_let_in
    assert not door.admits("nobody", "loop", _signed("invented-new"), BODY, desk.now())
    account = settings.merchant(MERCHANT).account(MERCHANT, "loop")
    assert account.secret("webhook_secret").get_secret_value() == "invented-new"  # the one that is registered


@pytest.mark.parametrize("secret", ['["env:A", "env:B", "env:C"]', "[]", '["env:A", "open-secret-test"]', '"open-secret-test"', "3"])
def test_what_is_no_reference_or_more_than_two_is_refused_and_not_shown(write: Callable[[str], Path], secret: str) -> None:
    with pytest.raises(ConfigError, match=r"merchants\.acme\.loop\.webhook_secret: a secret is a reference") as refused:
        config.load(write(secret))
    assert "open-secret-test" not in str(refused.value)


SCRIPT = """
import sys
from datetime import UTC, datetime
from backhaul import config
from backhaul.receiver.admission import Door
from prefect.blocks.system import Secret
from tests.receiver.test_rotation import BODY, _signed

at = [0.0]
def put(value): Secret(value=value).save("acme-loop", overwrite=True)
def admits(secret): return door.admits("acme", "loop", _signed(secret), BODY, datetime.now(UTC))
put("invented-first")
door = Door(config.load(sys.argv[1]), clock=lambda: at[0])
said = [admits("invented-first"), admits("invented-second")]
put("invented-second")
said.append(admits("invented-second"))  # it was looked at within the minute
at[0] = 61.0
said += [admits("invented-second"), admits("invented-first")]
print(said)
"""


def test_a_block_is_read_anew_when_a_proof_fails_and_at_most_once_a_minute(
    desk: Desk, write: Callable[[str], Path], tmp_path: Path
) -> None:
    file = write('"block:acme-loop"')
    env = os.environ | {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PYTHONPATH": str(ROOT),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    done = subprocess.run(
        [sys.executable, "-c", f"import backhaul\n{SCRIPT}", file],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["[True, False, False, True, False]"], done.stderr[-2000:]


def test_a_secret_of_one_merchant_lets_nobody_in_at_another(
    desk: Desk, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(seed=3, merchants=(MERCHANT, "other")) as box:
        for name, value in config_env(box).items():
            monkeypatch.setenv(name, value)
        file = write('"env:A"').with_name("two.toml")
        file.write_text(config_toml(box, store_url="sqlite:///unused.db"), encoding="utf-8")
        door = Door(config.load(file))
        secret = box.keys["other"].loop_webhook_secret
        assert door.admits("other", "loop", _signed(secret), BODY, desk.now())
        assert not door.admits(MERCHANT, "loop", _signed(secret), BODY, desk.now())
