"""One reading of every URL, and one only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backhaul import config
from backhaul.errors import ConfigError
from backhaul.urls import base_url, is_loopback

TAKEN = {
    "https://api.loopreturns.com/api/2026-07": "https://api.loopreturns.com/api/2026-07",
    "https://api.example.com/": "https://api.example.com",
    "https://api.example.com/v1///": "https://api.example.com/v1",
    "https://API.Example.com:8443/Path~a/%20b": "https://api.example.com:8443/Path~a/%20b",
    "https://xn--bcher-kva.example": "https://xn--bcher-kva.example",
    "https://10.0.0.1/v": "https://10.0.0.1/v",
    "https://[2001:db8::1]:8443/v": "https://[2001:db8::1]:8443/v",
    "http://127.0.0.1:8899/loop": "http://127.0.0.1:8899/loop",
    "http://127.255.255.254": "http://127.255.255.254",
    "http://[::1]:8899": "http://[::1]:8899",
    "http://LOCALHOST:1": "http://localhost:1",
}
REFUSED = {
    "http://127.evil.example": "loopback",
    "http://127.0.0.1.evil.example": "loopback",
    "http://localhost.evil.example": "loopback",
    "http://[::1].evil.example": "https://HOST",
    "http://api.example.com": "loopback",
    "http://0.0.0.0": "loopback",
    "http://[::ffff:10.0.0.1]": "loopback",
    "http://127.1": "host",
    "http://2130706433": "host",
    "http://0x7f.1": "host",
    "http://0x7f000001": "host",
    "http://127.0.0.01": "host",
    "http://127.0.0.1@evil.example": "password",
    "https://user:secret@api.example.com": "password",
    "https://user@api.example.com": "password",
    "https://api.example.com\\@evil.example": "password",
    "https://api.example.com\\evil": "backslash",
    "https://api.example.com?x=1": "query",
    "https://api.example.com/?": "query",
    "https://api.example.com/v#top": "fragment",
    "https://api.example.com/v\r\nX-Evil: 1": "control",
    "https://api.example.com/v\n": "control",
    "\thttps://api.example.com": "control",
    " https://api.example.com": "spaces",
    "https://api.example.com/a b": "spaces",
    "https://api.exa\u0440mple.com": "xn--",
    "https://b\u00fccher.example": "xn--",
    "https://api\u3002example.com": "xn--",
    "https://api.example.com\u200b": "xn--",
    "https://": "https://HOST",
    "https:///v": "https://HOST",
    "https://api.example.com:": "https://HOST",
    "https://api.example.com:0": "https://HOST",
    "https://api.example.com:080": "https://HOST",
    "https://api.example.com:65536": "port",
    "https://api.example.com:99999": "port",
    "https://api.example.com:port": "https://HOST",
    "https://api.example.com:+443": "https://HOST",
    "https://api..example.com": "host",
    "https://.example.com": "host",
    "https://example.com.": "host",
    "https://-a.example.com": "host",
    "https://a_b.example.com": "https://HOST",
    "https://[::1": "https://HOST",
    "https://[not-an-address]": "https://HOST",
    "https://[::zz]": "https://HOST",
    "https://[fe80::1%25eth0]": "https://HOST",
    "https://api.example.com/../admin": "'..'",
    "https://api.example.com/v/%2E%2e": "'..'",
    "https://api.example.com/a//b": "empty parts",
    "https://api.example.com/%zz": "https://HOST",
    'https://api.example.com/"': "https://HOST",
    "HTTPS://api.example.com": "https://",
    "ftp://api.example.com": "https://",
    "//api.example.com": "https://",
    "api.example.com": "https://",
    "": "https://",
}


@pytest.mark.parametrize("value", TAKEN)
def test_a_plain_url_is_taken_and_written_one_way(value: str) -> None:
    assert base_url(value) == TAKEN[value]
    assert base_url(TAKEN[value]) == TAKEN[value]


@pytest.mark.parametrize("value", REFUSED)
def test_a_url_that_could_be_read_in_two_ways_is_refused_in_one_line(value: str) -> None:
    with pytest.raises(ValueError, match=re.escape(REFUSED[value])) as refusal:
        base_url(value)
    told = str(refusal.value)
    assert "\n" not in told and "secret" not in told.replace("a secret is a reference", "") and "evil" not in told


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.8.9.10", "::1", "[::1]"])
def test_loopback_is_an_address_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["127.evil.example", "127.", "127.0.0.1.", "localhost.", "0.0.0.0", "::", "10.0.0.1", "", "127.1", "127.0.0.1\n", "xlocalhost"]
)
def test_what_only_looks_like_loopback_is_not(host: str) -> None:
    assert not is_loopback(host)


def test_the_config_names_the_place_of_a_bad_url_and_not_the_url(tmp_path: Path) -> None:
    file = tmp_path / "backhaul.toml"
    file.write_text(
        '[merchants.acme]\nwarehouse = "masonhub"\n'
        '[merchants.acme.loop]\nbase_url = "http://127.evil.example"\napi_key = "env:A"\n'
        '[merchants.acme.masonhub]\nbase_url = "https://app.example.com/x"\ntoken = "env:B"\n'
    )
    with pytest.raises(ConfigError, match=r"merchants\.acme\.loop\.base_url: http:// is for loopback only"):
        config.load(file)
