"""The one door for vendors' words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul import config
from backhaul.connectors import text
from backhaul.connectors.envelopes import complaint
from backhaul.connectors.text import GONE, WORDS_LIMIT, kept, mended, plain, words


@pytest.fixture
def secret() -> Iterator[str]:
    """A key that is shielded for one test."""
    text.shield(["s3cret/key-of-acme"])
    yield "s3cret/key-of-acme"
    text._secrets.discard("s3cret/key-of-acme")


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b'["a\\u0000b"]', [f"a{GONE}b"]),
        (b'["a\\ud800b"]', [f"a{GONE}b"]),
        (b'["a\\uDC00b"]', [f"a{GONE}b"]),
        (b'["\\ud83d\\ud83d\\ude00"]', [f"{GONE}\N{GRINNING FACE}"]),
        (b'["\\ud83d\\ude00"]', ["\N{GRINNING FACE}"]),
        (b'["\\\\u0000 \\\\ud800"]', ["\\u0000 \\ud800"]),
        (b'["a\x00b\nc\td"]', ["a b c d"]),
        (b'["a\xed\xa0\x80\xffb"]', [f"a{GONE * 4}b"]),
        (b'[{"x":' + b"[" * 5000 + b'"]"' + b"]" * 5000 + b',"id":1},{"id":2}]', None),
    ],
)
def test_a_body_is_mended_so_that_one_bad_text_fails_nothing_else(body: bytes, read: list[str] | None) -> None:
    found = msgspec.json.decode(mended(body))
    assert found == read if read is not None else [one["id"] for one in found] == [1, 2]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_as_it_was_but_for_what_stands_for_no_character(value: object) -> None:
    def cleaned(one: object) -> object:
        if isinstance(one, str):
            return one.replace("\x00", GONE)
        if isinstance(one, dict):
            return {cleaned(key): cleaned(item) for key, item in one.items()}
        return [cleaned(item) for item in one] if isinstance(one, list) else one

    assert msgspec.json.decode(mended(json.dumps(value).encode())) == cleaned(value)


@given(st.binary())
def test_any_bytes_come_out_of_the_door(body: bytes) -> None:
    mended(body).decode()


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"", b'["cut', b'["\\u00', b'["\\', b"]]]"])
def test_what_is_no_json_stays_none(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(mended(body))


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Return is closed and therefore cannot be processed.", "Return is closed and therefore cannot be processed."),
        ("303: 'return' could not be found", "303: 'return' could not be found"),
        ("No stock of TEE-NVY-M since 2026-05-27, 12.50 USD", "No stock of TEE-NVY-M since 2026-05-27, 12.50 USD"),
        ("Write to <sam.shopper@example.com>!", "Write to [e-mail]"),
        ("call +1 (555) 000-0000 now", "call [number] now"),
        ("zip 43215", "zip [number]"),
        ("phone +15550001111, 1 Example Street; refused", "phone [number] [address] refused"),
        ("Ship to 1 Example Street, Columbus", "Ship to [address] Columbus"),
        ("An Musterstra\N{LATIN SMALL LETTER SHARP S}e 12 in Berlin", "An [address] in Berlin"),
        ("name: Sam Shopper, refused", "[personal] refused"),
        ('{"phone": "0049 30 1234", "why": "x"}', '[personal] "why": "x"}'),
        ("\x1b[31mred\x1b[0m\r\nnext", "[31mred [0m next"),
    ],
)
def test_what_a_vendor_says_keeps_its_sense_and_loses_what_is_personal(said: str, left: str) -> None:
    assert words(said) == left


def test_what_a_vendor_says_is_cut_before_anything_is_looked_for_in_it() -> None:
    assert len(words("word " * 1_000_000)) <= WORDS_LIMIT
    assert len(words("word " * 1_000_000, limit=1_000_000)) <= text._LOOKED_AT
    assert words("x" * 10_000_000 + "@example.com") == ""  # half of an address could be a whole name


def test_no_secret_comes_through_however_it_is_spelled(secret: str) -> None:
    slashed, escaped = secret.replace("/", "\\/"), secret.replace("-", "\\u002d")
    for form in (secret, slashed, escaped):
        body = mended(f'{{"errors":{{"message":"no {form} here","code":"{form}"}}}}'.encode(), [secret])
        found = complaint(body)
        assert found is not None and (found.message, found.code) == ("no [secret] here", "[secret]")
    for cut in range(text._LOOKED_AT - len(secret), text._LOOKED_AT):
        assert "s3cret" not in words("x " * (cut // 2) + secret + " tail", limit=10_000)


def test_a_vendor_that_says_a_key_which_no_run_has_used_yet_does_not_get_it_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_secrets", set())
    monkeypatch.setenv("INVENTED_WEBHOOK_SECRET", "an-invented-secret-of-a-test")
    file = tmp_path / "backhaul.toml"
    file.write_text(
        '[merchants.acme]\nwarehouse = "masonhub"\n'
        '[merchants.acme.loop]\nbase_url = "https://loop.example.com"\napi_key = "env:INVENTED_KEY"\n'
        'webhook_secret = ["env:NOT_SET", "env:INVENTED_WEBHOOK_SECRET"]\n'
        '[merchants.acme.masonhub]\nbase_url = "https://app.example.com/x"\ntoken = "env:INVENTED_TOKEN"\n'
    )
    config.load(file)
    assert words("signed with an-invented-secret-of-a-test") == "signed with [secret]"


def test_of_a_record_that_cannot_be_read_no_text_is_kept_that_a_person_may_have_written(secret: str) -> None:
    record = {"id": "37600001", "title": "for Sam, +15550001111", "order_name": "sam@example.com", "sku": secret, "zip": "43215"}
    wanted, free = frozenset({"id", "title", "order_name", "sku"}), frozenset({"title"})
    left = kept(json.dumps(record).encode(), wanted, frozenset(), free)
    assert left == {"id": "37600001", "title": "for Sam, [number]", "order_name": "[e-mail]", "sku": "[secret]"}


@given(st.text())
def test_a_text_of_a_record_is_printable_and_bounded(one: str) -> None:
    assert plain(one).isprintable() and len(plain(one)) <= text.PLAIN_LIMIT
    assert words(one).isprintable() and len(words(one)) <= WORDS_LIMIT


@pytest.mark.parametrize(
    "written", ['"k+y/of=acme99"', r'"k+y\/of=acme99"', r'"k\u002By\/of\u003dacme99"', r'"\u006b\u002b\u0079/of=acme99"']
)
def test_a_key_of_ours_is_taken_out_of_a_body_however_its_letters_are_escaped(written: str) -> None:
    body = f'{{"order_name":{written},"note":"a \\\\u002B and \\u0022 stay"}}'.encode()
    assert json.loads(text.mended(body, ("k+y/of=acme99",))) == {"order_name": "[secret]", "note": 'a \\u002B and " stay'}
