"""Bodies and config files that nobody would write: every parser takes them or refuses them in its own words, in linear time.

Half are made of nothing, half are documented payloads and a real config with something changed. `make fuzz` tries a hundred thousand.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from backhaul import config
from backhaul.connectors.envelopes import complaint
from backhaul.connectors.loop.normalise import normalise
from backhaul.connectors.registry import VENDORS, WAREHOUSES
from backhaul.connectors.text import mended, words
from backhaul.errors import ConfigError, StructuralError
from backhaul.receiver.readings import read

PAYLOADS = sorted((Path(__file__).parents[1] / "connectors" / "payloads").rglob("*.json"))
_SHARE = int(os.environ.get("FUZZ", "4000"))
_BODIES = _SHARE * 2 // 10
_CONFIGS = _SHARE // 10
_LONGEST = 1.0  # seconds of processor time for one body
_ODD: tuple[Any, ...] = (
    None,
    True,
    "",
    "\x00",
    "\ud800",
    "\u202e",
    "9" * 400,
    -1,
    10**30,
    1e308,
    [],
    {},
    [[]],
    "2026-13-45",
    "N/A",
    "1e999",
)
CONFIG = """
[store]
url = "sqlite:///backhaul.db"
[retention]
events_days = 30
[notify]
urls = ["env:URL"]
[merchants.acme]
warehouse = "masonhub"
mode = "live"
[merchants.acme.loop]
base_url = "https://api.example.com/v1"
api_key = "env:KEY"
webhook_secret = ["env:A", "env:B"]
[merchants.acme.masonhub]
base_url = "https://warehouse.example.com"
token = "env:TOKEN"
[merchants.acme.policy]
pending_hold_days = 5
[merchants.acme.reasons]
"Too small" = "tooSmall"
"""
_PIECES = (
    "[",
    "]",
    "=",
    '"',
    "'",
    "\n",
    ".",
    "merchants",
    "url",
    "env:",
    "block:",
    "http://127.evil.example",
    "-1",
    "1e9",
    "\x00",
    "\u202e",
    "{",
    "#",
)


def _mutated(chance: random.Random, value: Any) -> Any:
    """The value with, on average, one thing of it changed."""
    if isinstance(value, dict):
        return {(key if chance.random() > 0.01 else chance.choice(("id", "", "\x00"))): _mutated(chance, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_mutated(chance, one) for one in value] * chance.choice((1, 1, 1, 1, 2, 0))
    return chance.choice(_ODD) if chance.random() < 0.05 else value


def _body(chance: random.Random, known: list[Any]) -> bytes:
    if chance.random() < 0.3:
        return chance.randbytes(chance.randrange(300))
    body = json.dumps(_mutated(chance, chance.choice(known))).encode()
    if chance.random() < 0.3:
        place = chance.randrange(len(body) + 1)
        body = body[:place] + chance.randbytes(chance.randrange(4)) + body[place + chance.randrange(4) :]
    return body


def test_no_body_breaks_a_parser_or_takes_it_long() -> None:
    known = [json.loads(file.read_bytes()) for file in PAYLOADS]
    known += [one for value in known if isinstance(value, list) for one in value[:3]]
    assert len(known) > 10
    chance, longest, taken, said = random.Random(31), 0.0, 0, set[str]()
    for _ in range(_BODIES):
        body = _body(chance, known)
        began = time.thread_time()
        for source in VENDORS:
            try:
                taken += len(read(source, body))
            except StructuralError as refused:
                said.add(str(refused))
        for origin in ("list", "details", "webhook"):
            batch = normalise([mended(body)], origin)
            taken += len(batch.returns)
        for vendor in WAREHOUSES.values():
            vendor.normalise([mended(body)])
        complaint(body)
        words(body.decode("utf-8", "replace"))
        longest = max(longest, time.thread_time() - began)
    assert taken > _BODIES and said
    assert not [told for told in said if "\n" in told]
    assert longest < _LONGEST


def test_no_config_is_refused_but_in_one_line(tmp_path: Path) -> None:
    file, chance, refused = tmp_path / "backhaul.toml", random.Random(32), list[str]()
    file.write_text(CONFIG)
    assert config.load(file).merchants
    for _ in range(_CONFIGS):
        lines = CONFIG.split("\n")
        for _change in range(chance.randrange(1, 4)):
            line = chance.randrange(len(lines))
            at = chance.randrange(len(lines[line]) + 1)
            lines[line] = lines[line][:at] + chance.choice((*_PIECES, "")) + lines[line][at + chance.randrange(6) :]
        file.write_text("\n".join(lines), encoding="utf-8", errors="replace")
        try:
            config.load(file)
        except ConfigError as error:
            refused.append(str(error))
    assert len(refused) > _CONFIGS // 4
    assert not [told for told in refused if "\n" in told]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"[" * 100_000, b"a = " + b"[" * 50_000, b"\x00" * 1000])
def test_a_file_that_is_no_config_is_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "backhaul.toml"
    file.write_bytes(content)
    if content:
        with pytest.raises(ConfigError):
            config.load(file)
    else:
        assert config.load(file).merchants == {}
