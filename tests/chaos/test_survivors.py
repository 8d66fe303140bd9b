"""What mutants of the product once survived, each told as a history that kills its mutant."""

from __future__ import annotations

from datetime import timedelta

from tests.chaos.ground import LONG, Ground, moment
from tests.chaos.invariants import check


def test_an_update_is_not_sent_while_it_is_not_known_whether_the_rma_is_there(ground: Ground) -> None:
    account = ground.open()
    return_id = account.shop()
    account.world.fault("reset_before", "masonhub.create", merchant=account.merchant)
    account.sync()
    account.world.set_tracking(account.merchant, return_id, "9400100000000000000001")
    account.sync()
    assert account.world.journal.count("masonhub.update", account.merchant) == 0
    account.wait(LONG)
    account.sync()
    account.sync()
    rma = account.rmas.find(return_id)
    assert rma is not None and rma.package_id == "9400100000000000000001"
    assert (account.exceptions(), check(account)) == (set(), [])


def test_an_uncertain_flag_on_a_return_that_a_person_closed_is_superseded(ground: Ground) -> None:
    account = ground.open()
    return_id = account.shop()
    account.sync()
    account.receive(return_id, "damaged")
    account.world.fault("reset_before", "loop.flag", merchant=account.merchant)
    account.sync()
    assert account.state(return_id, "loop.flag") == "pending"
    account.world.close_return(account.merchant, return_id)
    account.wait(LONG)
    account.sync()
    assert account.state(return_id, "loop.flag") == "superseded"
    assert (account.exceptions(), check(account)) == (set(), [])


def test_a_date_from_the_future_moves_the_watermark_no_further_than_its_window(ground: Ground) -> None:
    account = ground.open()
    account.shop()
    strange = account.shop(order_number=2)
    account.loop.corrupt(strange, updated_at="2099-01-01T00:00:00.000Z")
    account.sync()
    [row] = account.rows("SELECT high_water_at FROM watermarks WHERE merchant = :m AND source = 'loop'")
    [run] = account.rows("SELECT window_end FROM runs WHERE merchant = :m")
    assert moment(row["high_water_at"]) <= moment(run["window_end"]) <= account.world.now
    late = account.shop(order_number=3)
    account.wait()
    account.sync()
    assert account.rows("SELECT 1 FROM returns WHERE merchant = :m AND return_id = :r", r=late)


def test_one_outage_does_not_make_the_next_silence_normal(ground: Ground) -> None:
    account = ground.open()
    hours = [*range(28), *range(78, 82)]  # one return an hour, and one gap of fifty hours
    for hour in hours:
        account.shop(order_number=hour, at=account.world.now - timedelta(hours=max(hours) - hour))
    account.sync()
    account.wait(timedelta(hours=40))
    account.run("audit")
    assert ("silence", "loop:list") in account.exceptions()
