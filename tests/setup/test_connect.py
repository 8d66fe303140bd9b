"""`backhaul connect`: what is registered, what is left alone, what a person must do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backhaul.connectors.loop.setup import NEEDS as LOOP_NEEDS
from tests.setup.conftest import PUBLIC_URL, Place, Run

LOOP_HOOK = f"{PUBLIC_URL}/webhooks/acme/loop"
CALLBACK = f"{PUBLIC_URL}/webhooks/acme/masonhub"


def connect(run: Run, place: Place, *options: str, url: str = PUBLIC_URL):
    return run("--config", place.config, "connect", "acme", "--public-url", url, *options)


def test_a_new_merchant_gets_every_webhook_and_the_callback_with_its_token(place, run):
    done = connect(run, place)

    assert done.code == 0, done.err
    assert {(hook.topic, hook.trigger, hook.url, hook.status) for hook in place.hooks} == {
        (topic, trigger, LOOP_HOOK, "active") for topic, trigger in LOOP_NEEDS
    }
    assert [(one.url, one.message_type, one.api_version, one.token) for one in place.callbacks] == [
        (CALLBACK, "rmaEvent", "2.0", place.box.keys["acme"].masonhub_callback_token)
    ]


def test_connecting_twice_changes_nothing(place, run):
    connect(run, place)
    hooks, writes = [replace(hook) for hook in place.hooks], place.writes

    again = connect(run, place, "--json")

    assert again.code == 0
    assert place.writes == writes and place.hooks == hooks
    assert {one["action"] for one in again.json["subscriptions"]} == {"none"}


def test_a_slash_at_the_end_of_the_url_makes_no_second_set(place, run):
    connect(run, place)
    connect(run, place, url=PUBLIC_URL + "/")

    assert len(place.hooks) == len(LOOP_NEEDS)


def test_an_inactive_webhook_is_activated_not_doubled(place, run):
    connect(run, place)
    place.hooks[2].status = "inactive"

    done = connect(run, place, "--json")

    assert done.code == 0
    assert len(place.hooks) == len(LOOP_NEEDS) and place.hooks[2].status == "active"
    assert [one["tells"] for one in done.json["subscriptions"] if one["action"] == "activated"] == ["return.closed (return)"]


def test_webhooks_that_tell_somebody_else_are_shown_and_not_touched(place, run):
    with place.box.world.lock:
        other = place.box.world.loop("acme").subscribe("return", "return.created", "https://other.example.com/hook?key=theirs", "inactive")

    done = connect(run, place)

    assert "https://other.example.com/hook" in done.out and "theirs" not in done.out
    assert other in place.hooks and other.status == "inactive"
    assert len(place.hooks) == len(LOOP_NEEDS) + 1


def test_a_dry_run_shows_what_would_be_done_and_does_nothing(place, run):
    shown = connect(run, place, "--dry-run", "--json")

    assert shown.code == 0
    assert place.writes == 0
    assert [one["action"] for one in shown.json["subscriptions"]] == ["create"] * (len(LOOP_NEEDS) + 1)


def test_the_callback_of_another_receiver_is_only_taken_over_when_asked(place, run):
    place.box.world.masonhub("acme").register("https://other.example.com/rma", "rmaEvent", "2.0", "theirs")

    kept = connect(run, place)
    assert kept.code == 1 and "--replace-callback" in kept.err
    assert [one.url for one in place.callbacks] == ["https://other.example.com/rma"]

    taken = connect(run, place, "--replace-callback")
    assert taken.code == 0, taken.err
    assert [one.url for one in place.callbacks] == [CALLBACK]


def test_our_own_callback_follows_when_the_receiver_moves(place, run):
    connect(run, place, url="https://old.example.com")

    assert connect(run, place).code == 0
    assert [one.url for one in place.callbacks] == [CALLBACK]


def test_a_callback_in_the_old_version_is_registered_in_the_new_one(place, run):
    place.box.world.masonhub("acme").register(CALLBACK, "rmaEvent", "1.0", "token")

    assert connect(run, place).code == 0
    assert [one.api_version for one in place.callbacks] == ["2.0"]


def test_a_new_callback_token_is_registered_when_asked(place, run, monkeypatch):
    connect(run, place)
    monkeypatch.setenv("ACME_MASONHUB_CALLBACK_TOKEN", "a-new-token-of-our-own-making")

    connect(run, place)
    assert place.callbacks[0].token == place.box.keys["acme"].masonhub_callback_token
    connect(run, place, "--replace-callback")
    assert place.callbacks[0].token == "a-new-token-of-our-own-making"


def test_a_key_without_developer_tools_is_explained_and_masonhub_connected_all_the_same(place, run):
    account = place.box.world.loop("acme")
    account.keys[place.box.keys["acme"].loop_api_key] = frozenset({"returns"})

    done = connect(run, place)

    assert done.code == 1
    assert "Developer Tools" in done.err and "Tools & integrations" in done.err
    assert place.hooks == [] and [one.url for one in place.callbacks] == [CALLBACK]


def test_what_could_not_be_registered_is_told_and_the_rest_is_done(place, run):
    place.box.world.fault("503", "loop.webhooks.create", record="return.closed")

    done = connect(run, place, "--json")

    assert done.code == 1
    assert len(place.hooks) == len(LOOP_NEEDS) - 1
    assert [one["tells"] for one in done.json["subscriptions"] if one["action"] == "failed"] == ["return.closed (return)"]
    assert connect(run, place).code == 0 and len(place.hooks) == len(LOOP_NEEDS)


def test_a_webhook_whose_answer_was_lost_is_seen_by_reading_back(place, run):
    place.box.world.fault("lost_after", "loop.webhooks.create")

    assert connect(run, place).code == 0
    assert len(place.hooks) == len(LOOP_NEEDS)


def test_a_callback_that_masonhub_silently_refuses_is_told(place, run):
    long_url = PUBLIC_URL + "/" + "a" * 250

    done = connect(run, place, url=long_url)

    assert done.code == 1 and "does not show it as active" in done.err


def test_the_webhook_secret_is_left_to_a_person(place, run):
    todo = connect(run, place, "--json").json["by_hand"]

    assert any("env:ACME_LOOP_WEBHOOK_SECRET" in one for one in todo)
    assert any(PUBLIC_URL in one and "serve" in one for one in todo)


def test_a_merchant_without_a_callback_token_is_told_to_make_one(place, run):
    place.rewrite('callback_token = "env:ACME_MASONHUB_CALLBACK_TOKEN"\n', "")

    done = connect(run, place)

    assert done.code == 1 and "callback_token" in done.err
    assert place.callbacks == [] and len(place.hooks) == len(LOOP_NEEDS)


@pytest.mark.parametrize(
    "url", ["http://returns.example.com", "returns.example.com", "https://me:pw@returns.example.com", "https://a.example/?x=1"]
)
def test_a_url_that_is_not_plain_https_is_bad_use(place, run, url):
    done = connect(run, place, url=url)

    assert done.code == 2 and "--public-url" in done.err
    assert place.box.world.journal.calls() == []


def test_http_is_allowed_on_loopback(place, run):
    assert connect(run, place, url="http://127.0.0.1:8787").code == 0


def test_no_secret_is_ever_printed(place, run):
    outputs = [connect(run, place), connect(run, place, "--json")]

    for value in place.box.keys["acme"].values():
        assert all(value not in one.out + one.err for one in outputs)


def test_airhouse_is_a_matter_for_its_account_manager(place, run, monkeypatch):
    from backhaul.sandbox.settings import config_toml

    place.config.write_text(config_toml(place.box, warehouses={"acme": "airhouse"}))

    done = connect(run, place)

    assert done.code == 0
    assert f"{PUBLIC_URL}/webhooks/acme/airhouse" in done.out and "account manager" in done.out
