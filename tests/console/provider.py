"""A little OpenID provider on loopback: it knows one client, checks what the client sends, and says what a test has it say."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID = "backhaul"
CLIENT_SECRET = "an invented client secret, not-a-real one"


@dataclass
class Provider:
    """The provider. `claims` are put over the id token's usual ones (None takes one away), `sign` makes the token of them."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    told_key: Any = None  # the key that it publishes, where that is another one
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.describe),
                Route("/authorize", self.authorize),
                Route("/token", self.give, methods=["POST"]),
                Route("/jwks", self.keys),
            ]
        )

    def describe(self, _: Request) -> Response:
        ways = {name: f"{self.issuer}/{name.split('_')[0]}" for name in ("token_endpoint", "jwks_uri")}
        told = {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize", **ways}
        return JSONResponse(told | {"id_token_signing_alg_values_supported": ["RS256", "none", "HS256"]} | self.metadata)

    def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.asked.append(asked)
        assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (CLIENT_ID, "code", "S256")
        code = f"code-{len(self.asked)}"
        self.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", status_code=302)

    async def give(self, request: Request) -> Response:
        told = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.codes.pop(told.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        proof = base64.urlsafe_b64encode(sha256(told.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if (
            asked is None
            or request.headers.get("authorization") != f"Basic {basic}"
            or proof != asked["code_challenge"]
            or told["redirect_uri"] != asked["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        return JSONResponse({"access_token": "an-invented-access-token", "token_type": "Bearer", "id_token": self.token(asked["nonce"])})

    def token(self, nonce: str) -> str:
        now = int(time.time())
        usual = {"iss": self.issuer, "sub": "17", "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": nonce}
        claims = {name: value for name, value in (usual | self.claims).items() if value is not None}
        header = {"alg": self.algorithm, "kid": self.key.kid}
        return jwt.encode(header, claims, self.key, algorithms=[self.algorithm])

    def keys(self, _: Request) -> Response:
        return JSONResponse(KeySet([self.told_key or self.key]).as_dict(private=False))
