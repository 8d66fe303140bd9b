"""The simulated vendors of a whole fleet in a process of their own: so that no merchant's run pays for its vendor's work."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from backhaul.sandbox.core.faults import Fault
from backhaul.sandbox.loop.hooks import payload, php_json, signature
from backhaul.sandbox.loop.state import Return
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env, config_toml

STORE = "sqlite:///STORE"  # in the config, where a measurement puts its own


@dataclass(frozen=True, slots=True)
class Vendors:
    """Where they answer: the config with `STORE` for the store's URL, its environment, and a line to tell them something by."""

    config: str
    env: dict[str, str]
    merchants: tuple[str, ...]
    _process: subprocess.Popen[str]

    def ask(self, **what: Any) -> Any:
        """Have something happen there: see `_obey`."""
        print(json.dumps(what), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())  # type: ignore[union-attr]


@contextmanager
def serving(count: int, latency: float) -> Iterator[Vendors]:
    """Serve `count` merchants, `latency` seconds an answer."""
    command = [sys.executable, "-m", "benchmarks.vendors", str(count), str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            yield Vendors(told["config"], told["env"], tuple(told["merchants"]), process)
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            process.wait(timeout=60)


def _obey(box: Sandbox, what: dict[str, Any]) -> Any:
    world, names = box.world, what.get("merchants") or list(box.world.merchants)
    if "shop" in what:  # so many new returns for each merchant, told by webhook or not
        is_silent = what.get("is_silent", True)
        for name in names:
            for _ in range(what["shop"]):
                world.create_return(name, ("TEE-NVY-M",), is_silent=is_silent)
    if "hang" in what:  # every answer of these merchants' vendors takes so many seconds more
        for name in names:
            world.faults.add(Fault(target="*", kind="slow", times=None, seconds=what["hang"], merchant=name))
    if "tell" in what:  # webhooks as Loop would post them, in this order of merchants
        return _told(box, what["tell"], what["a_new_one_in"])
    if "announced" in what:  # when each return had its RMA, in seconds since 1970
        calls = [call for call in world.journal.writes("masonhub.create") if call.status == 200]
        return {str(draft["customer_identifier"]): call.at.timestamp() for call in calls for draft in call.body}
    return None


def _told(box: Sandbox, names: list[str], a_new_one_in: int) -> list[tuple[str, str, str, str | None]]:
    """Merchant, signature, body, and the return where it is new: one in so many of a merchant's is, the others change one of those."""
    rng, told, made = random.Random(1), [], dict[str, list[Return]]()
    for number, (name, place) in enumerate(_counted(names)):
        account, known = box.world.loop(name), made.setdefault(name, [])
        new: str | None = None
        if place % a_new_one_in == 0:
            known.append(box.world.create_return(name, order_number=10_000 + number, is_silent=True))
            body, new = payload(account, "return", "return.created", known[-1], {}), str(known[-1].id)
        else:
            body = payload(account, "label", "label.updated", rng.choice(known), {}) | {"shipment_id": str(number)}
        raw = php_json(body)
        told.append((name, signature(box.keys[name].loop_webhook_secret, raw), raw.decode(), new))
    return told


def _counted(names: list[str]) -> Iterator[tuple[str, int]]:
    """Each name with how often it came before."""
    seen: Counter[str] = Counter()
    for name in names:
        yield name, seen[name]
        seen[name] += 1


def _serve(count: int, latency: float) -> None:
    names = tuple(f"m{number:03}" for number in range(1, count + 1))
    with Sandbox(seed=7, merchants=names) as box:
        box.world.latency = latency
        text = config_toml(box, store_url=STORE)
        print(json.dumps({"config": text, "env": config_env(box), "merchants": names}), flush=True)
        for line in sys.stdin:
            print(json.dumps(_obey(box, json.loads(line))), flush=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]))
