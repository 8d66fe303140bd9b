"""What every warehouse's writes promise, over real HTTP against its simulator."""

from __future__ import annotations

from typing import Any

import pytest

from backhaul.connectors.base import Outcome, Verdict
from backhaul.domain.rma import RmaLine
from backhaul.errors import PermanentVendorError, TransientVendorError, UnauthorizedError
from backhaul.sandbox.server import Sandbox
from tests.conformance.adapters import CREDENTIAL, KEY, MERCHANT, Adapter
from tests.conformance.conftest import draft


def verdict(outcomes: list[Outcome]) -> Verdict:
    (outcome,) = outcomes
    assert outcome.return_id == KEY
    return outcome.verdict


def status(warehouse: Any) -> str | None:
    (found,) = warehouse.find([KEY]).receipts["rma_status"]
    return found


def test_it_says_what_it_is(adapter: Adapter, warehouse: Any) -> None:
    assert (warehouse.name, warehouse.must_close) == (adapter.name, adapter.must_close) and warehouse.batch_size >= 1


def test_it_takes_a_whole_batch_in_one_call_and_refuses_a_larger_one_before_any(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    drafts = [draft(str(place)) for place in range(warehouse.batch_size + 1)]
    for write in (warehouse.create, warehouse.update):
        with pytest.raises(ValueError, match="a call"):
            write(drafts)
    assert box.world.journal.writes() == []
    assert {outcome.verdict for outcome in warehouse.create(drafts[:-1])} == {Verdict.ACCEPTED}
    assert len(box.world.journal.writes(adapter.create)) == 1
    assert box.world.effects(MERCHANT, adapter.create) == warehouse.batch_size


def test_what_is_announced_is_found_by_its_key_and_holds_no_units(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    assert verdict(warehouse.create([draft()])) is Verdict.ACCEPTED
    assert adapter.announced(box, KEY) == {"TEE-NVY-M": 2, "CAP-RED": 1}
    batch = warehouse.find([KEY])
    [row] = batch.receipts.to_dict("records")
    assert (row["rma_key"], row["return_id"], row["is_terminal"], row["has_lines"]) == (KEY, KEY, False, True)
    assert row["rma_id"] and row["rma_status"] and batch.lines.empty


def test_units_of_one_sku_under_two_reasons_are_all_announced(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    warehouse.create([draft(lines=(RmaLine("TEE-NVY-M", 2, "tooBig"), RmaLine("TEE-NVY-M", 1, "damaged")))])
    box_holds = adapter.announced(box, KEY)
    assert set(box_holds) == {"TEE-NVY-M"}
    adapter.receive(box, KEY)
    assert sum(warehouse.find([KEY]).lines["units"]) == 3


def test_a_create_that_is_repeated_makes_one_record(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    assert verdict(warehouse.create([draft()])) is Verdict.ACCEPTED
    assert verdict(warehouse.create([draft()])) in (Verdict.ACCEPTED, Verdict.EXISTS)
    assert verdict(warehouse.create([draft(tracking_number="9400100000000000000002")])) in (Verdict.ACCEPTED, Verdict.EXISTS)
    assert box.world.effects(MERCHANT, adapter.create, KEY) == 1


def test_a_create_whose_answer_was_lost_is_uncertain_and_found(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    box.world.fault("lost_after", adapter.create)
    with pytest.raises(TransientVendorError) as caught:
        warehouse.create([draft()])
    assert not caught.value.is_certain
    assert list(warehouse.find([KEY]).receipts["return_id"]) == [KEY]
    assert verdict(warehouse.create([draft()])) in (Verdict.ACCEPTED, Verdict.EXISTS)
    assert box.world.effects(MERCHANT, adapter.create, KEY) == 1


@pytest.mark.parametrize("kind", ["500", "503", "html", "redirect", "malformed", "reset_before"])
@pytest.mark.parametrize("write", ["create", "update", "cancel"])
def test_a_write_that_proves_nothing_is_uncertain_and_tried_once(
    adapter: Adapter, box: Sandbox, warehouse: Any, kind: str, write: str
) -> None:
    if write != "create":
        warehouse.create([draft()])
    operation = getattr(adapter, write)
    box.world.fault(kind, operation)
    before = box.world.journal.count(operation)
    with pytest.raises(TransientVendorError) as caught:
        warehouse.cancel([KEY]) if write == "cancel" else getattr(warehouse, write)([draft()])
    assert not caught.value.is_certain and box.world.journal.count(operation) == before + 1


def test_too_many_calls_did_nothing_for_certain(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    box.world.fault("429", adapter.create, retry_after=0)
    with pytest.raises(TransientVendorError) as caught:
        warehouse.create([draft()])
    assert caught.value.is_certain and box.world.effects(MERCHANT, adapter.create) == 0


def test_a_key_that_is_not_accepted_is_named_by_its_reference_and_never_shown(adapter: Adapter, box: Sandbox) -> None:
    with adapter.connect(box, token="another-key-0123456789") as stranger:
        for call in (lambda: stranger.create([draft()]), lambda: stranger.find([KEY])):
            with pytest.raises(UnauthorizedError) as caught:
                call()
            assert CREDENTIAL in str(caught.value) and "another-key" not in str(caught.value) + repr(stranger.http)


def test_a_sku_that_the_warehouse_does_not_know_is_refused_with_its_name(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    adapter.know_only(box, "TEE-NVY-M")
    (outcome,) = warehouse.create([draft()])
    assert outcome.verdict is Verdict.REFUSED and outcome.message
    assert "CAP-RED" in outcome.message or outcome.code == "unknown_sku"
    assert box.world.effects(MERCHANT, adapter.create) == 0


def test_an_update_replaces_lines_and_tracking_until_receiving_begins(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    warehouse.create([draft(tracking_number=None)])
    changed = draft(tracking_number="9400100000000000000009", lines=(RmaLine("CAP-RED", 5, "other"),))
    assert verdict(warehouse.update([changed])) is Verdict.ACCEPTED
    assert adapter.announced(box, KEY) == {"CAP-RED": 5} and adapter.tracking(box, KEY) == "9400100000000000000009"
    adapter.arrive(box, KEY)
    assert verdict(warehouse.update([draft()])) is Verdict.NOT_OPEN
    assert adapter.announced(box, KEY) == {"CAP-RED": 5}


@pytest.mark.parametrize("write", ["update", "cancel"])
def test_a_change_of_what_is_not_there_is_missing(warehouse: Any, write: str) -> None:
    assert verdict(warehouse.update([draft()]) if write == "update" else warehouse.cancel([KEY])) is Verdict.MISSING


def test_a_cancel_withdraws_what_has_not_arrived_and_may_be_repeated(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    warehouse.create([draft()])
    assert verdict(warehouse.cancel([KEY])) is Verdict.ACCEPTED
    assert status(warehouse) in adapter.gone
    assert verdict(warehouse.cancel([KEY])) in (Verdict.ACCEPTED, Verdict.MISSING)
    assert box.world.effects(MERCHANT, adapter.cancel, KEY) == 1


def test_a_cancel_comes_too_late_once_receiving_has_begun(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    warehouse.create([draft()])
    adapter.arrive(box, KEY)
    assert verdict(warehouse.cancel([KEY])) is Verdict.NOT_OPEN
    assert status(warehouse) not in adapter.gone


def test_a_close_is_for_those_that_must_be_closed_and_for_no_others(adapter: Adapter, box: Sandbox, warehouse: Any) -> None:
    warehouse.create([draft()])
    adapter.receive(box, KEY)
    if not adapter.must_close:
        with pytest.raises(PermanentVendorError, match=MERCHANT):
            warehouse.close([KEY])
        return
    assert [verdict(warehouse.close([KEY])) for _ in range(2)] == [Verdict.ACCEPTED] * 2
    (missing,) = warehouse.close(["404"])
    assert missing.verdict is Verdict.MISSING
