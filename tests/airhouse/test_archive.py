"""The archive: what is over is set aside, nothing is deleted, and open work stands out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from backhaul.store.archive import archive_returns
from tests.airhouse.conftest import Build, Dock


def archive(dock: Dock, days: float = 0) -> int:
    now = datetime.now(UTC) + timedelta(seconds=1)
    with dock.store.write("acme") as connection:
        return archive_returns(connection, "acme", now - timedelta(days=days), now)


def archived(dock: Dock) -> set[str]:
    return {row["return_id"] for row in dock.rows("SELECT return_id FROM returns WHERE archived_at IS NOT NULL")}


def open_work(dock: Dock) -> set[str]:
    return {row["return_id"] for row in dock.rows("SELECT return_id FROM recon_open")}


def test_what_is_over_and_old_enough_is_archived_once(build: Build, store_url: str) -> None:
    dock = build(store_url)
    names = ("processed", "ended", "flagged", "settled", "waiting")
    made = {name: dock.shop("TEE-NVY-M", order_number=number) for number, name in enumerate(names)}
    dock.sync()
    dock.world.receive("acme", made["processed"])
    for name in ("flagged", "settled"):
        dock.world.receive("acme", made[name], "damaged")
    dock.world.cancel_return("acme", made["ended"])
    dock.sync()
    dock.world.close_return("acme", made["settled"])
    dock.sync()
    rows = dock.rows("SELECT * FROM recon_returns ORDER BY return_id")
    assert open_work(dock) == {made["flagged"], made["settled"], made["waiting"]}

    assert archive(dock, days=1) == 0
    assert archive(dock) == 3 and archive(dock) == 0
    assert archived(dock) == {made["processed"], made["ended"], made["settled"]}
    assert open_work(dock) == {made["flagged"], made["waiting"]}
    assert dock.rows("SELECT * FROM recon_returns ORDER BY return_id") == rows


def test_an_archived_return_still_takes_news_and_shows_up_again_when_it_needs_a_person(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    dock.world.receive("acme", return_id)
    dock.sync()
    dock.sync()
    assert archive(dock) == 1 and open_work(dock) == set()
    dock.world.receive("acme", return_id)
    dock.airhouse.need(return_id).items[0]["restocked_quantity"] = 9
    dock.sync()
    assert archived(dock) == open_work(dock) == {return_id}


def test_the_command_archives_and_is_on_record(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M", at=datetime.now(UTC) - timedelta(days=3))
    dock.sync()
    dock.world.cancel_return("acme", return_id)
    dock.sync()
    told = dock.command("archive", "--older-than", "30d", "--json")
    assert (told.returncode, json.loads(told.stdout)) == (0, [{"merchant": "acme", "archived": 0}])
    told = dock.command("archive", "--older-than", "0h", "--merchant", "acme", "--json")
    assert json.loads(told.stdout) == [{"merchant": "acme", "archived": 1}] and archived(dock) == {return_id}
    runs = dock.rows("SELECT state, counts FROM runs WHERE flow = 'archive' ORDER BY started_at")
    assert [row["state"] for row in runs] == ["completed"] * 2 and json.loads(runs[1]["counts"]) == {"archived": 1}


@pytest.mark.parametrize("age", ["30", "soon", "-1d"])
def test_an_age_that_is_none_is_bad_use(dock: Dock, age: str) -> None:
    told = dock.command("archive", f"--older-than={age}")
    assert told.returncode == 2 and "30d, 12h or 8w" in told.stderr
