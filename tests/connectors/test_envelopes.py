"""Refusals in the form of problem details (RFC 9457), as ShipBob writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backhaul.connectors.envelopes import complaint


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"title": "Not found", "status": 404}, "Not found"),
        ({"title": "Validation failed.", "errors": {"": ["the reference is taken"], "inventory": ["no such item"]}}, "taken; no such item"),
        ({"": ["the body is empty"], "title": "Bad request"}, "Bad request"),
    ],
)
def test_problem_details_are_read(body: dict[str, Any], said: str) -> None:
    found = complaint(json.dumps(body).encode())
    assert found is not None and (found.message or "").endswith(said)


def test_a_message_beside_its_fields_still_comes_first() -> None:
    found = complaint(b'{"message": "The given data was invalid.", "errors": {"sku": ["bad"]}}')
    assert found is not None and found.message == "The given data was invalid. (sku)"
