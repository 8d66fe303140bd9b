"""Who sees a console whose config has `[console]`: people who sign in at a real little provider, machines with a token, nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from joserfc.jwk import OctKey, RSAKey
from playwright.sync_api import Browser

from backhaul.config import ConsoleSettings, Settings
from backhaul.console.app import make_app
from backhaul.console.desk import Desk
from backhaul.console.service import refuse_strangers
from backhaul.console.setting_up import make_desk
from backhaul.console.signing_in import LASTS, claimed, own_path, person
from backhaul.errors import ConfigError
from tests.console.conftest import World
from tests.console.provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.console.test_pages import Read

PLAIN = httpx.Client(verify=False, timeout=30)  # keeps no cookie that is Secure: it goes by http
TOKEN = "an-invented-machine-token-of-32-characters-not-a-real-one"


class running:  # noqa: N801 - used as a function is
    """An app on a free port of loopback, for the length of a `with`; the app is made once its address is known."""

    def __init__(self, make: object) -> None:
        self._make = make

    def __enter__(self) -> str:
        config = uvicorn.Config(self._answer, host="127.0.0.1", port=0, log_config=None, lifespan="off", ws="none", interface="asgi3")
        self._server = uvicorn.Server(config)
        self._app = None
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        self._app = self._make(url)
        return url

    async def _answer(self, scope: object, receive: object, send: object) -> None:
        await self._app(scope, receive, send)

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)


@dataclass
class Person:
    """A browser that keeps cookies, `Secure` ones too, as it would by https; it follows nothing by itself."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    set: list[str] = field(default_factory=list)

    def ask(self, path: str, method: str = "GET", **how: object) -> httpx.Response:
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} | how.pop("headers", {})
        answer = PLAIN.request(method, httpx.URL(self.url).join(path), headers=headers, **how)
        for line in answer.headers.get_list("set-cookie"):
            self.set.append(line)
            for name, one in SimpleCookie(line).items():
                self.cookies[name] = one.value
        return answer

    def sign_in(self, to: str = "/") -> httpx.Response:
        """From the link on the page to the provider and back; what the console answers to the code."""
        at_provider = self.ask(f"/sign-in?{httpx.QueryParams({'to': to})}").headers["location"]
        return self.ask(PLAIN.get(at_provider).headers["location"])


@dataclass
class Ground:
    """A provider, and the console that asks it."""

    provider: Provider
    desk: Desk
    url: str
    world: World

    def person(self, **claims: object) -> Person:
        self.provider.claims = {"preferred_username": "kim", "roles": ["returns-ops"]} | claims
        return Person(self.url)


@pytest.fixture(scope="module")
def ground(sqlite_world: World) -> Iterator[Ground]:
    provider = Provider()
    made: list[Desk] = []
    with pytest.MonkeyPatch.context() as patch, running(lambda _: provider.app()) as issuer:
        patch.setenv("CONSOLE_SECRET", CLIENT_SECRET)
        patch.setenv("CONSOLE_TOKEN", TOKEN)
        provider.issuer = issuer

        def make(url: str) -> object:
            section = ConsoleSettings(
                url=url,
                issuer=issuer,
                client_id=CLIENT_ID,
                client_secret="env:CONSOLE_SECRET",
                viewers=("returns-desk",),
                operators=("returns-ops",),
                machine_token="env:CONSOLE_TOKEN",
            )
            settings = sqlite_world.desk.settings.model_copy(update={"console": section})
            made.append(make_desk(settings, is_operator=True))
            return make_app(made[0])

        with running(make) as url:
            yield Ground(provider, made[0], url, sqlite_world)
        made[0].operator.by.store.close()
        made[0].store.close()


@pytest.fixture(autouse=True)
def _as_it_was(ground: Ground) -> Iterator[None]:
    key = ground.provider.key
    yield
    ground.provider.key, ground.provider.told_key, ground.provider.algorithm, ground.provider.metadata = key, None, "RS256", {}
    ground.desk.sign_in.client.server_metadata.clear()


PAGES = ("/", "/returns", "/returns?format=json", "/returns/acme/1", "/search?q=1", "/runs", "/trends", "/merchants/acme", "/data", "/nope")


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_shown_the_way_in_and_nothing_else(ground: Ground, path: str) -> None:
    answer = PLAIN.get(ground.url + path)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "acme" not in answer.text.replace("%2Facme", "").replace("/acme", "") and "birch" not in answer.text
    [way] = [link for link in Read(answer.text).links("/sign-in")]
    assert parse_qs(urlsplit(way).query)["to"] == [path]
    assert "default-src 'none'" in answer.headers["content-security-policy"] and answer.headers["cache-control"] == "no-store"


def test_a_stranger_cannot_act_and_may_ask_whether_it_lives(ground: Ground) -> None:
    assert PLAIN.post(f"{ground.url}/acts/pause", data={"item": "acme|loop", "why": "x"}).status_code == 401
    assert PLAIN.get(f"{ground.url}/healthz").text == "ok"
    assert PLAIN.get(f"{ground.url}/static/style.css").status_code == 200
    assert PLAIN.get(f"{ground.url}/static/../returns").status_code in (401, 404)


def test_an_operator_signs_in_lands_where_they_were_going_and_acts_in_their_own_name(ground: Ground) -> None:
    kim = ground.person()
    back = kim.sign_in("/exceptions?merchant=acme")
    assert (back.status_code, back.headers["location"]) == (303, f"{ground.url}/exceptions?merchant=acme")
    assert "kim" in kim.ask("/exceptions").text
    page = Read(kim.ask("/acts/pause?item=birch|loop").text)
    told = {tag["name"]: tag["value"] for name, tag in page.tags if name == "input" and tag.get("type") == "hidden"}
    assert kim.ask("/acts/pause", "POST", data=told | {"why": "told to"}, headers={"origin": ground.url}).status_code == 303
    assert kim.ask("/acts/resume", "POST", data=told | {"why": "done", "item": "birch|loop"}).status_code == 303
    rows = ground.world.house.rows("SELECT operator, why FROM operator_actions WHERE merchant = 'birch' AND why IN ('told to', 'done')")
    assert [(row["operator"], row["why"]) for row in rows] == [("kim", "told to"), ("kim", "done")]


def test_the_provider_is_asked_with_pkce_state_and_nonce_that_are_new_each_time(ground: Ground) -> None:
    for _ in range(2):
        ground.person().sign_in()
    first, second = ground.provider.asked[-2:]
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 20 and first[name] != second[name]
    assert first["redirect_uri"] == f"{ground.url}/signed-in"


def test_every_cookie_is_for_this_host_by_https_and_out_of_reach_of_scripts(ground: Ground) -> None:
    kim = ground.person()
    kim.sign_in()
    kim.ask("/exceptions")
    assert {line.split("=")[0] for line in kim.set} == {"__Host-backhaul", "backhaul_desk"}
    for line in kim.set:
        parts = {part.strip().lower() for part in line.split(";")}
        assert {"httponly", "secure", "path=/"} <= parts and parts & {"samesite=lax", "samesite=strict"}
        assert not any(part.startswith("domain") for part in parts)


def test_a_viewer_reads_and_may_not_act(ground: Ground) -> None:
    viewer = ground.person(roles="returns-desk")
    viewer.sign_in()
    assert viewer.ask("/exceptions").status_code == 200
    assert "checkbox" not in viewer.ask("/exceptions").text and "Read-only" in viewer.ask("/").text
    refused = viewer.ask("/acts/pause?item=acme|loop")
    assert refused.status_code == 403 and "Only an operator may do this" in refused.text
    assert viewer.ask("/acts/pause", "POST", data={"item": "acme|loop", "why": "x", "token": "0"}).status_code == 403


@pytest.mark.parametrize("roles", [None, [], "none", ["returns-ops-not"], {"returns-ops": True}, [["returns-ops"]]])
def test_who_has_no_role_is_refused_with_words_and_has_no_session(ground: Ground, roles: object) -> None:
    stranger = ground.person(roles=roles)
    answer = stranger.sign_in()
    assert answer.status_code == 403 and "gives you no role here" in answer.text and "kim" in answer.text
    assert stranger.ask("/").status_code == 401


WRONG = {
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "for another client": {"aud": "another"},
    "for another client, said to be used by us": {"aud": "another", "azp": CLIENT_ID},
    "for two clients, used by another": {"aud": [CLIENT_ID, "another"], "azp": "another"},
    "for nobody": {"aud": None},
    "of another issuer": {"iss": "https://login.example"},
    "expired": {"exp": int(time.time()) - 3600},
    "without an end": {"exp": None},
    "not yet valid": {"nbf": int(time.time()) + 3600},
    "of nobody": {"sub": None},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG.keys())
def test_an_id_token_that_is_not_ours_or_not_now_signs_nobody_in(ground: Ground, claims: dict[str, object]) -> None:
    stranger = ground.person(**claims)
    answer = stranger.sign_in()
    assert answer.status_code == 403 and "was not accepted" in answer.text
    assert stranger.ask("/").status_code == 401


@pytest.mark.parametrize("how", ["none", "a secret that is shared", "another key", "the public key as a secret"])
def test_an_id_token_that_the_provider_did_not_sign_signs_nobody_in(ground: Ground, how: str) -> None:
    provider, stranger = ground.provider, ground.person()
    provider.told_key = provider.key
    if how == "none":
        provider.algorithm = "none"
    elif how == "another key":
        provider.key = RSAKey.generate_key(2048, {"kid": "one"})
    else:
        secret = CLIENT_SECRET if how == "a secret that is shared" else provider.key.as_pem(private=False).decode()
        provider.algorithm, provider.key = "HS256", OctKey.import_key(secret.replace("-----", "====="), {"kid": "one"})
    assert stranger.sign_in().status_code == 403
    assert stranger.ask("/").status_code == 401


def test_a_provider_that_signs_by_secrets_alone_or_has_another_name_is_not_used(ground: Ground) -> None:
    for told in ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, {"issuer": "https://login.example"}):
        ground.provider.metadata = told
        ground.desk.sign_in.client.server_metadata.clear()
        assert ground.person().ask("/sign-in").status_code == 503


def test_a_new_key_of_the_provider_is_read_when_it_is_first_used(ground: Ground) -> None:
    ground.person().sign_in()
    ground.provider.key = RSAKey.generate_key(2048, {"kid": "two"})
    assert ground.person().sign_in().status_code == 303


def test_an_answer_of_another_browser_or_a_second_time_signs_nobody_in(ground: Ground) -> None:
    kim, other = ground.person(), Person(ground.url)
    back = PLAIN.get(kim.ask("/sign-in").headers["location"]).headers["location"]
    assert other.ask(back).status_code == 403 and other.ask("/").status_code == 401
    assert kim.ask(back).status_code == 303
    assert kim.ask(back).status_code == 403
    assert ground.person().ask("/signed-in?error=access_denied&error_description=<b>no</b>").status_code == 403


def test_a_cookie_that_was_forged_altered_or_is_too_old_is_a_strangers(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    kim = ground.person()
    kim.sign_in()
    true = kim.cookies["__Host-backhaul"]
    payload, _, signature = true.partition(".")
    for forged in ("", "x", payload, f"{payload}.{'A' * len(signature)}", f"{payload[:-4]}AAAA.{signature}", "null"):
        assert Person(ground.url, {"__Host-backhaul": forged}).ask("/").status_code == 401
    assert Person(ground.url, {"__Host-backhaul": true}).ask("/").status_code == 200
    object.__setattr__(ground.desk.sign_in, "clock", lambda: ground.desk.clock() + LASTS + timedelta(seconds=1))
    try:
        assert kim.ask("/").status_code == 401
    finally:
        object.__setattr__(ground.desk.sign_in, "clock", ground.desk.clock)


def test_whoever_signs_out_is_a_stranger(ground: Ground) -> None:
    kim = ground.person()
    kim.sign_in()
    assert kim.ask("/sign-out").status_code == 405  # a link of another site signs nobody out
    assert "You are signed out" in kim.ask("/sign-out", "POST").text
    assert kim.ask("/").status_code == 401


ELSEWHERE = (
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "/\tevil",
    "/a\r\nx: y",
    "",
    "/sign-in",
)


@pytest.mark.parametrize("to", ELSEWHERE)
def test_nobody_is_sent_elsewhere_after_signing_in(ground: Ground, to: str) -> None:
    kim = ground.person()
    assert kim.sign_in(to).headers["location"] == f"{ground.url}/"
    assert own_path(to) == "/"


def test_a_machine_reads_with_its_token_and_cannot_act(ground: Ground) -> None:
    known = {"authorization": f"Bearer {TOKEN}"}
    assert len(PLAIN.get(f"{ground.url}/exceptions?format=json", headers=known).json()) > 0
    assert PLAIN.get(f"{ground.url}/acts/pause?item=acme|loop", headers=known).status_code == 403
    for said in (f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer", "", f"Basic {TOKEN}", TOKEN):
        assert PLAIN.get(f"{ground.url}/exceptions", headers={"authorization": said}).status_code == 401
    kim = ground.person()
    kim.sign_in()
    assert kim.ask("/", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_a_provider_that_is_down_is_a_page_that_says_so(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground.desk.sign_in.client, "_server_metadata_url", "http://127.0.0.1:9/.well-known/openid-configuration")
    answer = ground.person().ask("/sign-in")
    assert answer.status_code == 503 and "sign-in provider does not answer" in answer.text


def test_a_real_browser_signs_in_and_out(ground: Ground, browser: Browser) -> None:
    ground.person()
    page = browser.new_context().new_page()
    page.goto(f"{ground.url}/exceptions?merchant=acme")
    page.click("text=Sign in with 127.0.0.1")
    page.wait_for_url("**/exceptions?merchant=acme")
    assert page.evaluate("document.cookie") == ""
    page.click("text=Sign out")
    assert page.locator("h1").inner_text() == "You are signed out"
    page.goto(ground.url)
    assert page.locator("h1").inner_text() == "Sign in"
    page.context.close()


def test_a_role_is_found_by_name_by_path_or_not_at_all() -> None:
    claims = {"a.b": "x", "realm_access": {"roles": ["y", 3]}, "flat": ["z"]}
    assert [claimed(claims, name) for name in ("a.b", "realm_access.roles", "flat", "flat.z", "none")] == [
        {"x"},
        {"y"},
        {"z"},
        set(),
        set(),
    ]
    assert person({"sub": "17"}) == "17"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"viewers": (), "operators": ()}, "nobody could sign in"),
        ({"client_secret": "the secret itself"}, "reference"),
        ({"url": "https://desk.example.com/desk"}, "a host of its own"),
        ({"url": "http://desk.example.com"}, "https"),
        ({"scope": "profile"}, "openid"),
    ],
)
def test_a_section_that_cannot_work_is_refused_in_words(change: dict[str, object], told: str) -> None:
    usual = {
        "url": "https://desk.example.com",
        "issuer": "https://login.example.com",
        "client_id": "b",
        "client_secret": "env:X",
        "viewers": ("v",),
    }
    refuse_strangers("0.0.0.0", Settings(console=ConsoleSettings(**usual)))
    with pytest.raises(ValueError, match=told):
        ConsoleSettings(**usual | change)


def test_a_token_that_can_be_guessed_is_refused(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_TOKEN", "short")
    with pytest.raises(ConfigError, match="under 32 characters"):
        make_desk(ground.desk.settings)
