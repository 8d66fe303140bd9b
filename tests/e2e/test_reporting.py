"""Nothing that Backhaul starts reports anything to anybody: every socket beyond this machine is refused, and none is tried."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).parent / "backhaul")
QUIET = ("DO_NOT_TRACK", "GX_ANALYTICS_ENABLED", "PREFECT_SERVER_ANALYTICS_ENABLED", "PREFECT_HOME", "PREFECT_LOGGING_LEVEL")
CI = re.compile(r"CI|CONTINUOUS_INTEGRATION|GITHUB_|GITLAB_|BUILD|JENKINS|TRAVIS|CIRCLE|PYTEST")  # there Prefect is silent anyway

GUARD = """
import os, sys

def guard(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "unix"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host in (None, "", "unix", "localhost", "::1", "0.0.0.0", "::") or host.startswith("127."):
        return
    with open(os.environ["GUARD_LOG"], "a") as log:
        log.write(f"{event} {host} {sys.argv}\\n")
    raise OSError(101, "refused by the test")

sys.addaudithook(guard)
"""

BLOCK = """
from backhaul.config import resolve
import time
from prefect.blocks.system import Secret
Secret(value="s3cret").save("acme-key")
assert resolve("block:acme-key", "here").get_secret_value() == "s3cret"
time.sleep(8)  # a server's services begin a moment after it
"""


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, str]:
    """An environment as on a person's machine, in which every Python refuses and records sockets to anywhere else."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    environment = {name: value for name, value in os.environ.items() if name not in QUIET and not CI.match(name)}
    return environment | {
        "PYTHONPATH": f"{tmp_path / 'guard'}{os.pathsep}{ROOT}",
        "GUARD_LOG": str(tmp_path / "tried"),
        "HOME": str(tmp_path),
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }


def _on_a_terminal(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """Run a command whose input and output are a terminal, as a person would; returns what it said."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder, start_new_session=True)
    os.close(theirs)
    said = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # the last one has left the terminal
            while piece := os.read(ours, 65_536):
                said.extend(piece)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        code = process.wait(240)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also a server that it left behind
    reader.join(10)
    os.close(ours)
    text = said.decode(errors="replace")
    assert code == 0, text
    return text


def _tried(environment: dict[str, str]) -> str:
    log = Path(environment["GUARD_LOG"])
    return log.read_text() if log.exists() else ""


def test_the_guard_sees_what_it_is_there_for(guarded: dict[str, str]) -> None:
    tries = "import urllib.request as u\ntry: u.urlopen('http://192.0.2.1/')\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", tries], env=guarded, check=True)
    assert "192.0.2.1" in _tried(guarded)


def test_the_demo_reports_nothing_and_leaves_files_to_their_owner(guarded: dict[str, str], tmp_path: Path) -> None:
    said = _on_a_terminal([COMMAND, "demo", "--returns", "40"], guarded, tmp_path)
    assert _tried(guarded) == ""
    assert "Done in" in said and "anonymous" not in said and "opt out" not in said
    left = [file for file in (tmp_path / "build/demo").iterdir() if file.is_file()]
    assert {"backhaul.toml", "backhaul.db"} <= {file.name for file in left}
    assert {stat.S_IMODE(file.stat().st_mode) for file in left} == {0o600}


def test_a_secret_block_is_loaded_without_a_report(guarded: dict[str, str], tmp_path: Path) -> None:
    _on_a_terminal([sys.executable, "-c", BLOCK], guarded, tmp_path)
    assert _tried(guarded) == ""
