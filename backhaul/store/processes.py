"""Which process did what, so that what a dead one left behind is taken up at once."""

from __future__ import annotations

import os
import socket


def this_process() -> str:
    """This machine and process: `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(process: str | None) -> bool:
    """Whether a process of this machine has ended. Of another machine's nothing can be said."""
    host, _, pid = (process or "").rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
