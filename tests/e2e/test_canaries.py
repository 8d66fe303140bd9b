"""Canaries: keys and a customer are planted in everything that vendors say; after a run of everything they are found nowhere.

Vendors answer through a proxy that puts into every object of every answer and webhook what no job needs, and into every message words with
our keys and a customer in them; now and then it refuses with such words instead. Not looked for is a name that stands alone in a sentence.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backhaul.sandbox.core.faults import Fault
from tests.connectors.vendor_server import Answer, Request, Vendor
from tests.deployments.conftest import free_port, wait_for
from tests.e2e.conftest import Build
from tests.e2e.house import COMMAND, House

ROOT = Path(__file__).parents[2]
CUSTOMER = {
    "first_name": "Canarina",
    "last_name": "Inventedname",
    "email": "canary.shopper@example.org",
    "phone": "+15550198765",
    "address1": "4711 Canaryfinch Street",
    "zip": "98761-0475",
}
PLANTED = {
    "customer": CUSTOMER,
    "shipping_address": CUSTOMER,
    "customer_name": "Canarina Inventedname",
    **CUSTOMER,
    "buyer_comment": "Canarina was here",
}
TOLD = ("message", "error", "detail", "content", "reason_description", "comment", "notes")
EVERYTHING = """
import backhaul, sys
from flows.audit import audit
from flows.backfill import backfill
from flows.deliver import deliver
from flows.events import handle_events
from flows.notify import notify
from flows.reconcile import reconcile
from flows.retry import retry_quarantine
from flows.sync import sync
from backhaul.pipeline.session import utc_now
from datetime import timedelta
day = utc_now().date()
plain = (sync, handle_events, sync, deliver, audit, retry_quarantine, reconcile, sync)
for flow, more in (*((one, {}) for one in plain), (backfill, {"start": str(day - timedelta(days=2)), "end": str(day + timedelta(days=1))})):
    try:
        flow("acme", config=sys.argv[1], **more)
    except Exception as error:
        print("failed", flow.name, error)
notify(config=sys.argv[1])
print("everything was run")
"""


class Planter:
    """A proxy before the sandbox. `free` are the words that it puts into messages."""

    def __init__(self, house: House) -> None:
        self.house, self.vendor, self.asked = house, Vendor(), 0
        asked_for = house.file.read_text()
        keys = {name: value for name, value in house.env.items() if f"env:{name}" in asked_for}
        who = "customer_name: Canarina Inventedname, canary.shopper@example.org, phone +15550198765, 4711 Canaryfinch Street"
        self.free = f"{who}; {' '.join(keys.values())}"
        self.canaries = [*CUSTOMER.values(), *keys.values()]
        self.client = httpx.Client(timeout=300)
        self.vendor.respond = self.respond

    def planted(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.planted(one) for one in value]
        if not isinstance(value, dict):
            return value
        kept = {name: f"{one} {self.free}" if name in TOLD and isinstance(one, str) else self.planted(one) for name, one in value.items()}
        return {
            **{name: one for name, one in PLANTED.items() if name not in value},
            **kept,
            **{n: CUSTOMER[n] for n in CUSTOMER if n in value},
        }

    def respond(self, request: Request) -> Answer:
        self.asked += 1
        if self.asked % 9 == 5:
            status = (400, 409, 422, 500, 503, 200)[self.asked // 9 % 6]
            body = {"errors": [{"message": self.free, "code": self.free.split()[-1]}], "message": self.free}
            return Answer(f"<html>{self.free}</html>".encode() if status == 200 else json.dumps(body).encode(), status)
        path = request.path.removeprefix("/api")
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in ("host", "content-length", "accept-encoding")
        }
        answer = self.client.request(request.method, self.house.box.url + path, params=request.query, headers=headers, content=request.body)
        with contextlib.suppress(ValueError):
            return Answer(json.dumps(self.planted(answer.json())).encode(), answer.status_code, {"Content-Type": "application/json"})
        return Answer(answer.content, answer.status_code)

    def posted(self, url: str) -> Iterator[tuple[str, bytes, dict[str, str]]]:
        """The webhooks that the vendors wanted to post, planted and signed anew."""
        secret = self.house.env["ACME_LOOP_WEBHOOK_SECRET"].encode()
        for posting in list(self.house.world.courier.postings):
            body = json.dumps(self.planted(json.loads(posting.body))).encode()
            headers = {name: value for name, value in posting.headers.items() if name.lower() != "content-length"}
            if "/loop" in posting.url:
                headers["X-Loop-Signature"] = base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()
            yield url + httpx.URL(posting.url).path, body, headers


def _found(text: bytes, canaries: list[str]) -> set[str]:
    folded = text.lower()
    return {canary for canary in canaries if canary.lower().encode() in folded}


@pytest.fixture
def planter(build: Build) -> Iterator[Planter]:
    house = build(surface="recorded")
    made = Planter(house)
    text = house.file.read_text()
    assert house.box.url in text
    house.file.write_text(text.replace(house.box.url, made.vendor.url))
    yield made
    made.vendor.stop()


def _lived(house: House) -> None:
    house.world.courier.options.lose = 1.0  # nothing is posted by itself
    house.world.subscribe("acme", "http://receiver")
    ids = [house.shop("TEE-NVY-M", order_number=2000 + number, shopper=number) for number in range(12)]
    for fault in (
        Fault(target="loop.process", kind="503"),
        Fault(target="loop.flag", kind="malformed"),
        Fault(target="masonhub.*", kind="429", after=3),
    ):
        house.world.faults.add(fault)
    for number, return_id in enumerate(ids[:8]):
        house.world.loop("acme").need(return_id).extra["order_name"] = f"#{2000 + number}"
    for return_id in ids:
        with contextlib.suppress(Exception):  # a parcel without an RMA is not received, and need not be
            house.receive(return_id, "damaged" if int(return_id) % 3 == 0 else "all")


def test_keys_and_customers_in_everything_that_vendors_say_are_found_nowhere(planter: Planter, tmp_path: Path) -> None:
    house = planter.house
    _lived(house)
    home = tmp_path / "prefect"
    env = os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PYTHONPATH": str(ROOT),
    }
    said: dict[str, bytes] = {}

    port = free_port()
    with (tmp_path / "serve.log").open("wb") as log:
        serve = subprocess.Popen([COMMAND, "--config", house.file, "serve", "--port", str(port)], env=env, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda: _answers(url))
            statuses = [httpx.post(to, content=body, headers=headers, timeout=300).status_code for to, body, headers in planter.posted(url)]
            for bad in (f"{url}/webhooks/{CUSTOMER['email']}/loop", f"{url}/webhooks/acme/loop?phone={CUSTOMER['phone']}"):
                statuses.append(httpx.post(bad, json=PLANTED, headers={"X-Loop-Signature": CUSTOMER["email"]}, timeout=300).status_code)
            said["metrics"] = httpx.get(f"{url}/metrics", timeout=300).content
        finally:
            serve.send_signal(signal.SIGTERM)
            serve.wait(300)
    assert statuses.count(200) >= 12 and statuses[-2:] == [401, 401]

    first = house.process("sync")
    said |= {"sync stdout": first.stdout.encode(), "sync stderr": first.stderr.encode()}
    _lived(house)
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING, house.file], env=env, cwd=tmp_path, capture_output=True, timeout=400, check=False
    )
    assert b"everything was run" in done.stdout, done.stderr[-3000:]
    said |= {"stdout": done.stdout, "stderr": done.stderr}
    one = house.rows("SELECT return_id FROM returns LIMIT 1")[0]["return_id"]
    for words in (["exceptions", "list"], ["quarantine", "list"], ["runs"], ["show", one, "--json"], ["doctor"], ["deliver"]):
        shown = house.process(*words)
        said |= {f"{words[0]} stdout": shown.stdout.encode(), f"{words[0]} stderr": shown.stderr.encode()}
    house.store.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != house.file]
    said |= {str(path.relative_to(tmp_path)): path.read_bytes() for path in files}

    assert any(name.endswith("prefect.db") for name in said) and any(name.endswith("store.db") for name in said)
    assert planter.asked > 60
    found = {name: _found(text, planter.canaries) for name, text in said.items()}
    assert {name: canaries for name, canaries in found.items() if canaries} == {}


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2).is_success
    except httpx.HTTPError:
        return False
