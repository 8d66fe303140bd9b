"""One HTTP client for all vendors: auth, time-outs, the taxonomy of failures, Retry-After, the call budget.

A read is repeated until it works or its attempts are used up. A write is one network attempt, always: what a lost answer
means is for the outbox to find out, and a repeat here would process a return twice. Success is read from the body:
a body that is not JSON is a failure under any status.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import urlsplit

import httpx
import msgspec

from backhaul import __version__
from backhaul.connectors.budget import Budget, budget_for
from backhaul.connectors.envelopes import complaint
from backhaul.errors import (
    BudgetSpentError,
    ConfigError,
    PermanentVendorError,
    RateLimitedError,
    RefusedError,
    TransientVendorError,
    UnauthorizedError,
)

__all__ = ["Budget", "Http", "Observe", "Reply", "budget_for"]

READ_ATTEMPTS = 5
BACKOFF_FIRST = 0.5  # seconds, doubled each time
BACKOFF_LONGEST = 20.0
RETRY_AFTER_LONGEST = 120.0  # a vendor that asks for more gets the next sync instead
PAUSE_UNASKED = 2.0  # a 429 without Retry-After: Loop's advice is to pause briefly
WRITE_PATIENCE = 20.0  # a delivery's lease is 60 seconds, so a write does not queue for the budget longer than this
CONNECT_TIMEOUT = 10.0

Observe = Callable[[str, str, int, float], None]  # vendor, operation, HTTP status (0 without an answer), seconds
Params = Mapping[str, str | int]

# Nothing has left this machine when one of these is raised.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


@dataclass(frozen=True, slots=True)
class Reply:
    """A JSON answer: the status and the body's bytes."""

    status: int
    body: bytes


class Http:
    """A connection to one vendor for one merchant. Thread-safe. Use as a context manager, or `close()` it.

    `credential` is the secret's reference (`env:NAME`) and `scope` the permission it needs, both for messages; the secret itself
    is only in `headers`, and never in a message, a log or a repr. `timeout` is in seconds, for each wait on the network.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        vendor: str,
        merchant: str,
        budget: Budget,
        credential: str,
        scope: str,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        observe: Observe | None = None,
    ) -> None:
        self.vendor, self.merchant, self.calls = vendor, merchant, 0
        self.vendor_time: datetime | None = None  # the vendor's clock in its newest answer, to the second
        self._budget, self._credential, self._scope = budget, credential, scope
        self._sleep, self._clock, self._observe = sleep, clock, observe
        self._timeout = timeout
        self._lock = threading.Lock()
        sent = {name: value.strip() for name, value in headers.items()}
        if not all(value.isascii() and value.isprintable() for value in sent.values()):
            raise ConfigError(f"{merchant}: the {vendor} key in {credential} holds characters that a header cannot carry; set it again")
        self._secrets = tuple(part for value in sent.values() for part in value.split() if len(part) >= 8)
        host = urlsplit(base_url).hostname or ""
        self._client = httpx.Client(
            base_url=base_url.rstrip("/"),
            headers={**sent, "Accept": "application/json", "User-Agent": f"backhaul/{__version__}"},
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
            transport=httpx.HTTPTransport(retries=0) if _is_loopback(host) else None,  # loopback never goes through a proxy
            follow_redirects=False,  # a redirect would carry the key to another host
        )

    def __repr__(self) -> str:
        return f"Http(vendor={self.vendor!r}, merchant={self.merchant!r}, credential={self._credential!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def read(self, path: str, params: Params | None = None, *, operation: str | None = None) -> bytes:
        """GET, repeated while it fails for passing reasons. Returns the JSON body.

        Raises TransientVendorError when the attempts are used up, UnauthorizedError, PermanentVendorError for the rest.
        """
        return self.fetch(path, params, operation=operation).body

    def fetch(self, path: str, params: Params | None = None, *, accept: Collection[int] = (), operation: str | None = None) -> Reply:
        """Like `read`, for callers to whom a 4xx status in `accept`, with a JSON body, is an answer too."""
        for attempt in range(1, READ_ATTEMPTS + 1):
            self._budget.spend()
            try:
                response = self._send("GET", path, params, None, None, operation)
                if response.status_code in accept and _is_json(response.content):
                    return Reply(response.status_code, response.content)
                return self._judged(response, f"GET {path}", is_write=False)
            except TransientVendorError as failure:
                if attempt == READ_ATTEMPTS:
                    raise
                self._sleep(_delay(attempt) if failure.retry_after is None else failure.retry_after)
        raise AssertionError("unreachable")

    def write(
        self,
        method: str,
        path: str,
        json: Any = None,
        params: Params | None = None,
        timeout: float | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        operation: str | None = None,
    ) -> bytes:
        """One write, one network attempt. Returns the JSON body of a 2xx answer, empty only for 204.

        Raises TransientVendorError, whose `is_certain` says whether nothing was done (no connection, 429, no budget) or nothing is
        known (time-out, reset, 5xx, redirect, unreadable body); UnauthorizedError; RefusedError for any other 4xx in JSON, else
        PermanentVendorError.
        """
        wait = self._budget.spend(WRITE_PATIENCE)
        if wait:
            raise BudgetSpentError(f"{self._who()}: {method} {path} was not sent, the key's call budget is used up", retry_after=wait)
        body = None if json is None else msgspec.json.encode(json)
        return self._judged(self._send(method, path, params, body, timeout, operation, headers), f"{method} {path}", is_write=True).body

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: bytes | None,
        timeout: float | None,
        operation: str | None,
        more: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One network attempt. httpx's own errors are not chained: they hold the request, and with it the key."""
        headers = {**(more or {}), **({"Content-Type": "application/json"} if body is not None else {})}
        limit = self._client.timeout if timeout is None else httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT))
        started, status = self._clock(), 0
        with self._lock:
            self.calls += 1
        try:
            response = self._client.request(method, path, params=params, content=body, headers=headers, timeout=limit)
            status = response.status_code
            self.vendor_time = _vendor_time(response.headers) or self.vendor_time
            return response
        except httpx.HTTPError as error:
            failure = f"{self._who()}: {method} {path} failed: {error.__class__.__name__}"
            is_certain = method == "GET" or isinstance(error, _NOT_SENT)
            raise TransientVendorError(failure, is_certain=is_certain) from None
        finally:
            if self._observe is not None:
                self._observe(self.vendor, operation or f"{method} {path}", status, self._clock() - started)

    def _judged(self, response: httpx.Response, what: str, *, is_write: bool) -> Reply:
        status, body = response.status_code, response.content
        if 200 <= status < 300:
            # Judged by the bytes, since a PHP action may answer a bare `true` under a text/html header.
            if status == 204 or _is_json(body):
                return Reply(status, body)
            raise TransientVendorError(f"{self._who()}: {what} answered {status} with a body that is not JSON", is_certain=not is_write)
        if 400 <= status < 500 and status not in (408, 429):
            self._refuse(status, body, what, is_write=is_write)
        if 300 <= status < 400 and not is_write:
            raise PermanentVendorError(f"{self._who()}: {what} was redirected ({status}); redirects are not followed, check base_url")
        said = self._said(body)
        failure = f"{self._who()}: {what} answered {status}{said}"
        if status == 429:
            asked = _retry_after(response.headers, datetime.now(UTC))
            self._budget.pause(PAUSE_UNASKED if asked is None else asked)
            raise RateLimitedError(failure, is_certain=True, retry_after=asked)
        raise TransientVendorError(failure, is_certain=not is_write, retry_after=_retry_after(response.headers, datetime.now(UTC)))

    def _refuse(self, status: int, body: bytes, what: str, *, is_write: bool) -> NoReturn:
        said = self._said(body)
        if status in (401, 403):
            raise UnauthorizedError(
                f"{self._who()}: {what} answered {status}{said}; check that {self._credential} is current and has the scope {self._scope}"
            )
        failure = f"{self._who()}: {what} answered {status}{said}"
        if is_write and _is_json(body):
            found = complaint(body)
            raise RefusedError(failure, code=found.code if found else None)
        raise PermanentVendorError(failure)

    def _said(self, body: bytes) -> str:
        found = complaint(body)
        words = (found.message or found.code or "") if found else ""
        for secret in self._secrets:
            words = words.replace(secret, "[secret]")
        return f": {words}" if words else ""

    def _who(self) -> str:
        return f"{self.merchant}: {self.vendor}"


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _delay(attempt: int) -> float:
    """Seconds before the next attempt: doubled each time, half of it at random so that many clients do not return at once."""
    longest = min(BACKOFF_LONGEST, BACKOFF_FIRST * 2.0 ** (attempt - 1))
    return longest * random.uniform(0.5, 1.0)


def _vendor_time(headers: Mapping[str, str]) -> datetime | None:
    """The `Date` of an answer; None when absent or unreadable."""
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo is not None else None


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that `Retry-After` asks for, written as seconds or as a date, capped; None when absent or unreadable."""
    asked = headers.get("retry-after", "").strip()
    if not asked:
        return None
    try:
        seconds = float(asked)
    except ValueError:
        try:
            base = parsedate_to_datetime(headers.get("date", "")) if headers.get("date") else now
            seconds = (parsedate_to_datetime(asked) - base).total_seconds()  # the vendor's own clock, so skew does not matter
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_LONGEST) if seconds == seconds else None
