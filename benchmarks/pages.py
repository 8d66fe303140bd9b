"""Loop's pages, served by the sandbox in a process of its own, so that no contestant pays for making them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backhaul.sandbox import scenarios
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env
from benchmarks.job import Job

MERCHANT = "acme"
A_DAY = 2_740  # returns; a million a year


@dataclass(frozen=True, slots=True)
class Pages:
    """Where `count` returns are listed, and the settings to read them. `start` and `end` are whole seconds around all of them."""

    count: int
    url: str
    base_url: str
    env: dict[str, str]
    start: datetime
    end: datetime

    def config(self, store: str) -> str:
        """A backhaul.toml of a merchant whose warehouse's results come by file, so that Loop alone is read."""
        return (
            f'[store]\nurl = "{store}"\n\n[merchants.{MERCHANT}]\nwarehouse = "airhouse"\n\n'
            f'[merchants.{MERCHANT}.loop]\nbase_url = "{self.base_url}"\napi_key = "env:ACME_LOOP_API_KEY"\n'
            "requests_per_minute = 100000\n\n"  # Loop's own limit would be all that is measured
            f'[merchants.{MERCHANT}.policy]\nannounce = "off"\n\n'
            f'[merchants.{MERCHANT}.airhouse]\nbase_url = "http://127.0.0.1:9"\napi_key = "env:ACME_AIRHOUSE_API_KEY"\n'
        )

    def job(self, store: str, folder: str) -> Job:
        """A contestant's job on these pages."""
        url, key = f"{self.base_url}/warehouse/return/list", self.env["ACME_LOOP_API_KEY"]
        return Job(url, key, _written(self.start), _written(self.end), store, self.config(store), self.env, folder=folder)


@contextmanager
def serving(count: int, ended_before: timedelta = timedelta()) -> Iterator[Pages]:
    """Serve `count` returns at `A_DAY` a day, the newest of them `ended_before` ago."""
    command = [sys.executable, "-m", "benchmarks.pages", str(count), str(ended_before.total_seconds())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            end = datetime.now(UTC).replace(microsecond=0)
            start = end - ended_before - _span(count) - timedelta(hours=1)
            yield Pages(count, told["url"], told["base_url"], told["env"], start, end)
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            process.wait(timeout=30)


def _span(count: int) -> timedelta:
    return timedelta(days=max(count / A_DAY, 0.5))


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _serve(count: int, ended_before: float) -> None:
    """Serve until standard input ends."""
    aside = timedelta(seconds=ended_before)
    with Sandbox(seed=7, merchants=(MERCHANT,), start=datetime.now(UTC) - aside) as box:
        scenarios.bulk(box.world, MERCHANT, count, days=_span(count) / timedelta(days=1))
        box.advance(aside)
        print(json.dumps({"url": box.url, "base_url": box.loop_url(MERCHANT), "env": config_env(box)}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]))
