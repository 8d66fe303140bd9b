"""The one reader of URLs that people write: base URLs in the config, and where the vendors reach us.

It takes less than RFC 3986 does, so that no two programs can read the same URL differently: printable ASCII, `https://` or, for loopback,
`http://`, a host that is a name or an address in its usual form, a port where it is not the scheme's, a plain path. A name outside ASCII
is written in punycode (`xn--…`), as TLS sees it: two scripts may look the same.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated

from pydantic import AfterValidator

_URL = re.compile(
    r"(https?)://(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::([1-9][0-9]{0,4}))?((?:/[\w~!$&'()*+,;=:@%./-]{0,400})?)", re.ASCII
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MARKS = (
    ("@", "it holds no user or password; a secret is a reference of its own"),
    ("?", "it holds no query"),
    ("#", "it holds no fragment"),
    ("\\", "it holds no backslash"),
)


def base_url(value: str) -> str:
    """A base URL, without slashes at its end. Raises ValueError: one line that says what is wrong, without the value."""
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ValueError("not a URL: it has spaces, control characters or letters outside ASCII (a host's name is written as xn--…)")
    if not value.startswith(("https://", "http://")):
        raise ValueError("not a URL: it must start with https:// and name a host")
    authority, slash, path = value.partition("://")[2].partition("/")
    for mark, why in _MARKS:
        if mark in (authority if mark == "@" else value):
            raise ValueError(f"not a base URL: {why}")
    found = _URL.fullmatch(f"{value.partition('://')[0]}://{authority.lower()}{slash}{path}")
    has_empty_part = "//" in f"{slash}{path}".rstrip("/")
    if (
        found is None
        or has_empty_part
        or _ESCAPE.search(path)
        or {".", ".."} & {part.lower().replace("%2e", ".") for part in path.split("/")}
    ):
        raise ValueError("not a base URL: it is https://HOST[:PORT][/PATH], the path without empty parts, '.' and '..'")
    scheme, host, port, path = found.groups()
    path = path.rstrip("/")
    if not _is_host(host):
        raise ValueError("not a URL: its host is neither a name nor an address in its usual form")
    if port is not None and int(port) > 65535:
        raise ValueError("not a URL: a port is between 1 and 65535")
    if scheme == "http" and not is_loopback(host):
        raise ValueError("http:// is for loopback only; use https://")
    return f"{scheme}://{host}{f':{port}' if port else ''}{path}"


BaseUrl = Annotated[str, AfterValidator(base_url)]


def is_loopback(host: str) -> bool:
    """Whether a host stays on this machine: `localhost`, 127.0.0.0/8 or ::1. A name that only begins like an address does not."""
    if host.lower() == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _is_host(host: str) -> bool:
    if _address(host) is not None:
        return True
    labels = host.split(".")
    return not labels[-1].isdigit() and not labels[-1].startswith("0x") and all(_LABEL.fullmatch(label) for label in labels)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.removeprefix("[").removesuffix("]") if host.startswith("[") else host)
    except ValueError:
        return None
