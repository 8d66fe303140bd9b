"""`backhaul console`: the server that answers until it is told to stop."""

from __future__ import annotations

import uvicorn

from backhaul.config import Settings
from backhaul.console.app import make_app
from backhaul.console.desk import Desk
from backhaul.errors import ConfigError
from backhaul.urls import is_loopback


def refuse_strangers(host: str, settings: Settings) -> None:
    """Raises ConfigError for an address that others reach, unless the config says how they sign in."""
    if settings.console is None and not is_loopback(host):
        raise ConfigError(
            f"without a [console] section, by which people sign in, the console listens on loopback only, and {host} is not. "
            "Use --host 127.0.0.1 and an SSH tunnel, or write the section (docs/console.md)"
        )


def serve(desk: Desk, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError as `refuse_strangers` does, SystemExit when the port is taken."""
    refuse_strangers(host, desk.settings)
    config = uvicorn.Config(
        make_app(desk), host=host, port=port, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False
    )
    uvicorn.Server(config).run()
