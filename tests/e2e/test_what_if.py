"""What another policy would have decided: each return taken through its past, and nothing changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from backhaul.config import load
from backhaul.domain.windows import Window
from backhaul.pipeline.supposing import Supposed, changed, what_if
from tests.e2e.conftest import Build
from tests.e2e.house import House


def suppose(house: House, *words: str, merchant: str = "acme", days: int = 0) -> Supposed:
    """What if, of the day before and `days` to come."""
    settings = load(house.file).merchant(merchant)
    now = datetime.now(UTC)
    whole = Window(now - timedelta(days=1), now + timedelta(days=days))
    return what_if(house.store, merchant, settings, whole, changed(settings.policy, words))


def found(supposed: Supposed) -> dict[str, tuple[str, str]]:
    return {one.taken.return_id: (one.decision.kind.value, one.would_be.kind.value) for one in supposed.otherwise}


def test_another_policy_decides_otherwise_only_where_it_says_something(build: Build, store_url: str) -> None:
    house = build({"acme": {}, "hasty": {"policy": {"pending_hold_days": 0}}}, store_url=store_url)
    fine, extra, inspected, pending = (house.shop() for _ in range(4))
    hasty = house.shop(merchant="hasty")
    for merchant in ("acme", "hasty"):
        house.sync(merchant)
    house.receive(fine)
    house.receive(extra, "unexpected")
    for return_id in (inspected, pending):
        house.receive(return_id, "quality_control")
    house.receive(hasty, "quality_control", "hasty")
    house.sync()
    house.sync("hasty")
    house.receive(inspected)
    house.receive(hasty, "all", "hasty")
    house.sync()
    house.sync("hasty")
    decided = [house.outcome(one)[0] for one in (fine, extra, inspected, pending)] + [house.outcome(hasty, "hasty")[0]]
    assert decided == ["process", "process", "process", "hold", "flag"]

    before, writes = house.dump(), len(house.world.journal.writes())
    assert found(suppose(house, "unexpected=flag")) == {extra: ("process", "flag")}
    # A process that came after an inspection would have been a flag by then.
    shorter = suppose(house, "pending_hold_days=0")
    assert found(shorter) == {inspected: ("process", "flag"), pending: ("hold", "flag")}
    assert found(suppose(house, "pending_hold_days=9")) == {}
    # A flag whose units turned out well after it would have been a process; what Loop shows since is our own doing.
    assert found(suppose(house, "pending_hold_days=5", merchant="hasty")) == {hasty: ("flag", "process")}
    [row] = [one.row() for one in suppose(house, "unexpected=flag").otherwise]
    assert (row["units"], row["would_be_reasons"]) == (1, ["unexpected"])
    value = house.standing(extra)["return_total"]
    change = {
        "decision": "process",
        "would_be": "flag",
        "currency": row["currency"],
        "returns": 1,
        "units": 1,
        "value": Decimal(str(value)),
    }
    assert suppose(house, "unexpected=flag").changes() == [change]
    assert house.dump() == before and len(house.world.journal.writes()) == writes

    today = datetime.now(UTC).date()
    span = ("--from", str(today - timedelta(days=1)), "--to", str(today + timedelta(days=1)), "--merchant", "acme")
    told = house.command("what-if", "--set", "pending_hold_days=0", *span, "--json")
    assert [one["would_be"] for one in json.loads(told.stdout)[0]["otherwise"]] == ["flag", "flag"]
    shown = house.command("what-if", "--set", "pending_hold_days=0", *span).stdout
    assert "acme: 2 of 4 returns would be decided otherwise" in shown and "flag (inspection_overdue)" in shown
    for words, why in (("announce=off", "announce decides nothing"), ("hold=3", "hold: unknown key"), ("unexpected=maybe", "unexpected: ")):
        refused = house.command("what-if", "--set", words, *span)
        assert refused.returncode == 2 and why in refused.stderr


def test_a_past_that_is_no_longer_kept_is_not_guessed(house: House) -> None:
    pending = house.shop()
    house.sync()
    house.receive(pending, "quality_control")
    house.sync()
    assert found(suppose(house, "pending_hold_days=0")) == {pending: ("hold", "flag")}
    # A hold falls due within the range though nothing new is told by then.
    assert found(suppose(house, "pending_hold_days=3", days=4)) == {pending: ("hold", "flag")}
    assert found(suppose(house, "pending_hold_days=3", days=2)) == {}
    with house.store.write() as connection:
        connection.exec_driver_sql("UPDATE events SET body = '' WHERE source = 'masonhub'")
    supposed = suppose(house, "pending_hold_days=0")
    assert (supposed.unreadable, supposed.otherwise) == ([pending], [])


@pytest.mark.parametrize("words", ["pending_hold_days=-1", "pending_hold_days", "=1"])
def test_what_is_no_policy_is_refused(house: House, words: str) -> None:
    with pytest.raises(Exception, match=r"pending_hold_days: |unknown key"):
        suppose(house, words)
