"""One merchant's session: the store, the vendors' clients, the terms, the run. Everything a step needs, opened once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backhaul.config import MerchantSettings, Settings
from backhaul.connectors.budget import Ledger, kept_in
from backhaul.connectors.loop.vendor import LOOP
from backhaul.connectors.registry import WAREHOUSES
from backhaul.domain.facts import Terms
from backhaul.domain.policy import Policy
from backhaul.domain.reasons import Reasons
from backhaul.errors import StructuralError, TransientVendorError, VendorError
from backhaul.store.engine import Store
from backhaul.store.reasons import replace_reasons, stored_reasons
from backhaul.store.runs import Run, kept_to_its_end, start_run
from backhaul.store.transaction import Transaction
from backhaul.store.whereabouts import settle_whereabouts

if TYPE_CHECKING:
    from backhaul.connectors.base import Warehouse
    from backhaul.connectors.http import Observe
    from backhaul.connectors.loop.client import LoopClient

Clock = Callable[[], datetime]

# Rows are many and hold no cycles; at Python's own thresholds the collector walks them again and again, a third of a backfill's time.
_COLLECT = (50_000, 20, 100)


def utc_now() -> datetime:
    """The time, aware. The only clock of the program; tests hand in their own."""
    return datetime.now(UTC)


class Session:
    """What the steps of a merchant's run share. Not a dataclass: Prefect looks into those when a task takes one."""

    def __init__(
        self,
        store: Store,
        merchant: str,
        settings: MerchantSettings,
        run: Run,
        loop: LoopClient,
        warehouses: dict[str, Warehouse],
        clock: Clock,
    ) -> None:
        self.store = store
        self.merchant = merchant
        self.settings = settings
        self.run = run
        self.loop = loop
        self.warehouses = warehouses
        self.clock = clock
        self._put_off: list[Exception] = []
        policy = settings.policy
        self.policy = Policy(policy.unexpected, policy.pending_hold_days, policy.announce)
        self.reasons = Reasons(settings.reasons)
        self.limits = settings.guards.limits() if settings.guards is not None else None

    @contextmanager
    def write(self, *, alone: bool = True) -> Iterator[Transaction]:
        """A transaction that commits at the end, or leaves nothing; on either database it is the merchant's only one meanwhile.

        One that is not `alone` waits for no other: leases are taken and renewed so.
        """
        with self.store.write(self.merchant if alone else None) as connection:
            tx = Transaction(connection, self.merchant, self.run.run_id, self.clock())
            yield tx
            settle_whereabouts(tx)

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """What a vendor does wrong in here fails the run at its end, and keeps nothing else of it from being done."""
        try:
            yield
        except (VendorError, StructuralError) as error:
            self._put_off.append(error)

    def raise_put_off(self) -> None:
        """Raise the first of what was put off, if anything was."""
        if self._put_off:
            raise self._put_off[0]

    def client(self, warehouse: str) -> Warehouse:
        """The client of one of the merchant's warehouses. Raises TransientVendorError where its results come by file."""
        if warehouse not in self.warehouses:
            raise TransientVendorError(f"{self.merchant}: {warehouse} has no API to send this to, its results come by file")
        return self.warehouses[warehouse]

    def terms(self, warehouse: str) -> Terms:
        """What the merchant and one of its warehouses lay down for every return. One whose results come by file is told nothing."""
        client = self.warehouses.get(warehouse)
        if client is None:
            return Terms(replace(self.policy, announce="off"), self.reasons, self.settings.mode, must_close=False)
        return Terms(self.policy, self.reasons, self.settings.mode, client.must_close)


def called_warehouses(settings: MerchantSettings, *, by_file: bool = False) -> list[str]:
    """The warehouses that a run calls: all, but for one whose results come by file when nothing is announced, or the run is an import."""
    told_by_file = by_file or settings.policy.announce == "off"
    return [name for name in settings.warehouses() if not (told_by_file and WAREHOUSES[name].is_by_file(getattr(settings, name)))]


def check_secrets(settings: Settings, merchants: list[str], *, by_file: bool = False) -> None:
    """Resolve every secret that a run of these merchants needs. Raises ConfigError for the first that cannot be.

    `by_file` is for an import, which does without the API of a warehouse whose contract is not assumed.
    """
    for merchant in merchants:
        mine = settings.merchant(merchant)
        mine.account(merchant, LOOP.name).secret(LOOP.key)
        for name in called_warehouses(mine, by_file=by_file):
            account = mine.account(merchant, name)
            WAREHOUSES[name].require(account)
            account.secret(WAREHOUSES[name].key)


@contextmanager
def open_session(
    settings: Settings,
    store: Store,
    merchant: str,
    flow: str,
    *,
    trigger: str,
    by_file: bool = False,
    flow_run_id: str | None = None,
    clock: Clock = utc_now,
    observe: Observe | None = None,
    ledger: Ledger | None = None,
) -> Iterator[Session]:
    """A session whose run is recorded from its first moment to its last, whatever happens in between.

    Calls to vendors are written down in `ledger`; without one, they are counted by this process alone.
    """
    from backhaul.connectors.loop.client import LoopClient  # brings httpx, which whoever opens no session need not pay for

    mine = settings.merchant(merchant)
    gc.set_threshold(*_COLLECT)
    run = start_run(store, flow, merchant, trigger, clock(), flow_run_id)
    with kept_to_its_end(store, run, clock), ExitStack() as stack:
        account = mine.account(merchant, LOOP.name)
        key = account.secret(LOOP.key)
        stack.enter_context(kept_in(ledger))
        loop = stack.enter_context(LoopClient.connect(account.section, merchant=merchant, api_key=key, observe=observe))
        warehouses: dict[str, Warehouse] = {}
        for name in called_warehouses(mine, by_file=by_file):
            warehouses[name] = stack.enter_context(WAREHOUSES[name].connect(mine.account(merchant, name), observe))
        session = Session(store, merchant, mine, run, loop, warehouses, clock)
        _keep_reason_codes(session)
        yield session
        session.raise_put_off()


def _keep_reason_codes(session: Session) -> None:
    """Keep the config's table of reasons where the coverage view can read it."""
    with session.store.read() as connection:
        is_kept = stored_reasons(connection, session.merchant) == session.reasons.table
    if not is_kept:
        with session.write() as tx:
            replace_reasons(tx, session.reasons.table)
