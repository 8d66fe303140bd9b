"""The clock, the scenarios, the control API, and the settings that point Backhaul here."""

from __future__ import annotations

import time
import tomllib
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from backhaul.connectors.shipbob.settings import ShipBobSettings
from backhaul.sandbox import Sandbox, World, config_env, config_toml, scenarios, serve
from backhaul.sandbox.masonhub.wire import record
from backhaul.sandbox.shipbob.state import CENTER, CHANNEL, ShipBobAccount
from tests.sandbox.receiver import Receiver

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def announce_all(box: Sandbox, masonhub: httpx.Client) -> int:
    """An RMA for each open return, by hand."""
    bodies = []
    for item in box.world.loop("acme"):
        skus = [line.sku for line in item.lines if line.sku]
        if item.state == "open" and skus:
            lines = [{"customer_sku_id": sku, "quantity": skus.count(sku), "return_reason_code": "other"} for sku in sorted(set(skus))]
            lines = [line | {"return_inventory_status": "qc"} for line in lines]
            head = {"customer_identifier": str(item.id), "return_type": "rma_submitted_by_customer", "generate_return_label": False}
            bodies.append(head | {"package_id": f"LOOP-{item.id}", "line_items": lines})
    for at in range(0, len(bodies), 30):
        assert masonhub.post("/rmas", json=bodies[at : at + 30]).json()["records_failed"] == 0
    return len(bodies)


def test_time_starts_at_the_real_now_and_never_passes_it_by_itself() -> None:
    before = datetime.now(UTC)
    assert before - timedelta(seconds=1) <= World().now <= datetime.now(UTC)


def test_scheduled_things_happen_in_order_at_their_own_moment() -> None:
    world, seen = World(start=START, is_ticking=False), list[tuple[str, datetime]]()
    world.clock.after(timedelta(hours=2), lambda: seen.append(("later", world.now)))
    world.clock.after(timedelta(hours=1), lambda: seen.append(("sooner", world.now)))
    assert world.advance(timedelta(hours=3)) == START + timedelta(hours=3)
    assert seen == [("sooner", START + timedelta(hours=1)), ("later", START + timedelta(hours=2))]
    with pytest.raises(ValueError, match="forward"):
        world.advance(timedelta(seconds=-1))


def test_the_same_seed_gives_the_same_account_and_another_seed_another() -> None:
    def account(seed: int) -> list[object]:
        world = World(seed, START, is_ticking=False)
        scenarios.populate(world, "acme", 50)
        return [(item.id, item.state, item.created_at, [line.sku for line in item.lines]) for item in world.loop("acme")]

    assert account(7) == account(7) != account(8)


def test_a_populated_account_has_everything_that_makes_returns_awkward() -> None:
    world = World(7, START, is_ticking=False)
    made = scenarios.populate(world, "acme", 400, malformed=5)
    held = list(world.loop("acme"))
    assert (
        len(made.return_ids) == 400
        and len(made.spoiled_ids) == 5
        and set(made.states) == {"open", "closed", "cancelled", "expired", "review"}
    )
    assert any(line.sku is None for item in held for line in item.lines)
    assert any(len({line.sku for line in item.lines}) < len(item.lines) for item in held)
    assert len({item.order_number for item in held}) < 400 and len({item.created_at for item in held}) < 400
    assert any(item.tracking_number is None for item in held) and any(item.exchanges for item in held)
    assert {line.reason for item in held for line in item.lines} == {reason for reason, _ in scenarios.REASONS}


def test_parcels_arrive_in_every_condition_and_some_change_later(box: Sandbox, masonhub: httpx.Client) -> None:
    scenarios.populate(box.world, "acme", 200)
    announced = announce_all(box, masonhub)
    mix = dict.fromkeys(scenarios.MIX, 1)
    found = scenarios.receive_some(box.world, "acme", 0.9, mix=mix, blind=2)
    assert len(found) == round(announced * 0.9) and set(found.values()) == set(mix)
    one = {outcome: key for key, outcome in found.items()}
    account = box.world.masonhub("acme")

    def details(key: str) -> str:
        return str([line["receiving_details"] for line in record(account.need(key))["line_items"]])

    assert account.need(one["partial"]).status == "in-receiving"
    assert "quality-control" in details(one["resolved_later"]) and "damaged" not in details(one["corrected"])
    box.advance(timedelta(days=3))
    assert "quality-control" not in details(one["resolved_later"]) and "damaged" in details(one["corrected"])
    assert sum(rma.customer_identifier is None for rma in account.rmas) == 2


def test_shoppers_get_their_labels_later(box: Sandbox) -> None:
    made = scenarios.shop(box.world, "acme", 3, label_after=timedelta(minutes=10))
    assert all(box.world.loop("acme").need(key).tracking_number is None for key in made)
    box.advance(timedelta(minutes=11))
    assert all(box.world.loop("acme").need(key).tracking_number for key in made)


def test_an_edit_keeps_the_lines_that_stay(box: Sandbox) -> None:
    made = box.world.create_return("acme", ["A", "B"])
    kept = made.lines[1].line_item_id
    edited = box.world.edit_return("acme", made.id, ["B", "C"])
    assert [line.sku for line in edited.lines] == ["B", "C"] and edited.lines[0].line_item_id == kept and edited.edited_at


def test_the_control_api_acts_as_shopper_warehouse_and_clock(box: Sandbox, control: httpx.Client, masonhub: httpx.Client) -> None:
    made = control.post("/acme/returns", json={"skus": ["TEE", "TEE"], "order_number": 1042}).json()
    assert made["order_name"] == "#1042"
    announce_all(box, masonhub)
    control.post(f"/acme/returns/{made['id']}/tracking", json={"number": "9400100000000000000001"})
    shown = control.post(f"/acme/returns/{made['id']}/receive", json={"units": {"TEE": {"available": 1, "damaged": 1}}}).json()
    assert shown["masonhub"]["status"] == "received" and shown["loop"]["tracking_number"] == "9400100000000000000001"
    assert control.post(f"/acme/returns/{made['id']}/flag").json()["loop"]["state"] == "review"
    before = box.world.now
    control.post("/advance", json={"days": 2})
    assert box.world.now - before >= timedelta(days=2)
    state = control.get("/state").json()
    counts = state["merchants"]["acme"]
    assert counts["loop"]["returns"]["review"] == 1 and counts["masonhub"]["rmas"] == {"received": 1}
    assert state["effects"]["acme"]["masonhub.create"] == {made["id"]: 1}
    assert control.get("/writes", params={"operation": "masonhub.create"}).json()[0]["body"][0]["customer_identifier"] == made["id"]


def test_the_control_api_sets_faults_and_options_and_starts_afresh(box: Sandbox, control: httpx.Client, loop: httpx.Client) -> None:
    assert len(control.post("/faults", json=[{"target": "loop.list", "kind": 503}, {"kind": "hang", "seconds": 1}]).json()["faults"]) == 2
    assert loop.get("/warehouse/return/list").status_code == 503
    assert control.delete("/faults").json() == {"faults": []}
    assert control.post("/acme/options", json={"loop": {"process_delay": 60}}).json()["loop"]["process_delay"] == 60
    assert box.world.loop("acme").options.process_delay == timedelta(minutes=1)
    assert control.post("/acme/populate", json={"returns": 20}).json()["states"]
    assert sum(control.post("/reset").json()["merchants"]["acme"]["loop"]["returns"].values()) == 0
    assert box.world.loop("acme").options.process_delay == timedelta()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"kind": "explode"}),
        ("/acme/options", {"loop": {"nope": 1}}),
        ("/acme/returns/1/cancel", {}),
        ("/nobody/returns", {}),
        ("/x", {}),
    ],
)
def test_a_mistake_in_the_control_api_is_400_with_a_message(control: httpx.Client, path: str, body: dict[str, object]) -> None:
    answer = control.post(path, json=body)
    assert answer.status_code == 400 and answer.json()["message"]


def test_calls_are_counted_by_merchant_and_operation_with_their_parameters(box: Sandbox, loop: httpx.Client) -> None:
    loop.get("/warehouse/return/list", params={"state": "open"})
    journal = box.world.journal
    assert journal.count("loop.list", "acme") == 1 and journal.count("loop.list", "bolt") == 0
    assert journal.calls("loop.list")[0].params == {"state": "open"} and journal.calls()[0].version == "2026-07"


def test_a_sandbox_starts_in_no_time_and_frees_its_port() -> None:
    began = time.monotonic()
    with Sandbox() as box:
        assert time.monotonic() - began < 0.5
        url = f"{box.url}/_sandbox/state"
        assert httpx.get(url).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_the_settings_refer_to_secrets_and_never_hold_them(box: Sandbox) -> None:
    text, env = config_toml(box, warehouses={"bolt": "airhouse"}), config_env(box)
    settings = tomllib.loads(text)["merchants"]
    assert settings["acme"]["loop"]["base_url"] == box.loop_url("acme") and settings["bolt"]["warehouse"] == "airhouse"
    for merchant, part, name in (("acme", "loop", "api_key"), ("acme", "masonhub", "token"), ("bolt", "airhouse", "api_key")):
        assert settings[merchant][part][name].removeprefix("env:") in env
    assert not any(secret in text for secret in env.values())


def test_a_merchant_of_any_simulated_warehouse_is_configured_by_its_name(box: Sandbox) -> None:
    text, env = config_toml(box, warehouses={"bolt": "shipbob"}), config_env(box)
    section = tomllib.loads(text)["merchants"]["bolt"]["shipbob"]
    settings = ShipBobSettings.model_validate(section)
    assert settings.base_url == f"{box.url}/bolt/shipbob" and (settings.channel_id, settings.fulfillment_center_id) == (CHANNEL, CENTER)
    account = box.world.account("bolt", ShipBobAccount)
    assert env[section["token"].removeprefix("env:")] == account.token and not any(secret in text for secret in env.values())


def test_a_parcel_is_received_by_the_warehouse_that_knows_it(box: Sandbox) -> None:
    account = box.world.account("acme", ShipBobAccount)
    lines = [{"id": account.stock("TEE")[0].inventory_id, "quantity": 2, "requested_action": "Default"}]
    for key in ("1", "2"):
        account.create({"reference_id": key, "inventory": lines, "fulfillment_center": {"id": CENTER}}, CHANNEL)
    box.world.receive("acme", 1, {"TEE": {"available": 1, "damaged": 1}})
    taken = [(each["action"], each["quantity_processed"]) for each in account.need("1").lines[0]["action_taken"]]
    assert account.need("1").status == "Completed" and taken == [("Restock", 1), ("Quarantine", 1)]
    assert scenarios.receive_some(box.world, "acme", 1.0, mix={"all": 1}) == {"2": "all"} and account.need("2").status == "Completed"
    with pytest.raises(KeyError, match="acme has no RMA 3 at any warehouse"):
        box.world.receive("acme", 3)


def test_whoever_was_subscribed_hears_of_a_shipbob_return(box: Sandbox, receiver: Receiver) -> None:
    box.world.subscribe("acme", receiver.url)
    box.world.account("acme", ShipBobAccount).blind({"TEE": {"available": 1}})
    assert box.drain() and {path for path, _, _ in receiver.got} == {"/webhooks/acme/shipbob"}


def test_the_command_serves_a_populated_world_until_interrupted() -> None:
    seen = []

    def ready(box: Sandbox) -> None:
        seen.append(sum(httpx.get(f"{box.url}/_sandbox/state").json()["merchants"]["acme"]["loop"]["returns"].values()))
        raise KeyboardInterrupt

    serve(port=0, returns=5, on_ready=ready)
    assert seen == [5]
