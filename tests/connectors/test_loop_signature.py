"""Loop's webhook signature over the raw bytes."""

from __future__ import annotations

import json

import pytest

from backhaul.connectors.loop.signature import verify
from tests.connectors.vendor_server import PAYLOADS

VECTOR = json.loads((PAYLOADS / "loop" / "webhook-signature-vector.json").read_bytes())
SECRET = VECTOR["secret"].encode()
RAW = VECTOR["raw_body"].encode()
SIGNATURE = VECTOR["X-Loop-Signature"]


def test_the_worked_example_verifies():
    assert verify(SECRET, RAW, SIGNATURE)


def test_the_same_json_written_otherwise_does_not_verify():
    assert not verify(SECRET, json.dumps(json.loads(RAW)).encode(), SIGNATURE)


@pytest.mark.parametrize("header", [None, "", "nonsense", SIGNATURE[:-1], SIGNATURE.lower(), "sn\u00f6", f"sha256={SIGNATURE}"])
def test_any_other_header_does_not_verify(header):
    assert not verify(SECRET, RAW, header)


def test_an_empty_or_wrong_secret_verifies_nothing():
    assert not verify(b"wrong", RAW, SIGNATURE)
    assert not verify(b"", RAW, SIGNATURE)
