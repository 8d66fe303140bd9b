"""Results brought in by file: no API of Airhouse's is needed, nothing is half-imported, the same file twice changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backhaul.connectors.airhouse.figures import BadFiguresError
from backhaul.errors import BackhaulError
from tests.airhouse.conftest import TO_AIRHOUSE, TO_MASONHUB, Build, Dock

ASSUMPTIONS = [False, True]


def row(return_id: str, sku: str = "TEE-NVY-M", figures: str = "1,1,1", status: str = "Processed", received: str = "2026-03-09") -> str:
    return f"{return_id},#1001,{sku},{figures},{status},2026-03-02,2026-03-07,{received}"


def test_figures_decide_a_return_without_any_call_to_airhouse(build: Build, store_url: str) -> None:
    dock = build(store_url, assumed=False)
    good, damaged = dock.shop("TEE-NVY-M", "CAP-RED", order_number=1), dock.shop("TEE-NVY-M", order_number=2)
    short, waiting = dock.shop("TEE-NVY-M", "TEE-NVY-M", order_number=3), dock.shop("TEE-NVY-M", order_number=4)
    file = dock.write_csv(
        row(good),
        row(good, "CAP-RED"),
        row(damaged, figures="1,1,0"),
        row(short, figures="2,1,1"),
        row(waiting, figures="1,0,0", status="Delivered"),
    )
    counts = dock.bring_in(file).counts
    assert (counts["returns_in_file"], counts["receipts_out"], counts["delivered"]) == (4, 4, 5)
    assert dock.outcome(good) == ("process", (), "processed")
    assert dock.outcome(damaged) == ("flag", ("damaged",), "flagged")
    assert dock.outcome(short) == ("flag", ("missing",), "flagged")
    assert dock.outcome(waiting) == ("wait", (), "receiving")
    assert dock.writes(good) == ["loop.process"] and dock.writes(waiting) == []
    assert dock.writes(damaged) == dock.writes(short) == ["loop.note", "loop.flag"]
    assert {call.operation.partition(".")[0] for call in dock.world.journal.calls()} == {"loop"}
    assert dock.states(good) == {"loop.process": "confirmed"} and dock.exceptions() == set()
    assert {found["channel"] for found in dock.rows("SELECT channel FROM events WHERE source = 'airhouse'")} == {"file"}

    before = dock.dump()
    dock.bring_in(file)
    assert dock.dump() == before and len(dock.writes()) == 5


def test_a_newer_file_brings_news_and_an_older_one_does_not(build: Build) -> None:
    dock = build(assumed=False)
    return_id = dock.shop("TEE-NVY-M")
    delivered = dock.write_csv(row(return_id, figures="1,0,0", status="Delivered", received=""), name="monday.csv")
    processed = dock.write_csv(row(return_id), name="wednesday.csv")
    dock.bring_in(delivered)
    assert dock.outcome(return_id) == ("wait", (), "receiving")
    dock.bring_in(processed)
    assert dock.outcome(return_id) == ("process", (), "processed")
    before = dock.dump()
    dock.bring_in(delivered)
    assert dock.dump() == before


def test_a_correction_by_file_after_the_process_is_an_exception(build: Build) -> None:
    dock = build(assumed=False)
    return_id = dock.shop("TEE-NVY-M")
    dock.bring_in(dock.write_csv(row(return_id)))
    dock.bring_in(dock.write_csv(row(return_id, figures="1,1,0")))
    assert dock.outcome(return_id) == ("process", (), "processed") and dock.exceptions() == {"correction_after_process"}


def test_a_return_older_than_any_sync_looked_at_is_read_from_loop(build: Build) -> None:
    dock = build(assumed=False)
    return_id = dock.shop("TEE-NVY-M", at=datetime.now(UTC) - timedelta(days=60))
    dock.bring_in(dock.write_csv(row(return_id)))
    assert dock.outcome(return_id) == ("process", (), "processed")
    assert dock.world.journal.count("loop.details") == 1


def test_one_bad_row_keeps_the_whole_file_out(build: Build) -> None:
    dock = build(assumed=False)
    return_id = dock.shop("TEE-NVY-M")
    with pytest.raises(BadFiguresError) as caught:
        dock.bring_in(dock.write_csv(row(return_id), row("1", figures="1,2,3"), row("999"), row("loop-7")))
    assert str(caught.value).splitlines() == [
        "figures.csv: 1 thing to put right; nothing was imported",
        "row 3, restocked: more than received",
    ]
    with pytest.raises(BadFiguresError) as caught:
        dock.bring_in(dock.write_csv(row(return_id), row("999"), row("loop-7")))
    assert [bad.partition(";")[0] for bad in map(str, caught.value.rows)] == [
        "row 3, external_id: Loop shows no return 999",
        "row 4, external_id: Loop shows no return loop-7",
    ]
    assert dock.rows("SELECT * FROM receipts") == [] and dock.writes() == []
    assert [found["state"] for found in dock.rows("SELECT state FROM runs")] == ["failed", "failed"]
    assert "999" not in dock.rows("SELECT error FROM runs ORDER BY started_at DESC LIMIT 1")[0]["error"]


def test_a_file_of_hundreds_of_unknown_returns_asks_for_a_backfill_and_loop_for_none_of_them(build: Build) -> None:
    dock = build(assumed=False)
    with pytest.raises(BackhaulError, match="301 returns are not in the store; backfill the days on which they changed"):
        dock.bring_in(dock.write_csv(*(row(str(10_000 + number)) for number in range(301))))
    assert dock.world.journal.calls("loop.details") == []


@pytest.mark.parametrize("assumed", ASSUMPTIONS)
def test_a_return_of_the_other_warehouse_is_a_bad_row(build: Build, assumed: bool) -> None:
    dock = build(is_routed=True, assumed=assumed)
    theirs, other = (dock.shop("TEE-NVY-M", order_number=n, destination_id=to) for n, to in enumerate((TO_AIRHOUSE, TO_MASONHUB)))
    with pytest.raises(BadFiguresError, match=f"row 3, external_id: return {other} goes to masonhub"):
        dock.bring_in(dock.write_csv(row(theirs), row(other)))
    dock.bring_in(dock.write_csv(row(theirs)))
    assert dock.rows("SELECT rma_key FROM receipts WHERE rma_key = :r", r=theirs) == [{"rma_key": theirs}]


def test_with_the_api_in_use_a_file_s_return_is_closed_there_first(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    held = dock.airhouse.need(return_id)
    held.status = "processed"  # and the news of it was lost
    today = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    dock.bring_in(dock.write_csv(row(return_id, received=today)))
    assert dock.writes() == ["airhouse.create", "airhouse.close", "loop.process"]
    assert dock.rows("SELECT rma_id FROM rmas") == [{"rma_id": held.id}]


def test_a_merchant_who_announces_nothing_syncs_without_the_contract(build: Build) -> None:
    dock = build(assumed=False, policy='announce = "off"')
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    assert dock.outcome(return_id) == ("wait", (), "unannounced") and dock.writes() == []
    dock.bring_in(dock.write_csv(row(return_id)))
    dock.sync()
    assert dock.outcome(return_id) == ("process", (), "processed") and dock.exceptions() == set()


def test_the_command_tells_each_bad_row_and_imports_nothing(build: Build) -> None:
    dock = build(assumed=False)
    return_id = dock.shop("TEE-NVY-M")
    told = dock.command("import", "airhouse", dock.write_csv(row(return_id), row("1", figures="x,1,1"), row("2", status="Lost")))
    assert told.returncode == 1 and told.stdout == ""
    assert [line.partition(": ")[0] for line in told.stderr.splitlines()][1:] == ["row 3, expected", "row 4, status"]

    told = dock.command("import", "airhouse", dock.write_csv(row(return_id)), "--merchant", "acme", "--json")
    assert told.returncode == 0, told.stderr
    assert '"decided_process": 1' in told.stdout and dock.outcome(return_id)[2] == "processed"


def test_bad_use_of_the_command_is_told_in_one_line(build: Build) -> None:
    dock = build(assumed=False)
    assert dock.command("import", "airhouse", "no-such-file.csv").returncode == 2
    told = dock.command("import", "airhouse", dock.write_csv(row("1")), "--merchant", "bolt")
    assert (told.returncode, told.stderr) == (2, "backhaul: no merchant 'bolt' in the config; it has: acme\n")
