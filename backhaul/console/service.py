"""`backhaul console`: the server that answers until it is told to stop."""

from __future__ import annotations

import ipaddress

import uvicorn

from backhaul.console.app import make_app
from backhaul.console.desk import Desk
from backhaul.errors import ConfigError


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_strangers(host: str) -> None:
    """Raises ConfigError for an address that others reach: nobody is asked here who they are."""
    if not is_loopback(host):
        raise ConfigError(
            f"the console listens on loopback only, and {host} is not: it asks nobody who they are. "
            "Use --host 127.0.0.1, and reach it through an SSH tunnel or a proxy that authenticates"
        )


def serve(desk: Desk, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError off loopback, SystemExit when the port is taken."""
    refuse_strangers(host)
    config = uvicorn.Config(
        make_app(desk), host=host, port=port, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False
    )
    uvicorn.Server(config).run()
