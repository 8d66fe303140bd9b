"""Bad config, bad keys, bad answers, bad records, a store that is away: what fails, what it says, and that a rerun completes."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from backhaul.errors import BackhaulError, StoreError, StructuralError
from backhaul.sandbox import scenarios
from backhaul.sandbox.loop.wire import shopper
from backhaul.store import engine
from tests.e2e.house import House

TWO = {"acme": {}, "zeta": {}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[store]", "[store]\ncolour = 'red'"), r"store\.colour: unknown key"),
        ((r"http://", "ftp://"), r"base_url: .*URL"),
        (("sqlite:///", "nosuch:///"), r"store\.url is not a usable URL"),
        (('"env:ACME_LOOP_API_KEY"', '"env:NOBODY_SET_THIS"'), r"merchants\.acme\.loop\.api_key: env:NOBODY_SET_THIS is not set"),
    ],
)
def test_a_config_that_cannot_be_used_is_exit_2_and_one_line(house: House, change: tuple[str, str], words: str) -> None:
    text = house.file.read_text().replace('"loop"', "loop").replace('"api_key"', "api_key").replace('"store"', "store")
    assert change[0] in text
    house.file.write_text(text.replace(*change))
    done = house.command("sync")
    assert done.returncode == 2
    assert re.search(words, done.stderr), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stdout == ""


def test_a_merchant_that_nobody_knows_is_exit_2_and_names_those_there_are(house: House) -> None:
    done = house.command("sync", "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == "backhaul: no merchant 'nobody' in the config; it has: acme"


def test_a_key_that_loop_does_not_accept_fails_that_merchant_alone_and_says_which_key_and_scope(build: Callable[..., House]) -> None:
    house = build(TWO)
    return_id = house.shop(merchant="zeta")
    house.world.loop("acme").keys.clear()
    done = house.command("sync", "--json")
    assert done.returncode == 1
    acme, zeta = json.loads(done.stdout)
    assert "env:ACME_LOOP_API_KEY" in acme["error"] and "scope returns" in acme["error"]
    assert zeta["error"] is None and house.effects("masonhub.create", return_id, "zeta") == 1
    assert [run["state"] for run in house.runs("acme")] == ["failed"]
    assert [run["state"] for run in house.runs("zeta")] == ["completed"]
    said = done.stdout + done.stderr + json.dumps(house.runs("acme"), default=str)
    assert not [secret for secret in house.env.values() if secret in said]


@pytest.mark.parametrize("kind", ["html", "malformed"])
def test_a_list_page_that_is_not_json_is_read_again(house: House, kind: str) -> None:
    house.shop()
    house.world.fault(kind, "loop.list", times=2)
    assert house.sync().counts["records_in"] == 1


def test_a_list_page_that_never_is_json_fails_the_window_whole(house: House) -> None:
    house.sync()
    house.shop()
    before = house.dump()
    house.world.fault("html", "loop.list", times=None, after=2)
    with pytest.raises(BackhaulError, match="JSON"):
        house.sync()
    assert house.dump() == before
    house.world.faults.clear()
    house.sync()
    assert house.effects("masonhub.create") == 1


def test_a_shipping_notice_that_cannot_be_read_stops_nothing(house: House) -> None:
    return_id = house.shop()
    house.world.fault("html", "loop.asn", times=None)
    assert house.sync().counts["asn_unavailable"] == 1
    assert house.effects("masonhub.create", return_id) == 1


def test_records_that_break_a_rule_are_quarantined_whole_and_released_by_a_better_version(house: House) -> None:
    made = scenarios.populate(house.world, "acme", 30, days=5, malformed=5)
    counts = house.sync().counts
    spoiled = {str(number) for number in made.spoiled_ids}
    held = house.rows("SELECT * FROM quarantine WHERE released_at IS NULL")
    assert {row["record_key"] for row in held} == spoiled
    assert all(row["rules"] and row["reason"] for row in held)
    assert counts["records_in"] == 30 == counts["records_out"] + counts.get("unchanged", 0) + counts["quarantined"]
    stored = {row["return_id"] for row in house.rows("SELECT return_id FROM returns")}
    assert stored == {str(number) for number in made.return_ids} - spoiled
    assert not house.rows("SELECT 1 FROM return_lines WHERE return_id NOT IN (SELECT return_id FROM returns)")
    assert house.exceptions() >= {"quarantined"} and "asn_only" not in house.exceptions()
    assert house.sync().counts.get("quarantined", 0) == 0
    first = made.spoiled_ids[0]
    item = house.world.loop("acme").need(first)
    item.extra.clear()
    item.lines[0].extra.clear()
    house.world.loop("acme").change(item)
    house.sync()
    assert house.rows("SELECT * FROM quarantine WHERE record_key = :k AND released_at IS NULL", k=str(first)) == []
    assert house.standing(str(first))["loop_state"] == item.state


def test_quarantine_can_be_listed_and_retried_from_the_command_line(house: House) -> None:
    made = scenarios.populate(house.world, "acme", 12, days=5, malformed=2)
    house.sync()
    listed = json.loads(house.command("quarantine", "list", "--json").stdout)
    assert {row["record_key"] for row in listed} == {str(number) for number in made.spoiled_ids}
    item = house.world.loop("acme").need(made.spoiled_ids[0])
    item.extra.clear()
    item.lines[0].extra.clear()
    item.list_json = None  # put right at the source, without a new time that a sync would see
    done = house.command("quarantine", "retry", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"merchant": "acme", "released": 1, "still_held": 1}]
    assert house.standing(str(item.id))["decision"] is not None


def test_a_window_of_which_a_fifth_is_bad_fails_whole_and_moves_no_watermark(house: House) -> None:
    house.sync()
    scenarios.populate(house.world, "acme", 200, days=5, malformed=60)
    before = house.dump()
    with pytest.raises(StructuralError, match="60 of 200"):
        house.sync()
    assert house.dump() == before
    assert house.runs()[-1]["state"] == "failed"


def test_fifty_bad_records_among_many_good_ones_are_quarantined(house: House) -> None:
    scenarios.populate(house.world, "acme", 300, days=5, malformed=55)
    assert house.sync().counts["quarantined"] == 55


def test_a_receipt_that_breaks_a_rule_keeps_its_return_waiting_and_the_counts_still_add_up(house: House) -> None:
    return_id, other = house.shop(), house.shop()
    house.sync()
    house.receive(return_id)
    house.receive(other)
    house.rma(return_id).lines[0]["receiving_details"] = {"available": [{"notes": "", "quantity": -1}]}
    counts = house.sync().counts
    assert house.outcome(return_id)[:2] == ("wait", [])
    assert "receipt_quarantined" in house.exceptions(return_id)
    assert house.outcome(other) == ("process", [], "processed")
    run = house.runs()[-1]
    assert run["records_in"] == run["records_out"] + run["unchanged"] + run["quarantined"]
    assert counts["receipts_in"] == counts["receipts_out"] + counts["receipts_quarantined"]
    quiet = house.dump()
    house.sync()
    house.sync()
    assert house.dump()["quarantine"] == quiet["quarantine"]
    house.receive(return_id)
    house.sync()
    assert house.outcome(return_id) == ("process", [], "processed")
    assert house.exceptions(return_id) == set()


def test_a_store_that_another_program_locks_fails_the_run_and_the_rerun_completes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    return_id = house.shop()
    monkeypatch.setattr(engine, "_BUSY_MS", 100)
    other = sqlite3.connect(sa.make_url(house.store_url).database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        house.sync()
    other.execute("ROLLBACK")
    other.close()
    house.sync()
    assert house.effects("masonhub.create", return_id) == 1


def test_postgresql_going_away_in_the_middle_fails_the_run_and_the_rerun_completes(
    build: Callable[..., House], postgres: str, postgres_url: str
) -> None:
    house = build(store_url=postgres_url)
    return_id, name = house.shop(), sa.make_url(postgres_url).database
    house.sync()
    house.receive(return_id)
    server = sa.create_engine(postgres, isolation_level="AUTOCOMMIT")
    asked = house.world.journal.count("masonhub.list")
    house.world.fault("slow", "masonhub.list", seconds=1.0)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(house.sync)
        while house.world.journal.count("masonhub.list") == asked:
            time.sleep(0.01)
        with server.connect() as connection:
            connection.execute(sa.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            connection.execute(sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name})
        with pytest.raises(StoreError):
            run.result()
    with server.connect() as connection:
        connection.execute(sa.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    server.dispose()
    house.store.close()  # the test's own connections were ended too
    house.sync()
    assert house.outcome(return_id) == ("process", [], "processed")


def test_no_secret_and_no_customer_reaches_the_store_the_screen_or_an_error(build: Callable[..., House]) -> None:
    house = build(TWO)
    scenarios.populate(house.world, "acme", 60, days=6, malformed=6)
    house.world.loop("zeta").keys.clear()
    house.sync()
    scenarios.receive_some(house.world, "acme", 0.8, blind=1)
    done = house.command("sync")
    said = done.stdout + done.stderr
    some = house.rows("SELECT return_id FROM returns LIMIT 1")[0]["return_id"]
    for words in (("runs", "--json"), ("quarantine", "list", "--json"), ("show", some, "--json"), ("show", some)):
        done = house.command(*words)
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr
    personal = customers(house)
    house.store.close()
    stored = b"".join(path.read_bytes() for path in Path(sa.make_url(house.store_url).database or "").parent.glob("store.db*"))
    assert len(personal) > 20 and b"TEE-" in stored
    for word in (*personal, *house.env.values()):
        assert word.encode() not in stored, word
        assert word not in said, word


def customers(house: House) -> set[str]:
    """The e-mail addresses, names and comments of the simulated customers."""
    people = [shopper(item.shopper) for item in house.world.loop("acme")]
    names = {f"{person['first_name']} {person['last_name']}" for person in people} | {person["last_name"] for person in people}
    comments = {line.comment for item in house.world.loop("acme") for line in item.lines}
    return {text for text in {person["email"] for person in people} | names | comments if len(text) > 4}
