"""Requests that no vendor would send: none is answered 5xx, let in, stored, or holds up others. Signed nonsense breaks no run.

A few of them here; `make fuzz` sends a hundred thousand, by chance's seed the same ones and more.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import random
import time
from collections import Counter

import httpx
from starlette.types import Message

from backhaul.receiver.app import make_app
from backhaul.receiver.service import make_service
from backhaul.sandbox.loop.hooks import php_json

from .conftest import MERCHANT, Desk

_SHARE = int(os.environ.get("FUZZ", "4000"))
_REQUESTS = _SHARE * 7 // 10
_SIGNED = max(200, _SHARE // 50)
_LONGEST = 1.0  # seconds of the event loop's own processor time for one request
_METHODS = ("POST",) * 12 + ("GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "\u00d6")
_NAMES = (MERCHANT, "nobody", "..", "%00", "a" * 3000, "acme/../acme", "\u2603", "", "ACME", "acme;", "-", "..%2f..%2fetc%2fpasswd")
_SOURCES = ("loop", "masonhub", "airhouse", "shopify", "", "loop/", "LOOP", "loop/x")
_KINDS = (b"application/json",) * 4 + (b"text/plain", b"", b"application/json;charset=\xff", b"application/vnd.x+json", b"a/b/c", b"\x00")
_PIECES = (
    *(b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"true", b"1e999", b"-", b"\\u0000", b"\\ud800"),
    *(b"\xff", b"\x00", b'"token":', b'"id":1', b"9" * 400),
)
_PROOF_HEADERS = (
    *(b"x-loop-signature", b"authorization", b"x-airhouse-signature"),
    *(b"content-length", b"content-encoding", b"transfer-encoding"),
)
_PROOFS = (b"", b"Bearer", b"Bearer ", b"t=1,v1=0", b"t=,v1=", b"t=9e99", b"gzip", b"-1", b"9" * 30)
_ELSEWHERE = ("/", "/metrics/x", "/webhooks", "//", "*")
_WORDS = ("topic", "trigger", "id", "return_id", "state", "line_items", "refunds", "outcomes_processed_at", "customer", "price", "details")


def _body(chance: random.Random) -> bytes:
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        return b"".join(chance.choices(_PIECES, k=chance.randrange(30)))
    if kind == 2:
        return chance.choice((b"[", b'{"a":', b'{"token":[')) * chance.randrange(3_000)
    return php_json(_value(chance, 3))


def _value(chance: random.Random, depth: int) -> object:
    kind = chance.randrange(9 if depth else 6)
    if kind >= 6:
        if chance.random() < 0.3:
            return [_value(chance, depth - 1) for _ in range(chance.randrange(4))]
        return {chance.choice(_WORDS): _value(chance, depth - 1) for _ in range(chance.randrange(6))}
    words = ("return", "return.created", "return.processing.failed", "label", "open", "\x00", "\u2603" * 80, "N/A", "78.00", "2026-13-45")
    return chance.choice((None, True, chance.randrange(-5, 10**12), chance.random() * 1e308, 10**30, chance.choice(words)))


def _request(chance: random.Random) -> tuple[str, bytes, list[tuple[bytes, bytes]], list[bytes]]:
    path = f"/webhooks/{chance.choice(_NAMES)}/{chance.choice(_SOURCES)}" if chance.random() < 0.8 else chance.choice(_ELSEWHERE)
    headers = [(b"content-type", chance.choice(_KINDS))]
    headers += [(name, chance.choice((*_PROOFS, chance.randbytes(8)))) for name in _PROOF_HEADERS if chance.random() < 0.3]
    body = _body(chance)
    cut = chance.randrange(len(body) + 1)
    return path, chance.choice(_METHODS).encode(), headers, [body[:cut], body[cut:]]


def test_strange_requests_are_refused_hold_nobody_up_and_leave_nothing(desk: Desk) -> None:
    service = make_service(desk.settings, desk.store, clock=desk.now)
    app, chance, statuses = make_app(service), random.Random(20), Counter[int]()
    longest = 0.0

    async def use(_: httpx.AsyncClient) -> None:
        nonlocal longest
        for _number in range(_REQUESTS):
            path, method, headers, chunks = _request(chance)
            is_cut_off = chance.random() < 0.02
            parts: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
            parts.append({"type": "http.disconnect"} if is_cut_off else {"type": "http.request", "body": b"", "more_body": False})

            async def receive(parts: list[Message] = parts) -> Message:
                return parts.pop(0) if parts else {"type": "http.disconnect"}

            async def send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    statuses[message["status"]] += 1

            scope = {"type": "http", "http_version": "1.1", "method": method.decode(), "scheme": "http", "path": path, "query_string": b""}
            scope |= {"raw_path": path.encode(), "root_path": "", "headers": headers, "server": ("receiver", 80), "client": ("vendor", 1)}
            began = time.thread_time()
            await app(scope, receive, send)
            longest = max(longest, time.thread_time() - began)

    desk.with_client(use)
    assert sum(statuses.values()) == _REQUESTS
    assert set(statuses) <= {400, 401, 404, 405, 413}
    assert statuses[401] > _REQUESTS // 10
    assert longest < _LONGEST
    assert desk.rows("SELECT count(*) AS n FROM events") == [{"n": 0}]


def test_nonsense_with_a_right_signature_is_kept_or_refused_and_never_breaks_a_run(desk: Desk) -> None:
    chance, secret = random.Random(21), desk.box.keys[MERCHANT].loop_webhook_secret.encode()
    token = desk.box.keys[MERCHANT].masonhub_callback_token

    async def use(client: httpx.AsyncClient) -> Counter[int]:
        statuses = Counter[int]()
        for number in range(_SIGNED):
            if number % 2:
                body = _body(chance)
                signed = base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()
                response = await client.post(
                    f"/webhooks/{MERCHANT}/loop", content=body, headers={"Content-Type": "application/json", "X-Loop-Signature": signed}
                )
            else:
                body = php_json({"message_type": "rmaEvent", "data": _value(chance, 3)})
                response = await client.post(
                    f"/webhooks/{MERCHANT}/masonhub", content=body, headers={"Content-Type": "application/json", "Authorization": token}
                )
            statuses[response.status_code] += 1
        return statuses

    statuses = desk.with_client(use)
    assert set(statuses) == {200, 400}
    desk.take_in()
    assert desk.rows("SELECT count(*) AS n FROM events WHERE handled_at IS NULL") == [{"n": 0}]
