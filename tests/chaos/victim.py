"""A process that is there to be killed: `python -m tests.chaos.victim` runs each flow that it is asked for in a fork of itself.

It reads requests from standard input, a line of JSON each: the flow with its arguments, what time it is, and how it ends: at which point
(`kill_at`, counted from 0), after how many seconds (`kill_after`), or not at all. It answers with the points that were reached, and the
fork's end as `subprocess` tells it: 0, 1 for a run that failed, -9 for one that was killed.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import ssl
import subprocess
import sys
import time
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from backhaul import points
from backhaul.domain import backoff
from backhaul.errors import BackhaulError
from backhaul.pipeline import lane
from backhaul.pipeline.session import open_session
from backhaul.store.engine import Store
from flows import recorded
from tests.chaos.ground import FLOWS, Row

ROOT = Path(__file__).parents[2]


class Victim:
    """The test's end of it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.victim"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, flow: str, words: list[str], more: Row, now: datetime, env: dict[str, str], **end: Any) -> Row:
        """Run a flow in a process of its own, to its end."""
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {"flow": flow, "words": words, "more": more, "now": now.isoformat(), "env": env} | end
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: Row = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def main() -> None:
    """Answer requests until there are no more."""
    logging.disable(logging.CRITICAL)
    ssl.create_default_context = lru_cache(ssl.create_default_context)  # type: ignore[assignment]
    backoff.SHORTEST = timedelta(seconds=50)
    lane.random = SimpleNamespace(random=lambda: 0.5)  # type: ignore[assignment]
    recorded.Store = lru_cache(Store)  # type: ignore[misc, assignment]
    for line in sys.stdin:
        print(json.dumps(_fork(json.loads(line))), flush=True)


def _fork(request: Row) -> Row:
    if request.get("is_rehearsal"):
        reached: list[str] = []
        points.hook = reached.append
        end = _run(request)
        gc.freeze()
        return {"end": end, "points": reached}
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        points.hook = partial(_reached, write_end, request.get("kill_at"), [])
        os._exit(_run(request))
    os.close(write_end)
    if "kill_after" in request:
        time.sleep(request["kill_after"])
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(read_end) as told:
        names = told.read().split()
    return {"end": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "points": names}


def _reached(write_end: int, kill_at: int | None, before: list[str], name: str) -> None:
    os.write(write_end, f"{name}\n".encode())
    if len(before) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    before.append(name)


def _run(request: Row) -> int:
    os.environ.update(request["env"])
    now = datetime.fromisoformat(request["now"])
    recorded.open_session = partial(open_session, clock=lambda: now)  # it stands still, as the sandbox's does
    try:
        FLOWS[request["flow"]].fn(*request["words"], **request["more"])
    except BackhaulError:
        return 1
    return 0


if __name__ == "__main__":
    main()
