"""One HTTP client for all vendors: auth, deadlines, the taxonomy of failures, Retry-After, the call budget.

A read is repeated until it works or its attempts are used up; a 429 is waited out. A write is one network attempt, always: what a lost
answer means is for the outbox to find out, and a repeat here would process a return twice. Success is read from the body: a body that is
not JSON is a failure under any status. What a failure proves:

| the answer | to a read | to a write |
|---|---|---|
| none: no connection, no budget of ours | passing | passing, certain |
| 429 | waited out, then passing | passing, certain |
| 401, 403 | the key | the key |
| any other 4xx (but 408) in JSON | permanent | refused |
| anything else: cut off, late, too long, 5xx, a redirect, a body that is not JSON | passing | passing, uncertain |
"""

from __future__ import annotations

import logging
import random
import threading
import time
import zlib
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
from backhaul.connectors.deadline import Transport, left, within
from backhaul.connectors.envelopes import complaint
from backhaul.connectors.text import mended, shield
from backhaul.errors import (
    BudgetSpentError,
    ConfigError,
    PermanentVendorError,
    RefusedError,
    StructuralError,
    ThrottledError,
    TransientVendorError,
    UnauthorizedError,
)
from backhaul.urls import is_loopback

__all__ = ["Budget", "Http", "Observe", "Reply", "budget_for", "within"]

READ_ATTEMPTS = 5
BACKOFF_FIRST = 0.5  # seconds, doubled each time
BACKOFF_LONGEST = 20.0
RETRY_AFTER_LONGEST = 120.0  # a vendor that asks for more gets the next sync instead
PAUSE_UNASKED = 2.0  # a 429 without Retry-After: Loop's advice is to pause briefly; doubled each time
PAUSES = 5  # 62 seconds in all where the vendor asks for none, which is longer than the minute that limits are counted by
PAUSED_LONGEST = 120.0  # seconds for one read, whatever the vendor asks for
CALL_DEADLINE = 45.0  # seconds from the first wait for the budget to the last byte; a delivery's lease is 60
WRITE_PATIENCE = 20.0  # of which a write spends no more than this on queueing for the budget
CONNECT_TIMEOUT = 10.0
ANSWER_LONGEST = 100_000_000  # bytes, inflated; the largest page of Loop's list is some 4 million
TOLD_FROM = 3.0  # seconds; a shorter wait is not worth a word

log = logging.getLogger(__name__)

Observe = Callable[[str, str, int, float], None]  # vendor, operation, HTTP status (0 without an answer), seconds
Params = Mapping[str, str | int]

# Nothing has left this machine when one of these is raised.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
_UNREACHED = "check base_url, and that this machine reaches it; nothing is lost, the next run goes on"
_LATER = "nothing is lost, the next run goes on; ask the vendor if it lasts"


@dataclass(frozen=True, slots=True)
class Reply:
    """A JSON answer: the status and the body's bytes."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back, whatever it is."""

    status: int
    headers: httpx.Headers
    body: bytes


class Http:
    """A connection to one vendor for one merchant. Thread-safe. Use as a context manager, or `close()` it.

    `credential` is the secret's reference (`env:NAME`) and `scope` the permission it needs, both for messages; the secret itself
    is only in `headers`, and never in a message, a log or a repr. `timeout` is the deadline of a whole call, in seconds.
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
        timeout: float = CALL_DEADLINE,
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
        shield(self._secrets)
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        self._client = httpx.Client(
            base_url=base_url.rstrip("/"),
            headers={**sent, "Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": f"backhaul/{__version__}"},
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
            transport=Transport(parts.scheme, host, is_loopback=is_loopback(host)),  # loopback never goes through a proxy
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

        Raises TransientVendorError when the attempts are used up, UnauthorizedError, PermanentVendorError for a no in JSON, and
        StructuralError for an answer without end.
        """
        return self.fetch(path, params, operation=operation).body

    def fetch(self, path: str, params: Params | None = None, *, accept: Collection[int] = (), operation: str | None = None) -> Reply:
        """Like `read`, for callers to whom a 4xx status in `accept`, with a JSON body, is an answer too."""
        failures, pauses, paused = 0, 0, 0.0
        while True:
            self._spend(f"GET {path}", left())
            try:
                answer = self._send("GET", path, params, None, operation)
                if answer.status in accept and _is_json(answer.body):
                    return Reply(answer.status, mended(answer.body, self._secrets))
                return self._judged(answer, f"GET {path}", is_write=False)
            except ThrottledError as failure:
                wait = PAUSE_UNASKED * 2.0**pauses if failure.retry_after is None else failure.retry_after
                pauses, paused = pauses + 1, paused + wait
                if pauses > PAUSES or paused > PAUSED_LONGEST or wait > left():
                    raise
                self._budget.pause(wait)
            except TransientVendorError as failure:
                wait = _delay(failures + 1) if failure.retry_after is None else failure.retry_after
                failures += 1
                if failures == READ_ATTEMPTS or wait > left():
                    raise
                self._sleep(wait)

    def write(
        self,
        method: str,
        path: str,
        json: Any = None,
        params: Params | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        operation: str | None = None,
    ) -> bytes:
        """One write, one network attempt. Returns the JSON body of a 2xx answer, empty only for 204.

        Raises BudgetSpentError; TransientVendorError, whose `is_certain` says whether nothing was done (no connection, 429) or nothing
        is known (all else); UnauthorizedError; RefusedError for any other 4xx in JSON.
        """
        body = None if json is None else msgspec.json.encode(json)
        with within(self._timeout):
            self._spend(f"{method} {path}", min(WRITE_PATIENCE, left()))
            return self._judged(self._send(method, path, params, body, operation, headers), f"{method} {path}", is_write=True).body

    def _spend(self, what: str, patience: float) -> None:
        wait = self._budget.spend(None if patience == float("inf") else patience, self._tell_of_waiting)
        if wait:
            raise BudgetSpentError(f"{self._who()}: {what} was not sent, the key's call budget is used up", retry_after=wait)

    def _tell_of_waiting(self, seconds: float) -> None:
        if seconds >= TOLD_FROM:
            log.warning("%s: waiting %.0f s until %s takes more calls", self.merchant, seconds, self.vendor)

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: bytes | None,
        operation: str | None,
        more: Mapping[str, str] | None = None,
    ) -> _Answer:
        """One network attempt. httpx's own errors are not chained: they hold the request, and with it the key."""
        headers = {**(more or {}), **({"Content-Type": "application/json"} if body is not None else {})}
        what, status, started = f"{self._who()}: {method} {path}", 0, self._clock()
        with self._lock:
            self.calls += 1
        try:
            with within(self._timeout), self._client.stream(method, path, params=params, content=body, headers=headers) as response:
                self.vendor_time = _vendor_time(response.headers) or self.vendor_time
                answer = _Answer(response.status_code, response.headers, _body_of(response))
                status = response.status_code
                return answer
        except httpx.HTTPError as error:
            limit = f", {self._timeout:g} s for a whole call" if isinstance(error, httpx.TimeoutException) else ""
            is_certain = method == "GET" or isinstance(error, _NOT_SENT)
            way_out = _UNREACHED if isinstance(error, _NOT_SENT) else _LATER
            raise TransientVendorError(f"{what} failed: {error.__class__.__name__}{limit}; {way_out}", is_certain=is_certain) from None
        except _TooLongError:
            failure = f"{what} was answered with more than {ANSWER_LONGEST // 1_000_000} MB, which nothing that it documents is"
            if method == "GET":
                raise StructuralError(failure) from None
            raise TransientVendorError(failure, is_certain=False) from None
        finally:
            if self._observe is not None:
                self._observe(self.vendor, operation or f"{method} {path}", status, self._clock() - started)

    def _judged(self, answer: _Answer, what: str, *, is_write: bool) -> Reply:
        status, body = answer.status, mended(answer.body, self._secrets)
        if 200 <= status < 300:
            # Judged by the bytes, since a PHP action may answer a bare `true` under a text/html header.
            if status == 204 or _is_json(body):
                return Reply(status, body)
            raise TransientVendorError(f"{self._who()}: {what} answered {status} with a body that is not JSON", is_certain=not is_write)
        if status in (401, 403) or (400 <= status < 500 and status not in (408, 429) and _is_json(body)):
            self._refuse(status, body, what, is_write=is_write)
        failure = f"{self._who()}: {what} answered {status}{self._said(body)}"
        if 300 <= status < 400:
            failure = f"{self._who()}: {what} was redirected ({status}); redirects are not followed, check base_url if it goes on"
        asked = _retry_after(answer.headers, datetime.now(UTC))
        if status == 429:
            self._budget.pause(PAUSE_UNASKED if asked is None else asked)
            raise ThrottledError(failure, is_certain=True, retry_after=asked)
        raise TransientVendorError(f"{failure}; {_LATER}", is_certain=not is_write, retry_after=asked)

    def _refuse(self, status: int, body: bytes, what: str, *, is_write: bool) -> NoReturn:
        said = self._said(body)
        if status in (401, 403):
            raise UnauthorizedError(
                f"{self._who()}: {what} answered {status}{said}; check that {self._credential} is current and has the scope {self._scope}"
            )
        failure = f"{self._who()}: {what} answered {status}{said}"
        if is_write:
            found = complaint(body)
            raise RefusedError(failure, code=found.code if found else None)
        raise PermanentVendorError(failure)

    @staticmethod
    def _said(body: bytes) -> str:
        found = complaint(body)
        said = (found.message or found.code or "") if found else ""
        return f": {said}" if said else ""

    def _who(self) -> str:
        return f"{self.merchant}: {self.vendor}"


class _TooLongError(Exception):
    """A body over the limit."""


def _body_of(response: httpx.Response) -> bytes:
    """The body, inflated here, because httpx inflates a whole piece at once: 400 kB can become 400 MB before anybody counts."""
    packed = response.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate")
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if packed else None
    body = bytearray()
    try:
        for piece in response.iter_raw():
            body += piece if inflate is None else inflate.decompress(piece, ANSWER_LONGEST + 1 - len(body))
            if len(body) > ANSWER_LONGEST:
                raise _TooLongError
    except zlib.error:
        raise httpx.DecodingError("the body is not what its Content-Encoding says") from None
    if inflate is not None and body and not inflate.eof:
        raise httpx.DecodingError("the body ends before its compressed form does")
    return bytes(body)


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
    """The seconds that `Retry-After` (or `x-retry-after`) asks for, as seconds or as a date, capped; None when absent or unreadable."""
    asked = (headers.get("retry-after") or headers.get("x-retry-after") or "").strip()
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
