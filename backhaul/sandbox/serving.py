"""Serves a populated world in the foreground, for the command."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from backhaul.sandbox.scenarios import populate
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env, config_toml


def serve(
    host: str = "127.0.0.1",
    port: int = 8790,
    *,
    seed: int = 7,
    merchants: Sequence[str] = ("acme",),
    returns: int = 300,
    start: datetime | None = None,
    latency: float = 0.0,
    on_ready: Callable[[Sandbox], None] | None = None,
) -> None:
    """Serve a populated world until interrupted. `on_ready` is called once it answers; by default it prints how to use it.
    `latency` is what each answer takes, in seconds.

    Raises OSError when the port is taken.
    """
    with Sandbox(seed, merchants, start=start, host=host, port=port) as box:
        box.world.latency = latency
        for name in merchants:
            populate(box.world, name, returns)
        try:
            (on_ready or _introduce)(box)
            while box.is_running:
                time.sleep(0.2)
        except KeyboardInterrupt:
            return


def _introduce(box: Sandbox) -> None:
    exports = "\n".join(f"export {name}={value}" for name, value in config_env(box).items())
    print(f"# Simulated vendors answer on {box.url}; control them under {box.url}/_sandbox/state")
    print(f"# backhaul.toml\n{config_toml(box)}\n# its environment\n{exports}\n# Ctrl-C ends it.", flush=True)
