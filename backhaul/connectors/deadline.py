"""Deadlines by the wall clock: whatever a vendor does, a call ends.

httpx's own time-outs are for each wait on the network, so that a vendor who sends a byte now and then is waited for without end. Here each
wait is cut to what is left of the whole.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from threading import Event
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

_WRITTEN_AT_ONCE = 16_384  # bytes; a vendor that takes them slowly is noticed between two pieces
_ENDS_AT: ContextVar[float] = ContextVar("ends_at", default=float("inf"))
_CALLED_OFF: ContextVar[Event | None] = ContextVar("called_off", default=None)


@contextmanager
def within(seconds: float, *, called_off: Event | None = None) -> Iterator[None]:
    """All calls made inside, with their waits and repeats, end within so many seconds. An outer deadline that is nearer stays.

    Once `called_off` is set, no further call or wait for one begins.
    """
    token = _ENDS_AT.set(min(_ENDS_AT.get(), time.monotonic() + seconds))
    stop = _CALLED_OFF.set(called_off or _CALLED_OFF.get())
    try:
        yield
    finally:
        _CALLED_OFF.reset(stop)
        _ENDS_AT.reset(token)


def left() -> float:
    """The seconds that are left; infinite outside `within`."""
    called_off = _CALLED_OFF.get()
    if called_off is not None and called_off.is_set():
        return 0.0
    return _ENDS_AT.get() - time.monotonic()


class Transport(httpx.HTTPTransport):
    """httpx's transport to one host, directly or through the environment's proxy, with every wait cut to what is left."""

    def __init__(self, scheme: str, host: str, *, is_loopback: bool) -> None:
        has_proxy = not is_loopback and not proxy_bypass(host)
        proxies = getproxies() if has_proxy else {}
        super().__init__(verify=_tls(), retries=0, proxy=proxies.get(scheme) or proxies.get("all"))
        # httpcore's pools take a `network_backend`; httpx has no argument that would hand one on.
        self._pool._network_backend = _Network(self._pool._network_backend)


@cache
def _tls() -> ssl.SSLContext:
    """One for all connections: reading the certificates costs 20 ms, more than the rest of an idle sync's connections."""
    return httpx.create_ssl_context()


class _Network(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, _cut(timeout, httpcore.ConnectTimeout), local_address, socket_options)
        if left() <= 0:  # a name with many addresses has each of them tried for as long
            stream.close()
            raise httpcore.ConnectTimeout
        return _Stream(stream)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _cut(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for first in range(0, len(buffer), _WRITTEN_AT_ONCE):
            self._inner.write(buffer[first : first + _WRITTEN_AT_ONCE], _cut(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _cut(timeout, httpcore.ConnectTimeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _cut(timeout: float | None, over: Callable[[], Exception]) -> float | None:
    seconds = left()
    if seconds <= 0:
        raise over()
    return min(timeout if timeout is not None else seconds, seconds) if seconds != float("inf") else timeout
