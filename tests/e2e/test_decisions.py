"""The decision table (docs/architecture.md), told through the views: five merchants with their own terms, three syncs, both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backhaul.sandbox.loop.state import Line
from tests.e2e.house import House

SKU, OTHER, BAD = "TEE-NVY-M", "CAP-RED-1", "NOT-KNOWN"
PARCELS = {
    "clean": "all",
    "damaged": "damaged",
    "short": "short",
    "short_key": "short_key",
    "over": "over",
    "unexpected": "unexpected",
    "inspected": "quality_control",
    "resolved": "quality_control",
    "unknown": "unknown_status",
    "partial": "partial",
    "corrected": "all",
    "cleared": "damaged",
    "half_sku": "all",
}


class Story:
    """What happened to whom: ids by name, and the house it happened in."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.ids: dict[str, str] = {}
        box = house.world.masonhub("acme").options
        box.known_skus = frozenset({SKU, OTHER})
        for name in PARCELS:
            self.ids[name] = house.shop(SKU, OTHER)
        self.ids["half_sku"] = house.shop(SKU, None)
        for name in ("review", "closed_later", "cancelled_later", "expired_later"):
            self.ids[name] = house.shop(SKU)
        house.world.loop("acme").review(self.ids["review"])
        for state in ("closed", "cancelled", "expired"):
            self.ids[state] = house.shop(SKU, state=state)
        self.ids["no_sku"] = house.shop(None)
        self.ids["refused"] = house.shop(BAD)
        for merchant, parcels in OTHERS.items():
            for parcel in parcels:
                self.ids[f"{merchant}_{parcel}"] = house.shop(SKU, OTHER, merchant=merchant)
        self.sync()
        self.receive()
        self.sync()
        self.notes_after_two = {name: house.outcome(self.ids[name]) for name in PARCELS}
        self.exceptions_after_two = {name: house.exceptions(self.ids[name]) for name in PARCELS}
        house.receive(self.ids["resolved"], "all")
        house.receive(self.ids["corrected"], "damaged")
        house.receive(self.ids["cleared"], "all")
        self.sync()

    def sync(self) -> None:
        for merchant in ("acme", *OTHERS):
            self.house.sync(merchant)

    def receive(self) -> None:
        for name, parcel in PARCELS.items():
            self.house.receive(self.ids[name], parcel)
        self.house.world.close_return("acme", self.ids["closed_later"])
        self.house.world.cancel_return("acme", self.ids["cancelled_later"])
        self.house.world.expire_return("acme", self.ids["expired_later"])
        for merchant, parcels in OTHERS.items():
            for parcel in parcels:
                if merchant != "silent":
                    self.house.receive(self.ids[f"{merchant}_{parcel}"], parcel, merchant)

    def outcome(self, name: str, merchant: str = "acme") -> tuple[str, list[str], str]:
        return self.house.outcome(self.ids[name], merchant)

    def effects(self, effect: str, name: str, merchant: str = "acme") -> int:
        return self.house.effects(effect, self.ids[name], merchant)


OTHERS = {"strict": ("all", "over", "unexpected", "quality_control"), "quiet": ("all", "damaged")}
MERCHANTS = {
    "acme": {},
    "strict": {"policy": {"unexpected": "flag", "pending_hold_days": 0}},
    "quiet": {"mode": "shadow"},
}


@pytest.fixture(scope="module")
def story(build_shared: Callable[..., House], module_store_url: str) -> Story:
    return Story(build_shared(MERCHANTS, module_store_url))


def test_a_return_whose_units_are_all_available_is_processed_once_and_confirmed(story: Story) -> None:
    assert story.outcome("clean") == ("process", [], "processed")
    assert story.house.state(story.ids["clean"], "loop.process") == "confirmed"
    assert story.house.standing(story.ids["clean"])["delivery_state"] == "confirmed"
    assert story.effects("loop.process", "clean") == 1
    assert story.effects("loop.flag", "clean") == 0


@pytest.mark.parametrize(("name", "reason"), [("damaged", "damaged"), ("short", "missing"), ("short_key", "missing")])
def test_a_unit_damaged_or_missing_flags_the_whole_return_after_a_note_that_says_why(story: Story, name: str, reason: str) -> None:
    assert story.outcome(name) == ("flag", [reason], "flagged")
    told = [call for call in story.house.world.journal.writes(merchant="acme") if f"/{story.ids[name]}/" in call.path]
    assert [call.operation for call in told] == ["loop.note", "loop.flag"]
    assert OTHER in told[0].body["content"] and reason in told[0].body["content"]
    assert story.effects("loop.process", name) == 0
    assert story.house.world.loop("acme").need(story.ids[name]).state == "review"


@pytest.mark.parametrize(("name", "kind"), [("over", "over"), ("unexpected", "unexpected")])
def test_units_that_nobody_announced_are_recorded_and_the_return_is_processed(story: Story, name: str, kind: str) -> None:
    assert story.outcome(name) == ("process", [], "processed")
    assert story.house.standing(story.ids[name])["unexpected_units"] == 1
    found = story.house.rows("SELECT kind, units FROM recon_discrepancies WHERE merchant = 'acme' AND return_id = :r", r=story.ids[name])
    assert found == [{"kind": kind, "units": 1}]


@pytest.mark.parametrize("parcel", ["over", "unexpected"])
def test_units_that_nobody_announced_flag_the_return_where_the_policy_says_so(story: Story, parcel: str) -> None:
    assert story.outcome(f"strict_{parcel}", "strict") == ("flag", ["unexpected"], "flagged")
    assert story.outcome("strict_all", "strict") == ("process", [], "processed")


def test_a_unit_in_quality_control_holds_the_return(story: Story) -> None:
    assert story.outcome("inspected") == ("hold", ["pending"], "held")
    assert story.house.deliveries(story.ids["inspected"], "loop.process") == []


def test_a_hold_that_has_fallen_due_is_flagged_as_overdue(story: Story) -> None:
    assert story.outcome("strict_quality_control", "strict") == ("flag", ["inspection_overdue"], "flagged")


def test_a_unit_that_passes_inspection_later_lets_the_return_be_processed(story: Story) -> None:
    assert story.notes_after_two["resolved"] == ("hold", ["pending"], "held")
    assert story.outcome("resolved") == ("process", [], "processed")
    assert story.effects("loop.process", "resolved") == 1


def test_an_unknown_condition_holds_the_return_and_asks_a_person(story: Story) -> None:
    assert story.outcome("unknown") == ("hold", ["pending"], "held")
    assert story.house.exceptions(story.ids["unknown"]) == {"unknown_condition"}


def test_a_correction_after_the_process_is_an_exception_and_no_second_process(story: Story) -> None:
    assert "correction_after_process" not in story.exceptions_after_two["corrected"]
    assert story.outcome("corrected") == ("process", [], "processed")
    assert story.house.exceptions(story.ids["corrected"]) == {"correction_after_process"}
    assert story.effects("loop.process", "corrected") == 1
    assert story.effects("loop.flag", "corrected") == 0
    assert story.house.standing(story.ids["corrected"])["damaged_units"] == 1


def test_a_receipt_that_turns_out_clean_after_the_flag_is_an_exception_and_no_process(story: Story) -> None:
    assert story.outcome("cleared") == ("flag", ["damaged"], "flagged")
    assert story.house.exceptions(story.ids["cleared"]) == {"clean_after_flag"}
    assert story.effects("loop.process", "cleared") == 0


def test_a_parcel_still_being_received_waits_and_counts_what_has_come(story: Story) -> None:
    assert story.outcome("partial") == ("wait", [], "receiving")
    row = story.house.standing(story.ids["partial"])
    assert (row["available_units"], row["awaited_units"], row["missing_units"]) == (1, 1, 0)


def test_a_line_without_a_sku_flags_the_return_once_the_rest_has_arrived(story: Story) -> None:
    assert story.outcome("half_sku") == ("flag", ["unverifiable"], "flagged")
    assert [line["customer_sku_id"] for line in story.house.rma(story.ids["half_sku"]).lines] == [SKU]


def test_a_return_without_any_sku_is_held_as_unverifiable_and_never_announced(story: Story) -> None:
    assert story.outcome("no_sku") == ("hold", ["unverifiable"], "exception")
    assert story.house.exceptions(story.ids["no_sku"]) == {"unverifiable"}
    assert story.house.deliveries(story.ids["no_sku"]) == []


def test_a_return_in_review_is_held_and_announced(story: Story) -> None:
    assert story.outcome("review")[:2] == ("hold", ["loop_review"])
    assert story.effects("masonhub.create", "review") == 1


@pytest.mark.parametrize("state", ["closed", "cancelled", "expired"])
def test_a_return_that_has_ended_in_loop_is_skipped(story: Story, state: str) -> None:
    assert story.outcome(state) == ("skip", [f"loop_{state}"], "ended")
    assert story.house.deliveries(story.ids[state]) == []
    assert story.outcome(f"{state}_later") == ("skip", [f"loop_{state}"], "ended")


@pytest.mark.parametrize(("name", "is_deleted"), [("cancelled_later", True), ("expired_later", True), ("closed_later", False)])
def test_only_a_return_cancelled_or_expired_in_loop_takes_its_rma_along(story: Story, name: str, is_deleted: bool) -> None:
    assert (story.house.rma(story.ids[name]) is None) is is_deleted
    assert story.house.state(story.ids[name], "rma.cancel") == ("confirmed" if is_deleted else None)
    assert story.effects("masonhub.delete", name) == is_deleted


def test_an_rma_refused_by_the_warehouse_holds_its_return_and_harms_no_other_of_the_batch(story: Story) -> None:
    assert story.outcome("refused") == ("hold", ["rma_refused"], "exception")
    assert story.house.exceptions(story.ids["refused"]) == {"rma_refused"}
    assert story.house.state(story.ids["refused"], "rma.create") == "refused"
    [batch] = story.house.world.journal.writes("masonhub.create", "acme")
    assert len(batch.body) > 1
    states = {row["state"] for row in story.house.deliveries(kind="rma.create") if row["return_id"] != story.ids["refused"]}
    assert states == {"confirmed"}


def test_shadow_mode_announces_and_decides_and_sends_loop_nothing(story: Story) -> None:
    assert story.outcome("quiet_all", "quiet")[:2] == ("process", [])
    assert story.outcome("quiet_damaged", "quiet")[:2] == ("flag", ["damaged"])
    assert story.house.effects("masonhub.create", merchant="quiet") == 2
    assert [call for call in story.house.world.journal.writes(merchant="quiet") if call.operation.startswith("loop.")] == []
    kinds = {row["kind"]: row["state"] for row in story.house.deliveries(merchant="quiet") if row["kind"].startswith("loop.")}
    assert kinds == {"loop.process": "shadow", "loop.note": "shadow", "loop.flag": "shadow"}


def test_every_view_can_be_read_and_the_units_of_each_return_add_up(story: Story) -> None:
    views = ("recon_returns", "recon_lines", "recon_discrepancies", "recon_exceptions", "recon_daily", "recon_unmapped_reasons")
    for view in (*views, "processed_not_received", "received_not_processed"):
        story.house.rows(f"SELECT * FROM {view}")
    for row in story.house.rows("SELECT * FROM recon_returns"):
        kinds = ("available", "damaged", "pending", "missing", "awaited", "unverifiable")
        assert sum(row[f"{kind}_units"] for kind in kinds) == row["expected_units"], row["return_id"]


def test_the_lines_of_a_return_keep_their_price_beside_what_became_of_them(story: Story) -> None:
    lines = story.house.rows(
        "SELECT sku, condition, price, tax FROM recon_lines WHERE merchant = 'acme' AND return_id = :r ORDER BY sku", r=story.ids["damaged"]
    )
    assert [(line["sku"], line["condition"]) for line in lines] == [(OTHER, "damaged"), (SKU, "available")]
    line = Line(1, SKU)
    assert {float(row["price"]) for row in lines} == {line.price / 100}
    assert float(story.house.standing(story.ids["damaged"])["value_at_risk"]) == (line.price - line.discount + line.tax) / 100
