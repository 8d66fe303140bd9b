"""The `backhaul` command. Exit 0: done. 1: it failed. 2: bad use or config, told in one line."""

from __future__ import annotations

import gc
import sys

from backhaul.cli.app import app
from backhaul.cli.output import complain
from backhaul.errors import BackhaulError, ConfigError


def main() -> None:
    """Run the command line; no stack trace for what Backhaul raises on purpose."""
    gc.set_threshold(50_000, 20, 100)  # as for a session; while modules are imported there is nothing to collect
    try:
        app()
    except ConfigError as error:
        complain(str(error))
        sys.exit(2)
    except BackhaulError as error:
        complain(str(error))
        sys.exit(1)
