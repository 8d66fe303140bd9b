"""Who asks: people by OpenID Connect (authlib), machines by a token. A console whose config has `[console]` answers nobody else.

| who | how they show it | what they may do |
|---|---|---|
| anybody | nothing | `/healthz`, `/static`, and the way to sign in |
| a viewer | a session that began at the provider, with a viewer's value in the claim | read |
| an operator | the same with an operator's value | read, and act where the console runs with `--operator` |
| a machine | `Authorization: Bearer`, one of the config's tokens | read |

A session is a signed cookie for eight hours at most. Its key is made of the client's secret: a restart ends none, a new secret all.
"""

from __future__ import annotations

import hmac
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.deprecate import AuthlibDeprecationWarning
from joserfc.errors import JoseError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from backhaul.config import ConsoleSettings
from backhaul.console.desk import Visitor, respond
from backhaul.errors import ConfigError
from backhaul.secret import resolve

warnings.simplefilter("ignore", AuthlibDeprecationWarning)  # it would rather have httpx2, which is not the httpx of the rest of Backhaul
from authlib.integrations.starlette_client import OAuth  # noqa: E402

log = logging.getLogger(__name__)

LASTS = timedelta(hours=8)  # a session, however much it is used: roles are as they were at its beginning
COOKIE = "__Host-backhaul"  # by its name a browser takes it by https alone, for this host alone
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")  # a provider's own key signs; never "none", never a secret that we share
_OPEN = ("/healthz", "/sign-in", "/signed-in", "/sign-out")
_SHORTEST_TOKEN = 32  # characters
_TIMEOUT = 10.0  # seconds for each call to the provider
_CLOCKS_APART = 60  # seconds that the provider's clock may differ


@dataclass(frozen=True, slots=True)
class SignIn:
    """The console's side of OpenID Connect: authorization code flow with PKCE, state and nonce."""

    settings: ConsoleSettings
    clock: Callable[[], datetime]
    client: Any
    session_key: str
    token_digests: tuple[bytes, ...]

    def routes(self) -> list[Route]:
        """The way in and out."""
        return [
            Route("/sign-in", self.begin),
            Route("/signed-in", self.finish),
            Route("/sign-out", self.leave, methods=["POST"]),
        ]

    def middleware(self) -> list[Middleware]:
        """What stands before every page, the outermost first."""
        cookie: dict[str, Any] = {"session_cookie": COOKIE, "max_age": int(LASTS.total_seconds()), "same_site": "lax", "https_only": True}
        return [Middleware(SessionMiddleware, secret_key=self.session_key, **cookie), Middleware(Gate, sign_in=self)]

    async def begin(self, request: Request) -> Response:
        """`/sign-in?to=`: off to the provider."""
        request.session["to"] = own_path(request.query_params.get("to", "/"))
        try:
            await self._know_provider()
            answer: Response = await self.client.authorize_redirect(request, f"{self.settings.url}/signed-in")
        except (httpx.HTTPError, ValueError, KeyError, RuntimeError) as error:
            log.warning("the sign-in provider cannot be used: %s", error.__class__.__name__)
            raise HTTPException(503, "The sign-in provider does not answer as it should. Try again in a while.") from None
        return answer

    async def finish(self, request: Request) -> Response:
        """`/signed-in`: back from the provider with a code. The session begins anew, whatever it was before."""
        to = own_path(request.session.get("to", "/"))
        try:
            await self._know_provider()
            claims = await self._claims(request)
        except httpx.HTTPError as error:
            log.warning("the sign-in provider cannot be reached: %s", error.__class__.__name__)
            raise HTTPException(503, "The sign-in provider does not answer. Try again in a while.") from None
        except (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError, RuntimeError) as error:
            log.warning("a sign-in was not accepted: %s", error.__class__.__name__)
            raise HTTPException(
                403, "This sign-in was not accepted: it is not of this browser, too old, or not for us. Sign in again."
            ) from None
        finally:
            request.session.clear()
        name, role = person(claims), self.role(claims)
        if role is None:
            log.warning("a person without a role was refused")
            told = (
                f"You are known as {name}, but the claim '{self.settings.role_claim}' gives you no role here. Have one given to you first."
            )
            raise HTTPException(403, told)
        request.session.update(name=name, role=role, until=(self.clock() + LASTS).timestamp())
        return RedirectResponse(self.settings.url + to, status_code=303)

    async def leave(self, request: Request) -> Response:
        """`/sign-out`: this browser forgets its session. The provider's own goes on."""
        request.session.clear()
        request.state.visitor = None
        return respond(request, "sign_in.html", title="You are signed out", to="/", provider=self.provider)

    @property
    def provider(self) -> str:
        """The provider's host."""
        return urlsplit(self.settings.issuer).hostname or ""

    def visitor(self, scope: Scope) -> Visitor | None:
        """Who a request is of; None for a stranger."""
        said = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if said is not None:
            return Visitor("a machine") if self._is_machine(said) else None
        session: Mapping[str, Any] = scope["session"]
        if session.get("until", 0) <= self.clock().timestamp():
            return None
        return Visitor(session["name"], is_operator=session["role"] == "operator", is_person=True)

    def role(self, claims: Mapping[str, Any]) -> str | None:
        """`operator`, `viewer` or None, by the values of the claim."""
        values = claimed(claims, self.settings.role_claim)
        if values & set(self.settings.operators):
            return "operator"
        return "viewer" if values & set(self.settings.viewers) else None

    def _is_machine(self, said: bytes) -> bool:
        scheme, _, token = said.partition(b" ")
        digest = sha256(token.strip()).digest()
        return scheme.lower() == b"bearer" and any([hmac.compare_digest(digest, one) for one in self.token_digests])

    async def _know_provider(self) -> None:
        """Read what the provider says of itself, once. Raises ValueError where it is another one, or signs by nothing that we take."""
        told = await self.client.load_server_metadata()
        if str(told.get("issuer", "")).rstrip("/") != self.settings.issuer:
            raise ValueError("the provider calls itself by another name")
        signs_by = [one for one in told.get("id_token_signing_alg_values_supported") or ["RS256"] if one in ALGORITHMS]
        if not signs_by:
            raise ValueError("the provider signs by nothing that we take")
        told["id_token_signing_alg_values_supported"] = signs_by  # authlib takes what stands here, also "none"

    async def _claims(self, request: Request) -> Mapping[str, Any]:
        """The claims of a proven id token: its signature, issuer, audience, times and nonce. Raises as authlib does."""
        told = self.client.server_metadata
        wanted = {
            "iss": {"essential": True, "value": told["issuer"]},
            "aud": {"essential": True, "value": self.settings.client_id},
        }
        token = await self.client.authorize_access_token(request, claims_options=wanted, leeway=_CLOCKS_APART)
        claims: Mapping[str, Any] = token["userinfo"]
        return claims


class Gate:
    """Lets through who is known, and what anybody may ask for."""

    def __init__(self, app: ASGIApp, sign_in: SignIn) -> None:
        self._app, self._sign_in = app, sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = self._sign_in.visitor(scope)
        scope.setdefault("state", {})["visitor"] = visitor
        if visitor is not None or scope["path"] in _OPEN or scope["path"].startswith("/static/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        to = request.url.path + (f"?{request.url.query}" if request.url.query else "") if request.method == "GET" else "/"
        answer = respond(request, "sign_in.html", 401, title="Sign in", to=to, provider=self._sign_in.provider)
        answer.headers["www-authenticate"] = "Bearer"
        await answer(scope, receive, send)


def make_sign_in(settings: ConsoleSettings, clock: Callable[[], datetime]) -> SignIn:
    """The sign-in of a config. Raises ConfigError for a secret that is not set, and a machine's token that can be guessed."""
    secret = resolve(settings.client_secret, "console.client_secret").get_secret_value()
    tokens = [resolve(one, "console.machine_token").get_secret_value() for one in settings.machine_token]
    if any(len(token) < _SHORTEST_TOKEN for token in tokens):
        raise ConfigError(
            f"console.machine_token has under {_SHORTEST_TOKEN} characters; 'openssl rand -hex 32' makes one that nobody guesses"
        )
    client = OAuth().register(
        "provider",
        client_id=settings.client_id,
        client_secret=secret,
        server_metadata_url=f"{settings.issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": settings.scope,
            "code_challenge_method": "S256",
            "timeout": _TIMEOUT,
            "verify": httpx.create_ssl_context(),  # read once, not for each call
        },
    )
    key = hmac.new(secret.encode(), b"backhaul console session", sha256).hexdigest()
    return SignIn(settings, clock, client, key, tuple(sha256(token.encode()).digest() for token in tokens))


def own_path(wanted: str) -> str:
    """A path of this console, as a person who signs in is sent back to; the first page for whatever leads elsewhere."""
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isascii() and wanted.isprintable()
    return wanted if is_ours and not wanted.startswith(_OPEN) else "/"


def person(claims: Mapping[str, Any]) -> str:
    """The login of a person, as it stands in `operator_actions`; their id at the provider where it tells no login."""
    return str(claims.get("preferred_username") or claims["sub"])


def claimed(claims: Mapping[str, Any], name: str) -> set[str]:
    """The values of a claim: one text or a list. A name with dots that is none as a whole is a path, as `realm_access.roles`."""
    value: Any = claims
    for step in [name] if name in claims else name.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    values: Sequence[Any] = [value] if isinstance(value, str) else value if isinstance(value, list) else ()
    return {one for one in values if isinstance(one, str)}
