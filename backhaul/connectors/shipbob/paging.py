"""ShipBob's lists, page after page: `next` is a URL here and a path there, some lists are bare arrays, some answer 404 for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from backhaul.connectors.decoding import shaped
from backhaul.connectors.http import Http
from backhaul.connectors.shipbob.endpoints import PAGE_SIZE
from backhaul.connectors.shipbob.wire import PageWire
from backhaul.errors import StructuralError


def pages(
    http: Http, path: str, query: str, operation: str, *, size: str = "PageSize", cursor: str | None = None
) -> Iterator[tuple[list[msgspec.Raw], str | None]]:
    """The rows of each page with the cursor of the next, None after the last; from `cursor` on, where one is given.

    The query goes out as it stands: ShipBob does not understand an encoded comma or colon.

    Raises StructuralError for a page that is none, and for a cursor that comes again.
    """
    at, seen = f"{path}?{query}{'&' if query else ''}{size}={PAGE_SIZE}", {cursor}
    while True:
        reply = http.fetch(at + (f"&Cursor={cursor}" if cursor else ""), accept=(404,), operation=operation)
        if reply.status == 404:
            yield [], None
            return
        is_bare = reply.body.lstrip().startswith(b"[")
        page = (
            PageWire(decode(http, operation, reply.body, list[msgspec.Raw])) if is_bare else decode(http, operation, reply.body, PageWire)
        )
        cursor = cursor_of(page.next)
        yield page.items, cursor
        if cursor is None:
            return
        if cursor in seen:
            raise StructuralError(f"{http.merchant}: ShipBob's {operation} gives the same cursor twice")
        seen.add(cursor)


def rows(http: Http, path: str, query: str, operation: str, shape: Any) -> Iterator[Any]:
    """Every row of a list, decoded. Raises StructuralError for one of another shape."""
    for page, _ in pages(http, path, query, operation):
        for raw in page:
            yield decode(http, operation, raw, shape)


def decode(http: Http, operation: str, body: bytes | msgspec.Raw, shape: Any) -> Any:
    """A body of the shape. Raises StructuralError."""
    return shaped(body, shape, f"{http.merchant}: ShipBob's {operation}")


def cursor_of(following: str | None) -> str | None:
    """The cursor in a link to the next page, its parameter in any case."""
    pairs = parse_qsl(urlsplit(following or "").query)
    found = next((value for name, value in pairs if name.casefold() == "cursor" and value), None)
    return None if found is None else quote(found, safe="")
