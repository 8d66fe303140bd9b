"""The deployments of prefect.yaml, for real: a server, a work pool, a worker process, simulated vendors."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backhaul.domain.words import ExceptionKind
from backhaul.sandbox import scenarios
from backhaul.sandbox.core.faults import Fault
from backhaul.sandbox.settings import config_env
from backhaul.store.engine import Store
from backhaul.store.exceptions import raise_exception
from backhaul.store.transaction import Transaction
from flows.sync import sync
from tests.deployments.conftest import MERCHANTS, Fleet, wait_for

QUICK_RETRY = {"PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS": "1"}


def _rows(fleet: Fleet, query: str, *values: object) -> list[tuple]:
    connection = sqlite3.connect(fleet.database)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def _tasks(fleet: Fleet, flow_run_id: str) -> dict[str, str]:
    found = fleet.call("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [flow_run_id]}}})
    return {one["name"]: one["state"]["type"] for one in found if one["state"]}


def test_each_deployment_runs_one_at_a_time_and_describes_its_parameters(fleet: Fleet) -> None:
    deployments = {found["name"]: found for found in fleet.call("POST", "/deployments/filter", {})}
    assert sorted(deployments) == ["audit", "backfill", "backfill-share", "notify", "prune", "reconcile", "sync", "sync-share"]
    for name in ("sync", "reconcile", "audit", "notify", "prune", "backfill"):
        found = deployments[name]
        assert found["global_concurrency_limit"]["limit"] == 1
        assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        assert found["enforce_parameter_schema"] is True
        assert found["tags"] == ["backhaul"] and found["description"]
        assert found["pull_steps"] == [{"prefect.deployments.steps.set_working_directory": {"directory": fleet.env["BACKHAUL_HOME"]}}]
    asked = deployments["backfill"]["parameter_openapi_schema"]["properties"]
    assert asked["workers"]["maximum"] == 16 and "time with its zone" in asked["start"]["description"]
    schedules = {name: [one["schedule"] for one in found["schedules"]] for name, found in deployments.items()}
    assert schedules["sync"][0]["interval"] == 300
    assert (schedules["reconcile"][0]["cron"], schedules["audit"][0]["cron"]) == ("7 * * * *", "20 3 * * *")
    assert schedules["backfill"] == schedules["backfill-share"] == schedules["sync-share"] == []


def test_a_scheduled_run_completes_and_is_on_record_in_both_histories(fleet: Fleet) -> None:
    deployment = fleet.call("GET", "/deployments/name/sync-all/sync")
    soon = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
    schedule = {"schedule": {"interval": 86_400, "anchor_date": soon, "timezone": "UTC"}, "active": True}
    fleet.call("POST", f"/deployments/{deployment['id']}/schedules", [schedule])

    def finished() -> list[dict]:
        ended = {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}
        asked = {"flow_runs": {"deployment_id": {"any_": [deployment["id"]]}, "state": ended}}
        return fleet.call("POST", "/flow_runs/filter", asked)

    run = wait_for(finished)[0]
    assert run["auto_scheduled"] is True and run["state"]["type"] == "COMPLETED", run["state"]
    assert fleet.call("POST", "/flow_runs/filter", {"flows": {"name": {"any_": ["sync"]}}}) == []  # one run a round
    ours = dict(_rows(fleet, "SELECT merchant, flow_run_id FROM runs WHERE flow = 'sync' AND state = 'completed'"))
    assert ours == dict.fromkeys(MERCHANTS, run["id"])
    told = fleet.call("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
    [table] = [json.loads(one["data"]) for one in told if one["key"] == "sync-all"]
    assert {(row["merchant"], row["state"]) for row in table} == {(name, "done") for name in MERCHANTS}
    wait_for(lambda: _tasks(fleet, run["id"]) == {"sync acme": "COMPLETED", "sync zenith": "COMPLETED"})  # both had news
    for name in MERCHANTS:
        announced = _rows(fleet, "SELECT count(*) FROM deliveries WHERE merchant = ? AND kind = 'rma.create'", name)[0][0]
        assert announced > 0 and fleet.box.world.journal.effects(name, "masonhub.create") in (0, announced)


def test_one_merchant_that_fails_stops_no_other_and_the_run_is_tried_again(fleet: Fleet) -> None:
    fleet.box.world.faults.add(Fault(target="loop.list", kind="401", times=1, merchant="acme"))
    run = fleet.start("sync-all/sync", env=QUICK_RETRY)
    assert fleet.until(run, "Completed", "Failed", "Crashed") == "Completed"
    assert "AwaitingRetry" in fleet.states(run)
    again = "SELECT count(*) FROM runs WHERE flow_run_id = ? AND merchant = ?"
    assert [_rows(fleet, again, str(run), name) for name in ("acme", "zenith")] == [[(2,)], [(1,)]]  # only what failed is done again
    wait_for(lambda: _tasks(fleet, str(run)).get("sync acme") == "FAILED")
    newest = "SELECT state FROM runs WHERE merchant = ? AND flow = 'sync' ORDER BY started_at DESC LIMIT 2"
    assert [state for (state,) in _rows(fleet, newest, "acme")] == ["completed", "failed"]
    assert [state for (state,) in _rows(fleet, newest, "zenith")] == ["completed", "completed"]


def test_a_cancelled_run_leaves_nothing_half_done_and_the_next_one_finishes_the_job(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    world, merchant = fleet.box.world, "zenith"
    new = set(map(str, scenarios.shop(world, merchant, 12)))
    world.faults.add(Fault(target="masonhub.*", kind="slow", times=None, seconds=2.0, merchant=merchant))
    before = world.journal.count(merchant=merchant)
    run = fleet.start("sync-all/sync", {"merchants": [merchant]})
    fleet.until(run, "Running")
    wait_for(lambda: world.journal.count("loop.list", merchant) and world.journal.count(merchant=merchant) >= before + 5)
    fleet.call("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    assert fleet.until(run, "Cancelled", "Crashed", "Completed") == "Cancelled"
    state, error = _rows(fleet, "SELECT state, error FROM runs WHERE merchant = ? ORDER BY started_at DESC LIMIT 1", merchant)[0]
    assert state == "failed" and error
    headers = {key for (key,) in _rows(fleet, "SELECT return_id FROM returns WHERE merchant = ?", merchant)}
    with_lines = {key for (key,) in _rows(fleet, "SELECT DISTINCT return_id FROM return_lines WHERE merchant = ?", merchant)}
    assert headers == with_lines  # whole returns or none
    world.faults.clear()
    for name, value in config_env(fleet.box).items():
        monkeypatch.setenv(name, value)
    sync.fn(merchant, config=str(fleet.config))
    headers = {key for (key,) in _rows(fleet, "SELECT return_id FROM returns WHERE merchant = ?", merchant)}
    assert new <= headers
    tried = "SELECT return_id FROM deliveries WHERE merchant = ? AND kind = 'rma.create' AND attempts > 0"
    announced = {key for (key,) in _rows(fleet, tried, merchant)} - _leased(fleet, merchant)
    assert {rma.customer_identifier for rma in world.masonhub(merchant).rmas} >= announced
    keys = [rma.customer_identifier for rma in world.masonhub(merchant).rmas]
    assert len(keys) == len(set(keys))


def _leased(fleet: Fleet, merchant: str) -> set[str]:
    query = "SELECT return_id FROM deliveries WHERE merchant = ? AND state = 'sending'"  # until its lease runs out nobody sends it
    return {key for (key,) in _rows(fleet, query, merchant)}


def test_the_command_calls_the_pools_workers_in_and_ends_with_every_window_done_once(fleet: Fleet) -> None:
    now = fleet.box.world.now
    span = ["--from", f"{now - timedelta(weeks=20):%Y-%m-%d}", "--to", f"{now:%Y-%m-%d}", "--fan-out", "1"]
    command = [str(Path(sys.executable).with_name("backhaul")), "--config", str(fleet.config), "backfill", "acme", *span]
    done = subprocess.run(command, env=fleet.env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    windows = _rows(fleet, "SELECT state, attempts FROM windows WHERE merchant = 'acme' AND purpose = 'backfill'")
    assert len(windows) >= 20 and set(windows) == {("completed", 1)}
    called = fleet.call("POST", "/flow_runs/filter", {"flow_runs": {"name": {"like_": "-share-"}}})
    assert len(called) == 1
    assert wait_for(lambda: fleet.call("GET", f"/flow_runs/{called[0]['id']}")["state"]["name"] in ("Completed", "Cancelled"))


def test_the_zombie_automation_is_one_that_the_server_takes(fleet: Fleet) -> None:
    fleet.prefect("automation", "create", "--from-file", "automations.yaml")
    found = fleet.call("POST", "/automations/filter", {})
    mine = next(one for one in found if one["name"] == "crash-zombie-runs")
    assert mine["trigger"]["posture"] == "Proactive" and mine["trigger"]["within"] == 180.0
    assert mine["actions"][0]["state"] == "CRASHED"


def test_what_needs_a_person_is_an_event_that_an_automation_can_act_on(fleet: Fleet) -> None:
    store = Store(f"sqlite:///{fleet.database}").ready()
    with store.write() as connection:
        tx = Transaction(connection, MERCHANTS[0], "run", datetime.now(UTC))
        raise_exception(tx, ExceptionKind.UNKNOWN_CONDITION, "501", "words of a vendor", "501")
    store.close()
    told = subprocess.run(
        [Path(sys.executable).with_name("backhaul"), "notify", "--json"],
        env=fleet.env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    resource = f"backhaul.{MERCHANTS[0]}.{ExceptionKind.UNKNOWN_CONDITION}"

    def events() -> list[dict]:
        asked = {"filter": {"event": {"name": ["backhaul.needs-a-person"]}}}
        found = fleet.call("POST", "/events/filter", asked)["events"]
        return [one for one in found if one["resource"]["prefect.resource.id"] == resource]

    event = wait_for(events)[0]
    assert event["payload"]["count"] == 1 and event["payload"]["ids"] == ["501"]
    assert event["payload"]["remedy"] == ExceptionKind.UNKNOWN_CONDITION.remedy
    assert "words of a vendor" not in str(event)
