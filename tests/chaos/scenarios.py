"""What is done while an operation fails: eight scenarios, each in the words of docs/architecture.md.

`prepare` is what has happened before. `steps` are done under the fault, each by itself: one that fails does not keep the next from being
tried, as the next command or the next schedule would. `heal` is what people and schedules go on to do, again and again, until all is quiet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tests.chaos.ground import Account, Ground

Step = Callable[[Account], object]
FIGURES = "external_id,order_number,sku,expected,received,restocked,status,request_date,delivery_date,received_date"
BY_FILE = {"policy": 'announce = "off"', "airhouse": ""}  # sections of a merchant who uses no API of Airhouse's


@dataclass(frozen=True)
class Scenario:
    """One scenario, at one kind of warehouse."""

    prepare: Step
    steps: Sequence[Step] = (Account.sync,)
    heal: Sequence[Step] = (Account.sync,)
    warehouse: str = "masonhub"
    is_by_file: bool = False

    def open(self, ground: Ground) -> Account:
        """A merchant to whom all that comes before has happened."""
        account = ground.open(self.warehouse, **(BY_FILE if self.is_by_file else {}))
        self.prepare(account)
        account.wait()
        return account


def _announced(account: Account, *skus: str, number: int = 1001) -> str:
    return_id = account.shop(*skus, order_number=number)
    account.sync()
    account.wait()
    return return_id


def _announce(account: Account) -> None:
    account.shop("TEE-NVY-M", "CAP-RED-1")


def _receive_all(account: Account) -> None:
    account.receive(_announced(account), "all")


def _receive_damaged(account: Account) -> None:
    account.receive(_announced(account, "TEE-NVY-M", "CAP-RED-1"), "damaged")


def _correct(account: Account) -> None:
    """Two returns: one that was held and is clean after all, and one that is processed and turns out to be damaged."""
    held, processed = account.shop("TEE-NVY-M", order_number=1), account.shop("TEE-NVY-M", order_number=2)
    account.sync()
    account.receive(held, "quality_control")
    account.receive(processed, "all")
    account.sync()
    account.wait()
    account.receive(held, "all")
    account.receive(processed, "damaged")


def _cancel(account: Account) -> None:
    """Two announced returns: one is withdrawn, the other gets its label."""
    withdrawn, labelled = account.shop("TEE-NVY-M", order_number=1), account.shop("CAP-RED-1", order_number=2)
    account.sync()
    account.wait()
    account.world.cancel_return(account.merchant, withdrawn)
    account.world.set_tracking(account.merchant, labelled, "9400100000000000000001")


def _subscribed(account: Account) -> None:
    account.subscribe()
    account.shop("TEE-NVY-M")


def _post(account: Account) -> None:
    """Vendors post, and post again what was not taken."""
    account.undelivered += account.fresh_postings()
    statuses = account.post(account.undelivered)
    account.undelivered = [one for one, status in zip(account.undelivered, statuses, strict=True) if status != 200]


def _past(account: Account) -> None:
    """Three returns from before a first sync looks back, of which one is over."""
    for number, state in enumerate(("open", "closed", "open")):
        account.shop("TEE-NVY-M", order_number=number, at=account.world.now - timedelta(days=9), state=state)
    account.since = f"{account.world.now - timedelta(days=10):%Y-%m-%d}"


def _backfill(account: Account) -> None:
    account.backfill(account.since, f"{datetime.fromisoformat(account.since) + timedelta(days=3):%Y-%m-%d}")


def _figures(account: Account) -> None:
    good, bad = account.shop("TEE-NVY-M", order_number=1), account.shop("TEE-NVY-M", order_number=2)
    told = [(good, "#1", "1,1,1"), (bad, "#2", "1,1,0")]
    lines = [f"{key},{order},TEE-NVY-M,{counts},Processed,2026-03-02,2026-03-07,2026-03-09" for key, order, counts in told]
    figures_file(account).write_text("\n".join([FIGURES, *lines, ""]), encoding="utf-8")


def figures_file(account: Account) -> Path:
    return account.file.with_suffix(".csv")


def bring_figures(account: Account) -> None:
    account.bring_in(figures_file(account))


SCENARIOS: dict[str, Scenario] = {
    "announce": Scenario(_announce),
    "process with close": Scenario(_receive_all, warehouse="airhouse"),
    "process": Scenario(_receive_all),
    "flag with note": Scenario(_receive_damaged),
    "correction": Scenario(_correct),
    "cancel": Scenario(_cancel),
    "webhook to RMA": Scenario(_subscribed, steps=(_post, Account.take_in), heal=(_post, Account.take_in, Account.sync)),
    "backfill window": Scenario(_past, steps=(_backfill,), heal=(_backfill, Account.sync)),
    "import": Scenario(_figures, steps=(bring_figures,), heal=(bring_figures,), warehouse="airhouse", is_by_file=True),
}
