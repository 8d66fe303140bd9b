"""What `connect` registers at ShipBob, and what `doctor` finds there."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from pydantic import ValidationError

from backhaul.connectors.shipbob import setup
from backhaul.connectors.shipbob.client import ShipBob
from backhaul.connectors.shipbob.endpoints import TOPICS
from backhaul.connectors.shipbob.settings import ShipBobSettings
from backhaul.connectors.shipbob.wire import HookWire
from backhaul.connectors.vendor import Account, Posting
from backhaul.errors import ConfigError
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.shipbob.hooks import secret_of
from backhaul.sandbox.shipbob.state import READ_ONLY_CHANNEL, ShipBobAccount
from tests.shipbob.conftest import Connect, payload, settings

PUBLIC, PATH = "https://hooks.example.com", "/webhooks/acme/shipbob"
URL = PUBLIC + PATH


def of(section: ShipBobSettings, mode: str = "shadow", announce: str = "on_label") -> Account:
    return Account("acme", "shipbob", section, mode, announce)


def looks(client: ShipBob, mode: str = "shadow", announce: str = "on_label", url: str | None = PUBLIC) -> dict[str, tuple[str, str]]:
    found = [check.look() for check in setup.checks(of(client._settings, mode, announce), url, lambda: nullcontext(client))]
    assert all(bool(one.remedy) is (one.state != "ok") for one in found)
    return {one.check.removeprefix("shipbob."): (one.state, one.what + one.remedy) for one in found}


@pytest.fixture
def mine(box: Sandbox, account: ShipBobAccount, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The account, with its secrets in the environment."""
    monkeypatch.setenv("KEY", account.token)
    monkeypatch.setenv("HOOK", secret_of(box.world.seed, "acme"))
    return of(settings(f"{box.url}/acme/shipbob", webhook_secret="env:HOOK"))


def test_connect_registers_the_three_topics_once(mine: Account, box: Sandbox, account: ShipBobAccount) -> None:
    assert [step.action for step in setup.register(mine, Posting(URL, PATH, is_dry_run=True))] == ["create"] and not account.hooks
    assert [setup.register(mine, Posting(URL, PATH))[0].action for _ in range(2)] == ["created", "none"]
    [hook] = account.hooks.values()
    assert (hook.url, hook.topics, hook.secret) == (URL, list(TOPICS), secret_of(box.world.seed, "acme"))


def test_a_webhook_that_was_switched_off_is_made_anew_and_others_are_left_alone(
    mine: Account, shipbob: ShipBob, box: Sandbox, account: ShipBobAccount
) -> None:
    secret = secret_of(box.world.seed, "acme")
    off = account.register(URL, list(TOPICS), secret)
    off.is_enabled = False
    other = account.register("https://user:pass@example.com/hook?token=1", list(TOPICS), secret)
    assert setup.plan(setup.subscriptions(shipbob), URL)[0].note == "ShipBob has switched it off"
    steps = setup.register(mine, Posting(URL, PATH))
    assert [(step.state, step.action, step.url) for step in steps] == [
        ("active", "replaced", URL),
        ("other", "none", "https://example.com/hook?…"),
    ]
    assert off.id not in account.hooks and other.id in account.hooks


def test_one_that_lacks_a_topic_is_not_enough() -> None:
    [step] = setup.plan([HookWire(id="1", url=URL, topics=["return.created"], enabled=True)], URL)
    assert (step.state, step.action, step.note) == ("inactive", "replace", "it lacks a topic")


def test_the_documented_list_is_read_and_its_ids_are_text(shipbob: ShipBob) -> None:
    [told] = payload("webhook_register")["list"]["items"]
    [step] = setup.plan([HookWire(told["id"], told["url"], told["topics"], told["enabled"])], told["url"])
    assert (step.state, step.id) == ("active", "12345")


@pytest.mark.parametrize("secret", ["whsec_", "whsec_" + "a" * 31, "whsec_" + "a" * 33, "whsec_" + "-" * 32])
def test_a_secret_that_shipbob_would_not_take_is_said_before_it_is_sent(
    mine: Account, box: Sandbox, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", secret)
    with pytest.raises(ConfigError, match="whsec_ and 32 characters") as caught:
        setup.register(mine, Posting(URL, PATH))
    assert len(secret) < 10 or secret not in str(caught.value)
    assert box.world.journal.writes() == []


def test_doctor_says_why_a_merchant_is_in_shadow(shipbob: ShipBob, account: ShipBobAccount) -> None:
    account.add_variant("TEE")
    account.register(URL, list(TOPICS), "whsec_" + "a" * 32)
    found = looks(shipbob)
    assert found["contract"][0] == "warn" and found["contract"][1].startswith("in shadow, because ShipBob documents what was done")
    assert {check: state for check, (state, _) in found.items() if check != "contract"} == {
        "announce": "ok",
        "token": "ok",
        "channel": "ok",
        "center": "ok",
        "items": "ok",
        "webhooks": "warn",  # the config names no secret
    }


@pytest.mark.parametrize(("mode", "assumed", "state"), [("live", False, "fail"), ("live", True, "ok"), ("shadow", True, "ok")])
def test_doctor_lets_only_an_assumed_contract_be_live(mode: str, assumed: bool, state: str) -> None:
    assert setup.contract(of(settings("http://127.0.0.1:1", assumed_contract=assumed), mode)).state == state


def test_doctor_finds_a_token_that_is_not_accepted_and_stops_there(connect: Connect) -> None:
    found = looks(connect(token="another-token"))
    assert found["token"][0] == "fail" and "env:KEY" in found["token"][1] and "another-token" not in found["token"][1]
    assert found["channel"][1].startswith("not checked")


@pytest.mark.parametrize(("channel", "words"), [(READ_ONLY_CHANNEL, "may not write"), (7, "no channel of this account")])
def test_doctor_finds_a_channel_that_cannot_be_written_to(connect: Connect, channel: int, words: str) -> None:
    state, said = looks(connect(channel_id=channel))["channel"]
    assert state == "fail" and words in said and "100102" in said


def test_doctor_finds_a_centre_that_is_none_items_without_instructions_and_an_announcement_too_early(
    connect: Connect, account: ShipBobAccount
) -> None:
    account.add_variant("TEE", instructions=None)
    found = looks(connect(fulfillment_center_id=5), announce="on_created")
    assert found["center"][0] == "fail" and "22 (Cicero (IL))" in found["center"][1]
    assert found["items"][0] == "warn" and "1 of the 1 items" in found["items"][1] and "TEE" in found["items"][1]
    assert found["announce"][0] == "warn" and "on_label" in found["announce"][1]


def test_doctor_finds_a_webhook_that_was_switched_off(connect: Connect, account: ShipBobAccount) -> None:
    account.register(URL, list(TOPICS), "whsec_" + "a" * 32).is_enabled = False
    client = connect(webhook_secret="env:HOOK")
    state, said = looks(client)["webhooks"]
    assert state == "fail" and said.startswith(f"to {URL}: return.* is inactive")
    assert looks(client, url=None)["webhooks"][0] == "fail"  # it is found by our path


@pytest.mark.parametrize(
    "changes", [{"version": "1.0"}, {"token": "secret-itself"}, {"base_url": "http://shipbob.example"}, {"channel_id": 0}]
)
def test_a_setting_that_cannot_be_right_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings("http://127.0.0.1:1", **changes)
