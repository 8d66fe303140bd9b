"""A real Prefect server with a work pool and a worker process, on loopback, for this folder's tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest

from backhaul.sandbox import scenarios
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env, config_toml

ROOT = Path(__file__).parents[2]
T = TypeVar("T")
MERCHANTS = ("acme", "zenith")
PATIENCE = 300.0  # seconds; a busy machine may take a minute to start a server


@dataclass
class Fleet:
    """The server, what it runs on, and the simulated vendors."""

    api_url: str
    env: dict[str, str]
    home: Path
    config: Path
    database: Path
    box: Sandbox

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Prefect's command; its failure is the test's."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self, deployment: str, parameters: dict[str, object] | None = None, env: dict[str, str] | None = None) -> UUID:
        """Ask for a run of a deployment."""
        found = self.call("GET", f"/deployments/name/{deployment}")
        wanted: dict[str, object] = {"parameters": parameters or {}, "state": {"type": "SCHEDULED"}}
        if env:
            wanted["job_variables"] = {"env": {**found["job_variables"].get("env", {}), **env}}
        return UUID(self.call("POST", f"/deployments/{found['id']}/create_flow_run", wanted)["id"])

    def call(self, method: str, path: str, json: object | None = None) -> Any:
        """One call of Prefect's API, which answers 503 while its SQLite is busy."""
        for _ in range(20):
            answer = httpx.request(method, self.api_url + path, json=json, timeout=PATIENCE)
            if answer.status_code != 503:
                break
            time.sleep(0.5)
        answer.raise_for_status()
        return answer.json() if answer.content else {}

    def states(self, flow_run_id: UUID) -> list[str]:
        """The names of all states that a run has been in, in order."""
        answer = httpx.get(f"{self.api_url}/flow_run_states/", params={"flow_run_id": str(flow_run_id)}, timeout=PATIENCE)
        answer.raise_for_status()
        return [state["name"] for state in sorted(answer.json(), key=lambda state: state["timestamp"])]

    def until(self, flow_run_id: UUID, *names: str) -> str:
        """Wait until a run is in one of these states."""
        return wait_for(lambda: (state := self.call("GET", f"/flow_runs/{flow_run_id}")["state"]["name"]) in names and state)


def wait_for(look: Callable[[], T]) -> T:
    """Look until there is something to see."""
    give_up_at = time.monotonic() + PATIENCE
    while time.monotonic() < give_up_at:
        if seen := look():
            return seen
        time.sleep(0.2)
    raise AssertionError(f"nothing after {PATIENCE} seconds")


@contextmanager
def process(arguments: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with those it starts, ended with the context."""
    with log.open("wb") as output:
        started = subprocess.Popen(arguments, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield started
        finally:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                if started.poll() is None:
                    os.killpg(started.pid, sign)
                    try:
                        started.wait(timeout=8)
                    except subprocess.TimeoutExpired:
                        continue
                break


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def running_fleet(workers: int = 1, store_url: str | None = None, **limits: int) -> Iterator[Fleet]:
    """A server, a pool, the deployments of prefect.yaml, and workers, over a sandbox with two merchants."""
    home = Path(tempfile.mkdtemp(prefix="backhaul-fleet-"))
    port = free_port()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        box = stack.enter_context(Sandbox(seed=11, merchants=MERCHANTS))
        config, database = home / "backhaul.toml", home / "store.db"
        text = config_toml(box, store_url=store_url or f"sqlite:///{database}")
        for name, value in limits.items():
            for before in ("webhook_secret", "callback_token"):
                text = text.replace(before, f"{name} = {value}\n{before}")
        config.write_text(text)
        env = {
            **os.environ,
            **config_env(box),
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "BACKHAUL_HOME": str(ROOT),
            "BACKHAUL_CONFIG": str(config),
        }
        server = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        stack.enter_context(process(server, env, home / "server.log"))
        fleet = Fleet(env["PREFECT_API_URL"], env, home, config, database, box)
        wait_for(lambda: _answers(fleet.api_url))
        fleet.prefect("work-pool", "create", "backhaul", "--type", "process")
        fleet.prefect("deploy", "--all")
        for number in range(workers):
            worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "backhaul", "--name", f"worker-{number}"]
            stack.enter_context(process(worker, env, home / f"worker-{number}.log"))
        yield fleet


def _answers(api_url: str) -> bool:
    try:
        return httpx.get(f"{api_url}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """One fleet for the tests of a file; each uses what the one before left."""
    with running_fleet() as started:
        for place, name in enumerate(MERCHANTS):
            scenarios.populate(started.box.world, name, returns=30, days=3, seed=place)
        yield started
