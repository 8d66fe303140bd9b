"""What an operator may do in the console: resolve, assign, retry, release, pause and resume; each previewed, confirmed, and written down.

An act is first asked for by a link or a form that changes nothing (`GET /acts/NAME?item=…`), which shows what it would be about. Only the
confirmation acts (`POST`), and only with a token that this browser was given: a page of another site has neither it nor the cookie that it
belongs to. Acts go through `pipeline/acting.py`, which sends nothing and leaves a row in `operator_actions`.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backhaul.config import Settings
from backhaul.connectors.loop.vendor import LOOP
from backhaul.console.desk import desk_of, respond
from backhaul.domain.plainly import plural
from backhaul.errors import BackhaulError
from backhaul.pipeline.acting import Operator

_COOKIE = "backhaul_desk"
_LONGEST = 1 << 18  # bytes of a confirmation
_MOST = 500  # items at once
_APART = "|"


@dataclass(frozen=True, slots=True)
class Act:
    """One act. `parts` name what an item is made of; `do` acts on one item and says how many things it changed.

    `asks` is the label of a person's name that the confirmation gives as the item's last part; such an act needs no reason.
    """

    title: str
    noun: str
    done: str
    back: str
    parts: tuple[str, ...]
    lead: str
    do: Callable[[Operator, list[str], str], int]
    asks: str = ""


def _resolve(by: Operator, item: list[str], why: str) -> int:
    merchant, kind, subject = item
    return len(by.resolve(subject, why, kind=kind, merchant=merchant))


def _assign(by: Operator, item: list[str], why: str) -> int:
    merchant, kind, subject, to = item
    return len(by.assign(subject, to, why, kind=kind, merchant=merchant))


def _retry(by: Operator, item: list[str], why: str) -> int:
    merchant, kind, return_id = item
    return by.retry(merchant, [return_id], why, [kind])


def _release(by: Operator, item: list[str], why: str) -> int:
    merchant, _, return_id = item
    try:
        return len(by.release(merchant, [return_id], why))
    except BackhaulError:  # let go already, by this page's second click or by somebody else
        return 0


def _pause(by: Operator, item: list[str], why: str) -> int:
    merchant, vendor = item
    by.pause(merchant, why, vendor or None)
    return 1


def _resume(by: Operator, item: list[str], why: str) -> int:
    merchant, vendor = item
    try:
        return len(by.resume(merchant, why, vendor or None))
    except BackhaulError:
        return 0


_EXCEPTION = ("merchant", "kind", "subject")
_DELIVERY = ("merchant", "kind", "return id")
ACTS = {
    "resolve": Act(
        *("Resolve exceptions", "exception", "resolved", "/exceptions", _EXCEPTION),
        "You say that you have dealt with these. They open again only for another cause; nothing is sent to anyone.",
        _resolve,
    ),
    "assign": Act(
        *("Assign exceptions", "exception", "assigned", "/exceptions", _EXCEPTION),
        "You say who takes these, so that others leave them to them. Nothing else changes.",
        _assign,
        asks="Who takes them (empty for nobody)",
    ),
    "retry": Act(
        *("Try deliveries again", "delivery", "owed again", "/deliveries", _DELIVERY),
        "These go out again with the next deliver, checked against the newest facts. Put the cause right first.",
        _retry,
    ),
    "release": Act(
        *("Release what guards hold", "delivery", "released", "/deliveries", _DELIVERY),
        "These go out with the next deliver, if they still follow from the facts. No guard holds them again while their decision stands.",
        _release,
    ),
    "pause": Act(
        *("Pause a merchant", "pause", "set", "/merchants/", ("merchant", "vendor")),
        "Nothing is sent from the next call on, by any process, until it is resumed. Reading goes on, and nothing is lost.",
        _pause,
    ),
    "resume": Act(
        *("Resume a merchant", "pause", "lifted", "/merchants/", ("merchant", "vendor")),
        "What waited goes out with the next deliver or sync.",
        _resume,
    ),
}


@dataclass(frozen=True, slots=True)
class Acting:
    """The console's operator, with the secret of this process that its tokens are made of."""

    by: Operator
    is_secure: bool = False  # browsers reach it by https
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def on_behalf_of(self, name: str) -> Acting:
        """The same for a person who has signed in."""
        return replace(self, by=replace(self.by, name=name))

    def token(self, request: Request) -> str:
        """The token of the browser that asks; it is given a cookie to go with it (`remember`)."""
        mark = request.cookies.get(_COOKIE) or getattr(request.state, "mark", None)
        if not mark:
            mark = request.state.mark = secrets.token_hex(16)
        return hmac.new(self._secret, mark.encode(), sha256).hexdigest()

    def remember(self, request: Request, response: Response) -> None:
        """Give the browser the cookie that its token belongs to."""
        mark = getattr(request.state, "mark", None)
        if mark:
            response.set_cookie(_COOKIE, mark, httponly=True, samesite="strict", path="/", secure=self.is_secure)

    def said(self, done: str) -> str:
        """What was just done, in words."""
        return told(done)

    async def answer(self, request: Request) -> Response:
        """`/acts/{act}`: what it would be about; on POST, the act."""
        act = ACTS.get(request.path_params["act"])
        if act is None:
            raise HTTPException(404, "There is no such act.")
        if request.method == "POST":
            return await self._do(request, act)
        items = _items(act, request.query_params.getlist("item"))
        if not items:
            raise HTTPException(400, "Nothing was marked. Mark what it should be about, then try again.")
        _refuse_unknown(act, items, desk_of(request).settings)
        return await run_in_threadpool(respond, request, "act.html", title=act.title, act=act, items=items, apart=_APART, name=self.by.name)

    async def _do(self, request: Request, act: Act) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _LONGEST:
                raise HTTPException(413, "That is more than can be done at once.")
        told = parse_qs(body.decode("utf-8", "replace"))
        self._refuse_forged(request, told.get("token", [""])[0])
        why = told.get("why", [""])[0].strip()
        if not why and not act.asks:
            raise HTTPException(400, "Say why, for the record. Go back and write a line.")
        items = _items(act, told.get("item", []))
        _refuse_unknown(act, items, desk_of(request).settings)
        named = [told.get("to", [""])[0].strip()] if act.asks else []
        done = await run_in_threadpool(lambda: sum(act.do(self.by, item + named, why) for item in items))
        back = act.back + items[0][0] if act.back.endswith("/") and items else act.back
        return RedirectResponse(f"{back}?done={request.path_params['act']}:{done}", status_code=303)

    def _refuse_forged(self, request: Request, token: str) -> None:
        origin = request.headers.get("origin")
        is_ours = origin is None or urlsplit(origin).netloc == request.headers.get("host")
        if not is_ours or not request.cookies.get(_COOKIE) or not hmac.compare_digest(token.encode(), self.token(request).encode()):
            raise HTTPException(403, "This confirmation is not of this browser, or of an earlier start of the console. Try again.")


def _items(act: Act, texts: list[str]) -> list[list[str]]:
    """What an act is about. Raises HTTPException for what is no item of it."""
    items = [text.split(_APART, len(act.parts) - 1) for text in dict.fromkeys(texts)]
    if len(items) > _MOST or any(len(item) != len(act.parts) or not "".join(item).isprintable() or not item[0] for item in items):
        raise HTTPException(400, f"An item is {_APART.join(act.parts)}, and {_MOST} can be done at once.")
    return items


def _refuse_unknown(act: Act, items: list[list[str]], settings: Settings) -> None:
    """Raises HTTPException where a pause is of a merchant or a vendor that the config does not have: it would hold up nothing."""
    for name, vendor in items if act is ACTS["pause"] else ():
        merchant = settings.merchants.get(name)
        if merchant is None:
            raise HTTPException(404, f"No merchant {name} is in the config.")
        if vendor not in ("", LOOP.name, *merchant.warehouses()):
            raise HTTPException(400, f"{name} has no vendor {vendor}; it has {', '.join((LOOP.name, *merchant.warehouses()))}.")


def told(done: str) -> str:
    """What an act that was just done is called: `2 exceptions resolved.`; nothing for what is none."""
    name, _, number = done.partition(":")
    act = ACTS.get(name)
    if act is None or not (number.isascii() and number.isdigit()):
        return ""
    if not int(number):
        return "Nothing was left to do: it had been done already."
    return f"{plural(int(number), act.noun).replace('deliverys', 'deliveries')} {act.done}."
