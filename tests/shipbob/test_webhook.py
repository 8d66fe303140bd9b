"""ShipBob's webhooks: the published signature, and signals that say what to read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backhaul.connectors.shipbob.client import ShipBob
from backhaul.connectors.shipbob.webhook import proves, read
from backhaul.errors import StructuralError
from backhaul.receiver import readings
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.shipbob.hooks import secret_of
from backhaul.sandbox.shipbob.state import ShipBobAccount
from tests.sandbox.receiver import Receiver
from tests.shipbob.conftest import KEY, draft, payload

VECTOR = payload("webhook_return_completed")
SECRET, RAW = VECTOR["secret"].encode(), VECTOR["raw_body"].encode()
HEADERS = {name.lower(): value for name, value in VECTOR["headers"].items()}
AT = datetime.fromtimestamp(int(HEADERS["webhook-timestamp"]), UTC)


def signed(raw: bytes, key: bytes = base64.b64decode(SECRET[6:]), **changes: str) -> dict[str, str]:
    headers = HEADERS | changes
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
    return headers | {"webhook-signature": "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()}


def test_the_worked_example_is_proven() -> None:
    assert proves(SECRET, HEADERS, RAW, AT)
    assert signed(RAW)["webhook-signature"] == HEADERS["webhook-signature"]


def test_one_of_several_signatures_is_enough() -> None:
    both = f"v1,{base64.b64encode(b'another').decode()} {HEADERS['webhook-signature']} v1a,x"
    assert proves(SECRET, HEADERS | {"webhook-signature": both}, RAW, AT)


@pytest.mark.parametrize("minutes", [-5, 5])
def test_five_minutes_are_let_pass(minutes: int) -> None:
    assert proves(SECRET, HEADERS, RAW, AT + timedelta(minutes=minutes))
    assert not proves(SECRET, HEADERS, RAW, AT + timedelta(minutes=minutes, seconds=minutes))


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": ""},
        {"webhook-signature": HEADERS["webhook-signature"].removeprefix("v1,")},
        {"webhook-signature": HEADERS["webhook-signature"].replace("v1,", "v2,")},
        {"webhook-signature": HEADERS["webhook-signature"][:-1]},
        {"webhook-signature": "v1,\udcff"},
        {"webhook-signature": "x " * 600 + HEADERS["webhook-signature"]},
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": str(int(HEADERS["webhook-timestamp"]) + 1)},
        {"webhook-timestamp": HEADERS["webhook-timestamp"].translate({48 + digit: 0xFF10 + digit for digit in range(10)})},
        {"webhook-timestamp": "9" * 4_000},
    ],
)
def test_anything_else_in_the_headers_is_refused(changes: dict[str, str]) -> None:
    assert not proves(SECRET, HEADERS | changes, RAW, AT)


def test_an_id_that_is_absent_is_refused_though_it_were_signed() -> None:
    assert not proves(SECRET, signed(RAW, **{"webhook-id": ""}), RAW, AT)


@pytest.mark.parametrize("secret", [b"", b"whsec_", b"whsec_not base64", b"whsec_" + b"B" * 32])
def test_another_secret_or_none_proves_nothing(secret: bytes) -> None:
    assert not proves(secret, HEADERS, RAW, AT)
    assert not proves(secret, signed(RAW, b""), RAW, AT) and not proves(secret, signed(RAW, b"\0" * 24), RAW, AT)


def test_a_body_with_another_byte_is_refused() -> None:
    assert not proves(SECRET, HEADERS, RAW + b" ", AT) and not proves(SECRET, HEADERS, json.dumps(json.loads(RAW)).encode(), AT)


def test_a_signal_names_the_return_and_its_topic_and_nobody() -> None:
    [signal] = read(HEADERS, RAW)
    assert signal.message_id == HEADERS["webhook-id"]
    assert (signal.topic, signal.record_key) == ("return.completed", KEY)
    assert "Invented" not in signal.body and "customer_name" not in signal.body and json.loads(signal.body)["id"] == 3_300_001


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"id": 3_300_001}, "dc:3300001"),
        ({"data": {"id": 3_300_001, "reference_id": KEY}}, KEY),
        ({"reference_id": KEY}, KEY),
        ({"reference_id": KEY, "return_type": "RTS", "id": 7}, "dc:7"),
        ({"reference_id": "#1001"}, None),
        ({"shipment": 1}, None),
        ({"id": [3_300_001], "reference_id": {"x": 1}}, None),
    ],
)
def test_that_a_body_is_the_bare_record_is_assumed_so_any_handle_will_do(body: dict[str, Any], key: str | None) -> None:
    [signal] = read({}, json.dumps(body).encode())
    assert (signal.topic, signal.record_key) == ("unknown", key)


@pytest.mark.parametrize("raw", [b"", b"[]", b"7", b"<html>", b"[" * 100_000])
def test_a_body_that_is_no_object_is_structural(raw: bytes) -> None:
    with pytest.raises(StructuralError):
        readings.read("shipbob", raw, HEADERS)


@pytest.mark.parametrize("kind", ["full", "short", "id", "wrapped"])
def test_what_is_posted_is_proven_and_read_back_to_the_same_return(
    box: Sandbox, account: ShipBobAccount, shipbob: ShipBob, kind: str
) -> None:
    account.options.hook_body = kind
    secret = secret_of(box.world.seed, "acme")
    receiver = Receiver()
    account.register(f"{receiver.url}/webhooks/acme/shipbob", ["return.created", "return.updated", "return.completed"], secret)
    shipbob.create([draft()])
    account.receive(KEY)
    assert box.drain()
    receiver.server.shutdown()
    receiver.server.server_close()
    topics = [headers["x-webhook-topic"] for _, headers, _ in receiver.got]
    assert sorted(topics) == ["return.completed", "return.created", "return.updated", "return.updated"]
    for _, headers, body in receiver.got:
        assert proves(secret.encode(), headers, body, box.world.now)
        key = read(headers, body)[0].record_key
        assert key is not None and list(shipbob.find([key]).receipts["rma_key"]) == [KEY]
