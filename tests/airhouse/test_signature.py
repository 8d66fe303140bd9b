"""Airhouse's webhook signature."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from backhaul.connectors.airhouse.signature import verify
from backhaul.sandbox.airhouse.state import sign

SECRET, RAW, NOW = "not-a-real-secret", b'{"id": "evt_1"}', datetime(2026, 3, 9, 16, 20, 11, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
GOOD = hmac.new(SECRET.encode(), STAMP.encode() + b"." + RAW, hashlib.sha256).hexdigest()


def test_what_the_sandbox_signs_is_verified() -> None:
    assert sign(SECRET, NOW, RAW) == f"t={STAMP},v1={GOOD}"
    assert verify(SECRET.encode(), RAW, sign(SECRET, NOW, RAW), NOW)


@pytest.mark.parametrize(("minutes", "is_good"), [(-6, False), (-5, True), (5, True), (6, False)])
def test_a_signature_is_good_for_five_minutes_either_way(minutes: int, is_good: bool) -> None:
    assert verify(SECRET.encode(), RAW, sign(SECRET, NOW, RAW), NOW + timedelta(minutes=minutes)) is is_good


def test_another_body_secret_or_time_is_refused() -> None:
    header = sign(SECRET, NOW, RAW)
    assert not verify(SECRET.encode(), RAW + b" ", header, NOW)
    assert not verify(b"another", RAW, header, NOW)
    assert not verify(SECRET.encode(), RAW, header.replace(f"t={STAMP}", f"t={int(STAMP) + 1}"), NOW)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "v1=",
        f"t={STAMP}",
        f"v1={GOOD}",
        f"t=,v1={GOOD}",
        f"t=now,v1={GOOD}",
        f"t={STAMP},t={STAMP},v1={GOOD}",
        GOOD,
        "t=\N{SUPERSCRIPT TWO},v1=é",
    ],
)
def test_a_header_that_is_not_one_is_refused(header: str | None) -> None:
    assert not verify(SECRET.encode(), RAW, header, NOW)


def test_an_empty_secret_verifies_nothing() -> None:
    assert not verify(b"", RAW, sign("", NOW, RAW), NOW)


def test_one_of_several_signatures_is_enough_so_that_a_secret_can_change() -> None:
    assert verify(SECRET.encode(), RAW, f"t={STAMP}, v1={'0' * 64}, v1={GOOD}", NOW)
