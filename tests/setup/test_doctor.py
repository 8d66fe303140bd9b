"""`backhaul doctor`: a healthy merchant has nothing to do, and each thing that is broken has its own finding and remedy."""

from __future__ import annotations

import shutil
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest

from backhaul import config
from backhaul.connectors.findings import Check, Health, ok
from backhaul.sandbox.settings import config_toml
from backhaul.setup.checking import run_checks
from backhaul.setup.diagnosis import diagnose
from tests.setup.conftest import PUBLIC_URL, failed

KEY_NAME = "ACME_LOOP_API_KEY"


def test_a_healthy_merchant_has_nothing_to_do(healthy, run):
    done = run("--config", healthy.config, "doctor")

    assert done.code == 0, done.out
    assert "0 to look at, 0 failed" in done.out and "What to do" not in done.out


def test_what_is_checked_of_a_masonhub_merchant(healthy, findings):
    assert list(findings(healthy)) == [
        "config",
        "prefect",
        "store.schema",
        "store.write",
        "sync.age",
        "reasons",
        "circuits",
        "pauses",
        "receiver",
        "webhooks.refused",
        "webhooks.stopped",
        "secret.loop.api_key",
        "secret.loop.webhook_secret",
        "loop.key_length",
        "loop.key",
        "loop.scopes",
        "loop.webhooks",
        "loop.clock",
        "secret.masonhub.token",
        "secret.masonhub.callback_token",
        "masonhub.token",
        "masonhub.callbacks",
        "masonhub.clock",
    ]


def test_a_look_changes_nothing_at_a_vendor_nor_in_the_store(healthy, run):
    writes, before = healthy.writes, dump(healthy)

    run("--config", healthy.config, "doctor")

    assert healthy.writes == writes
    assert dump(healthy) == before


def test_a_key_that_loop_does_not_know_fails_as_the_key_alone(healthy, findings, monkeypatch):
    monkeypatch.setenv(KEY_NAME, "f" * 40)

    found = findings(healthy)

    assert failed(found) == {"loop.key"}
    assert f"env:{KEY_NAME}" in found["loop.key"].remedy and "Developer Tools" in found["loop.key"].remedy


def test_a_key_cut_short_is_noticed_and_never_shown(healthy, run, findings, monkeypatch):
    short = healthy.box.keys["acme"].loop_api_key[:31]
    monkeypatch.setenv(KEY_NAME, short)

    found = findings(healthy)

    assert found["loop.key_length"].state == "warn" and "31 characters" in found["loop.key_length"].what
    assert "Copy the whole key" in found["loop.key_length"].remedy
    assert short not in run("--config", healthy.config, "doctor").out


def test_a_key_of_another_length_that_loop_accepts_is_a_warning_only(healthy, run, monkeypatch):
    account = healthy.box.world.loop("acme")
    account.keys["k" * 64] = account.keys[healthy.box.keys["acme"].loop_api_key]
    monkeypatch.setenv(KEY_NAME, "k" * 64)

    done = run("--config", healthy.config, "doctor", "--json")

    assert done.code == 0
    assert [one["check"] for one in done.json if one["state"] == "warn"] == ["loop.key_length"]


@pytest.mark.parametrize(
    ("scopes", "missing"), [({"returns"}, "Developer Tools"), ({"developer_tools"}, "Returns")], ids=["developer tools", "returns"]
)
def test_a_missing_scope_is_named_and_not_taken_for_a_bad_key(healthy, findings, scopes, missing):
    healthy.box.world.loop("acme").keys[healthy.box.keys["acme"].loop_api_key] = frozenset(scopes)

    found = findings(healthy)

    assert failed(found) == {"loop.scopes"}
    assert found["loop.key"].state == "ok"
    assert found["loop.scopes"].what == f"the key lacks {missing}" and missing in found["loop.scopes"].remedy


@pytest.mark.parametrize(
    ("variable", "check"),
    [
        (KEY_NAME, "secret.loop.api_key"),
        ("ACME_LOOP_WEBHOOK_SECRET", "secret.loop.webhook_secret"),
        ("ACME_MASONHUB_TOKEN", "secret.masonhub.token"),
        ("ACME_MASONHUB_CALLBACK_TOKEN", "secret.masonhub.callback_token"),
    ],
)
def test_a_missing_secret_fails_once_and_names_its_variable(healthy, findings, monkeypatch, variable, check):
    monkeypatch.delenv(variable)

    found = findings(healthy)

    assert failed(found) == {check}
    assert variable in found[check].what and "Export it" in found[check].remedy


def test_a_token_that_masonhub_does_not_know_fails(healthy, findings, monkeypatch):
    monkeypatch.setenv("ACME_MASONHUB_TOKEN", "eyJhbGciOiJIUzI1NiJ9.e30.wrong")

    found = findings(healthy)

    assert failed(found) == {"masonhub.token"}
    assert "integration team" in found["masonhub.token"].remedy


def test_an_inactive_webhook_is_named(healthy, findings):
    healthy.hooks[0].status = "inactive"

    found = findings(healthy)

    assert failed(found) == {"loop.webhooks"}
    assert "return.created (return) is inactive" in found["loop.webhooks"].what
    assert "backhaul connect acme" in found["loop.webhooks"].remedy


def test_webhooks_that_point_to_an_old_place_are_found_when_the_new_one_is_told(healthy, findings):
    moved = findings(healthy, "--public-url", "https://new.example.com")

    assert failed(moved) == {"loop.webhooks", "masonhub.callbacks"}
    assert failed(findings(healthy, "--public-url", PUBLIC_URL)) == set()


def test_vendors_that_know_nothing_of_us_fail(place, findings):
    found = findings(place)

    assert "none points to /webhooks/acme/loop" in found["loop.webhooks"].what
    assert "none points to /webhooks/acme/masonhub" in found["masonhub.callbacks"].what


def test_a_callback_in_the_old_version_fails(healthy, findings):
    healthy.callbacks[0].api_version = "1.0"

    assert failed(findings(healthy)) == {"masonhub.callbacks"}


def test_a_config_that_wants_no_webhooks_is_told_that_it_polls(healthy, findings):
    healthy.rewrite('webhook_secret = "env:ACME_LOOP_WEBHOOK_SECRET"\n', "")

    found = findings(healthy)

    assert failed(found) == set()
    assert found["loop.webhooks"].state == "warn" and "polling" in found["loop.webhooks"].what


@pytest.mark.parametrize(("seconds", "state"), [(10, "ok"), (-90, "warn"), (90, "warn"), (3600, "fail"), (-3600, "fail")])
def test_our_clock_is_measured_against_the_vendors(healthy, seconds, state):
    found = diagnose(config.load(healthy.config), clock=lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    clocks = [finding for finding in found if finding.check in ("loop.clock", "masonhub.clock")]

    assert [finding.state for finding in clocks] == [state, state]
    assert all(("ahead of" in finding.what) is (seconds > 0) for finding in clocks)
    assert all("NTP" in finding.remedy for finding in clocks if finding.state != "ok")


def test_a_vendor_whose_clock_is_ahead_is_told(healthy, findings):
    healthy.box.advance(timedelta(minutes=10))

    found = findings(healthy)

    assert failed(found) == {"loop.clock", "masonhub.clock"}
    assert "behind Loop" in found["loop.clock"].what


def test_a_vendor_that_is_down_does_not_hide_the_other(healthy, findings):
    healthy.box.world.fault("redirect", "loop.*", times=None)

    found = findings(healthy)

    assert failed(found) == {"loop.key"} and "redirected" in found["loop.key"].what
    assert found["masonhub.token"].state == "ok"


def test_a_vendor_that_never_answers_does_not_hold_up_the_rest(healthy):
    healthy.box.world.fault("hang", "loop.list", times=None)
    began = time.monotonic()

    found = {finding.check: finding for finding in diagnose(config.load(healthy.config), patience=1.5)}

    assert time.monotonic() - began < 5
    assert failed(found) == {"loop.key"} and "no answer within 1.5 seconds" in found["loop.key"].what
    assert found["masonhub.callbacks"].state == "ok"


def test_a_check_that_breaks_is_a_finding_and_the_next_one_runs():
    def broken():
        raise ZeroDivisionError

    found = run_checks([[Check("first", "x", broken), Check("second", "x", lambda: ok("second", "x", "well"))]], patience=5)

    assert [(one.check, one.state) for one in found] == [("first", Health.FAIL), ("second", Health.OK)]


def test_an_airhouse_merchant_without_the_contract_cannot_announce(place, findings):
    text = config_toml(place.box, store_url=place.store_url, warehouses={"acme": "airhouse"})
    place.config.write_text(text.replace("assumed_contract = true", "assumed_contract = false"))

    found = findings(place)
    assert found["airhouse.contract"].state == "fail" and 'announce = "off"' in found["airhouse.contract"].remedy

    place.config.write_text(place.config.read_text() + '[merchants.acme.policy]\nannounce = "off"\n')
    found = findings(place)
    assert found["airhouse.contract"].state == found["airhouse.key"].state == "ok"
    assert "secret.airhouse.api_key" not in found


def test_airhouse_is_asked_whether_it_accepts_the_key(place, findings, monkeypatch):
    place.config.write_text(config_toml(place.box, store_url=place.store_url, warehouses={"acme": "airhouse"}))
    assert findings(place)["airhouse.key"].state == "ok"

    monkeypatch.setenv("ACME_AIRHOUSE_API_KEY", "f" * 40)
    found = findings(place)
    assert found["airhouse.key"].state == "fail" and "env:ACME_AIRHOUSE_API_KEY" in found["airhouse.key"].what


def test_a_config_that_does_not_load_is_exit_2(place, run):
    place.rewrite('warehouse = "masonhub"', 'warehouse = "depot"')

    done = run("--config", place.config, "doctor", "--json")

    assert done.code == 2 and "warehouse" in done.err and done.out == ""


@pytest.mark.parametrize("arguments", [("nobody",), ("--public-url", "http://example.com")])
def test_an_unknown_merchant_or_a_bad_url_is_exit_2(healthy, run, arguments):
    assert run("--config", healthy.config, "doctor", *arguments).code == 2


def test_a_failure_is_exit_1_with_its_remedy_printed(healthy, run, monkeypatch):
    monkeypatch.delenv(KEY_NAME)

    done = run("--config", healthy.config, "doctor")

    assert done.code == 1
    assert "secret.loop.api_key (acme): Export it" in done.out


def dump(place):
    copy = place.config.parent / "copy.db"
    for file in place.config.parent.glob("store.db*"):
        shutil.copy(file, str(file).replace("store.db", "copy.db"))
    with sqlite3.connect(copy) as connection:
        return list(connection.iterdump())
