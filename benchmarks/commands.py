"""What a command costs before it has done anything: processor time of `backhaul --help`, and of `backhaul show` of one return."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from backhaul.sandbox import scenarios
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env, config_toml

_MERCHANT = "acme"


def measure(rounds: int) -> dict[str, float]:
    """Seconds of processor time, the median of so many runs, once the files have been read."""
    with tempfile.TemporaryDirectory() as place, Sandbox(seed=3) as box:
        scenarios.populate(box.world, _MERCHANT, returns=40, days=3)
        some = box.world.create_return(_MERCHANT)
        config = Path(place) / "backhaul.toml"
        config.write_text(config_toml(box, store_url=f"sqlite:///{place}/store.db"))
        environment = os.environ | config_env(box) | {"BACKHAUL_CONFIG": str(config), "PREFECT_HOME": f"{place}/prefect"}
        _seconds(environment, "sync", _MERCHANT)
        return {
            "help_cpu_s": _median(environment, rounds, "--help"),
            "show_cpu_s": _median(environment, rounds, "show", str(some.id)),
        }


def _median(environment: dict[str, str], rounds: int, *arguments: str) -> float:
    _seconds(environment, *arguments)
    return round(median(_seconds(environment, *arguments) for _ in range(rounds)), 3)


def _seconds(environment: dict[str, str], *arguments: str) -> float:
    """One run of the command. Raises RuntimeError with what it said when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(Path(sys.executable).parent / "backhaul"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"backhaul {arguments[0]} failed: {done.stderr.strip()[-300:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
