"""Units that no line expected: a person says whose they are, once, on record; the return they belong to is decided on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from backhaul import points
from backhaul.errors import BackhaulError
from backhaul.pipeline.acting import Operator
from tests.e2e.house import House

pytestmark = pytest.mark.usefixtures("impatient")
TEE, CAP = "TEE-NVY-M", "CAP-RED"


@pytest.fixture(scope="module")
def house(build_shared: Callable[..., House], module_store_url: str) -> House:
    return build_shared(store_url=module_store_url)


@pytest.fixture
def sam(house: House) -> Operator:
    return Operator(house.store, "sam")


@pytest.fixture
def crash() -> Iterator[Callable[[str], None]]:
    """Have the program stop at a point."""

    def at(point: str) -> None:
        def stop(name: str) -> None:
            if name == point:
                raise KeyboardInterrupt

        points.hook = stop

    yield at
    points.hook = None


def blind(house: House, sku: str, condition: str = "available", units: int = 1) -> str:
    """A parcel that nobody announced; gives its RMA's key."""
    before = blind_keys(house)
    house.world.blind_return("acme", {sku: {condition: units}})
    while blind_keys(house) == before:  # the warehouse lists what it made up to the second before
        house.sync()
    [key] = blind_keys(house) - before
    return key


def blind_keys(house: House) -> set[str]:
    return {row["rma_key"] for row in house.rows("SELECT rma_key FROM rmas WHERE return_id IS NULL")}


def recount(house: House, rma_key: str, sku: str, condition: str) -> None:
    """The warehouse grades the units of a blind parcel anew."""
    house.world.masonhub("acme").receive(rma_key.removeprefix("dc:"), {sku: {condition: 1}})


def acts(house: House) -> list[tuple[str, str, str, str]]:
    rows = house.rows("SELECT operator, subject, return_id, detail FROM recon_operator_actions WHERE action = 'confirm' ORDER BY acted_at")
    return [tuple(row.values()) for row in rows]


def test_a_blind_parcel_that_a_person_confirms_is_its_return_s_once_and_for_good(house: House, sam: Operator) -> None:
    mine, other = house.shop(TEE), house.shop(TEE)
    house.sync()
    parcel = blind(house, TEE)
    assert "blind_receipt" in house.exceptions() and house.outcome(mine)[0] == "wait"
    listed = json.loads(house.command("candidates", "list", "--merchant", "acme", "--json").stdout)
    assert {row["candidate_return_id"] for row in listed if row["rma_key"] == parcel} == {mine, other}

    asked = house.command("candidates", "confirm", parcel, mine)
    assert "Nothing was done. Add --yes to do it." in asked.stdout and acts(house) == []
    done = house.command("candidates", "confirm", parcel, mine, "--yes", "--as", "sam", "--why", "the label said so")
    assert done.returncode == 0, done.stderr
    assert acts(house) == [("sam", parcel, mine, TEE)] and house.effects("loop.process") == 0
    assert "blind_receipt" not in house.exceptions()
    house.sync()
    assert house.outcome(mine) == ("process", [], "processed") and house.effects("loop.process", mine) == 1
    assert house.outcome(other)[0] == "wait"

    before = house.dump()
    assert "confirmed before" in house.command("candidates", "confirm", parcel, mine, "--yes").stdout
    refused = house.command("candidates", "confirm", parcel, other, "--yes")
    assert refused.returncode == 1 and f"is tied to return {mine}; what is confirmed once stays" in refused.stderr
    for rma in (parcel, "404"):
        unknown = house.command("candidates", "confirm", rma, "404", "--yes")
        assert unknown.returncode == 1 and ("is tied to" in unknown.stderr or "candidates list" in unknown.stderr)
    assert house.dump() == before

    # The same parcel told again, and told otherwise, is still this return's: what comes after the call is an exception, as of any receipt.
    house.sync()
    assert house.outcome(mine) == ("process", [], "processed")
    recount(house, parcel, TEE, "damaged")
    house.sync()
    assert house.exceptions(mine) == {"correction_after_process"} and "blind_receipt" not in house.exceptions()
    assert house.effects("loop.process", mine) == 1 and house.standing(mine)["damaged_units"] == 1


def test_a_tie_never_makes_a_line_missing(house: House, sam: Operator) -> None:
    both = house.shop("BOOT-42", "SOCK-L")
    house.sync()
    parcel = blind(house, "SOCK-L")
    sam.confirm("acme", parcel, both)
    house.sync()
    row = house.standing(both)
    assert (row["decision"], row["available_units"], row["awaited_units"], row["missing_units"]) == ("wait", 1, 1, 0)
    house.receive(both, {"BOOT-42": {"available": 1}})
    house.sync()
    assert house.outcome(both) == ("process", [], "processed")


def test_units_in_inspection_hold_the_return_they_are_tied_to(house: House, sam: Operator) -> None:
    mine = house.shop("HAT-S")
    house.sync()
    parcel = blind(house, "HAT-S", "qc")
    sam.confirm("acme", parcel, mine)
    house.sync()
    assert house.outcome(mine) == ("hold", ["pending"], "held")
    recount(house, parcel, "HAT-S", "available")
    house.sync()
    assert house.outcome(mine) == ("process", [], "processed")


def test_nothing_is_decided_while_the_newest_receipt_of_tied_units_is_in_quarantine(house: House, sam: Operator) -> None:
    mine = house.shop("SCARF-M", "SCARF-L")
    house.sync()
    parcel = blind(house, "SCARF-M")
    sam.confirm("acme", parcel, mine)
    house.receive(mine, {"SCARF-L": {"available": 1}})
    rma = house.world.masonhub("acme").by_id(parcel.removeprefix("dc:"))
    assert rma is not None
    rma.lines[0]["receiving_details"] = {"available": [{"notes": "", "quantity": -1}]}
    house.world.masonhub("acme").touch(rma)
    house.sync()
    assert house.outcome(mine)[0] == "wait" and house.effects("loop.process", mine) == 0
    recount(house, parcel, "SCARF-M", "available")
    house.sync()
    assert house.outcome(mine) == ("process", [], "processed")


def test_units_beyond_one_return_are_another_s_and_no_longer_its_own(house: House, sam: Operator) -> None:
    sender, mine = house.shop(TEE), house.shop(CAP)
    house.sync()
    house.receive(sender, {TEE: {"available": 1}, CAP: {"available": 1}})
    house.sync()
    assert house.standing(sender)["unexpected_units"] == 1
    with pytest.raises(BackhaulError, match="is no candidate"):
        sam.confirm("acme", sender, mine, sku=TEE)
    sam.confirm("acme", sender, mine)
    house.sync()
    assert house.outcome(mine) == ("process", [], "processed")
    assert house.standing(sender)["unexpected_units"] == 0 and house.effects("loop.process", sender) == 1


@pytest.mark.parametrize(("point", "is_kept"), [("store.committing", False), ("store.committed", True)])
def test_a_crash_leaves_all_of_it_or_nothing(house: House, sam: Operator, crash: Callable[[str], None], point: str, is_kept: bool) -> None:
    sku = f"SKU-{point}"
    mine = house.shop(sku)
    house.sync()
    parcel, number = blind(house, sku), len(acts(house))
    crash(point)
    with pytest.raises(KeyboardInterrupt):
        sam.confirm("acme", parcel, mine)
    points.hook = None
    assert len(acts(house)) == number + is_kept
    about = "SELECT subject FROM recon_exceptions WHERE kind = 'blind_receipt' AND subject = :parcel"
    assert bool(house.rows(about, parcel=parcel)) is not is_kept
    house.sync()
    assert house.outcome(mine)[0] == ("process" if is_kept else "wait")
    sam.confirm("acme", parcel, mine)
    house.sync()
    assert house.outcome(mine) == ("process", [], "processed") and house.effects("loop.process", mine) == 1
