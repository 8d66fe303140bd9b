"""`backhaul doctor` on webhooks, from the store alone: a receiver that is not there, webhooks that it refused, and some that stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backhaul.connectors.findings import Finding
from backhaul.store.engine import Store
from backhaul.store.entrances import Refused, tell
from backhaul.store.events import NewEvent, keep
from backhaul.store.tables import entrances
from tests.setup.conftest import Place, freshen

BOTH = [("acme", "loop"), ("acme", "masonhub")]


@pytest.fixture
def look(healthy: Place, findings: Callable[[Place], dict[str, Finding]]) -> Callable[[], dict[str, Finding]]:
    """What doctor finds; everything but webhooks is well, and no vendor needs to answer for it."""

    def _look() -> dict[str, Finding]:
        found = findings(healthy)
        assert {name for name, one in found.items() if one.state != "ok"} <= {"receiver", "webhooks.refused", "webhooks.stopped"}
        return found

    return _look


def change(place: Place, what: Callable[..., Any], *arguments: Any) -> None:
    """Write to the place's store."""
    store = Store(place.store_url)
    with store.write() as connection:
        what(connection, *arguments)
    store.close()


def webhook(received_at: datetime, source: str = "loop") -> NewEvent:
    return NewEvent("acme", source, "return.updated", None, f"{source}-{received_at}", "{}", None, received_at)


def test_a_receiver_that_is_open_and_has_taken_all_in_is_well(look):
    found = look()["receiver"]

    assert found.state == "ok" and found.what == "open for loop and masonhub; 0 events waiting"


def test_a_receiver_that_has_said_nothing_for_five_minutes_is_not_running(healthy, look):
    change(healthy, tell, BOTH, {}, datetime.now(UTC) - timedelta(minutes=6))

    found = look()["receiver"]

    assert found.state == "warn" and "no receiver is open for loop and masonhub: the last was 6 min ago" in found.what
    assert "backhaul serve" in found.remedy


def test_a_receiver_that_never_was_is_told(healthy, look):
    change(healthy, lambda connection: connection.execute(entrances.delete()))

    found = look()["receiver"]

    assert found.state == "warn" and "none has ever been" in found.what and "backhaul serve" in found.remedy


def test_an_entrance_that_the_running_receiver_does_not_know_is_named(healthy, look):
    change(healthy, lambda connection: connection.execute(entrances.delete().where(entrances.c.source == "masonhub")))

    found = look()["receiver"]

    assert found.state == "warn" and "no receiver is open for masonhub:" in found.what and "start it anew" in found.remedy


def test_a_merchant_without_a_webhook_secret_needs_no_receiver(healthy, findings):
    lines = healthy.config.read_text().splitlines(keepends=True)
    healthy.config.write_text("".join(line for line in lines if not line.startswith(("webhook_secret", "callback_token"))))
    change(healthy, lambda connection: connection.execute(entrances.delete()))

    found = findings(healthy)["receiver"]

    assert found.state == "ok" and "no receiver is needed" in found.what


def test_events_that_wait_beside_an_open_receiver_are_told(healthy, look):
    change(healthy, keep, [webhook(datetime.now(UTC) - timedelta(minutes=12)), webhook(datetime.now(UTC))])

    found = look()["receiver"]

    assert found.state == "warn" and "2 events waiting, the oldest came 12 min ago" in found.what
    assert "backhaul runs" in found.remedy and "backhaul sync acme" in found.remedy


def test_a_webhook_that_came_just_now_may_wait(healthy, look):
    change(healthy, keep, [webhook(datetime.now(UTC))])

    assert look()["receiver"].what.endswith("1 event waiting, the oldest came just now")
    assert look()["receiver"].state == "ok"


def test_webhooks_refused_lately_are_counted_with_the_secret_to_compare(healthy, look):
    now = datetime.now(UTC)
    change(healthy, tell, BOTH, {("acme", "loop"): Refused(3, 413)}, now - timedelta(hours=2))
    change(healthy, tell, BOTH, {("acme", "loop"): Refused(2, 401)}, now)

    found = look()["webhooks.refused"]

    assert found.state == "warn"
    assert found.what == "loop: 5 requests refused, the first 2 h ago, the last just now (401: no valid proof); none was ever taken in"
    assert "env:ACME_LOOP_WEBHOOK_SECRET" in found.remedy and "backhaul serve" in found.remedy and "stranger" in found.remedy


@pytest.mark.parametrize(("status", "word"), [(413, "too large"), (400, "not a webhook's JSON"), (503, "the store was away")])
def test_a_refusal_says_why_and_where_to_look(healthy, look, status, word):
    change(healthy, tell, BOTH, {("acme", "masonhub"): Refused(1, status)}, datetime.now(UTC))

    found = look()["webhooks.refused"]

    assert f"masonhub: 1 request refused, just now ({status}: {word})" in found.what and "log of 'backhaul serve'" in found.remedy


def test_refusals_of_another_day_are_over_and_not_counted_with_todays(healthy, look):
    now = datetime.now(UTC)
    change(healthy, tell, BOTH, {("acme", "loop"): Refused(7, 401)}, now - timedelta(hours=30))
    change(healthy, tell, BOTH, {}, now)
    assert look()["webhooks.refused"].state == "ok"

    change(healthy, tell, BOTH, {("acme", "loop"): Refused(1, 401)}, now)
    assert "loop: 1 request refused, just now" in look()["webhooks.refused"].what


@pytest.mark.parametrize(("minutes", "state"), [(90, "warn"), (30, "ok")])
def test_changes_in_loops_list_long_after_its_last_webhook_mean_that_they_stopped(healthy, look, minutes, state):
    now = datetime.now(UTC)
    freshen(healthy, now, newest_news=now - timedelta(minutes=1))
    change(healthy, keep, [webhook(now - timedelta(minutes=minutes + 1)), webhook(now, "masonhub")])

    found = look()["webhooks.stopped"]

    assert found.state == state
    if state == "warn":
        assert found.what == "Loop's list has changes of 1 min ago, and its last webhook came 1 h ago"
        assert "backhaul connect acme" in found.remedy


def test_a_quiet_merchant_whose_list_is_quiet_too_has_lost_no_webhook(healthy, look):
    now = datetime.now(UTC)
    freshen(healthy, now, newest_news=now - timedelta(days=9))
    change(healthy, keep, [webhook(now - timedelta(days=9))])

    assert look()["webhooks.stopped"].state == "ok"
