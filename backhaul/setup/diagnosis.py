"""Diagnosis: everything that a merchant's returns depend on, looked at once, with the remedy for each thing that is wrong.

Vendors are only read. The store is written to in a transaction that changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import httpx

from backhaul.config import MerchantSettings, Settings, prefect_api_url
from backhaul.connectors.findings import Check, Finding, fail, ok, unchecked, warn
from backhaul.connectors.loop.vendor import LOOP
from backhaul.connectors.registry import VENDORS
from backhaul.connectors.subscriptions import receiver_url
from backhaul.domain.reasons import Reasons
from backhaul.domain.words import ALL_VENDORS
from backhaul.pipeline.session import Clock, utc_now
from backhaul.setup.checking import run_checks
from backhaul.setup.webhooks import LOOKS, Look, look_at
from backhaul.store import whereabouts
from backhaul.store.circuits import read_circuits
from backhaul.store.due import paused
from backhaul.store.engine import Store, file_of, is_known
from backhaul.store.pauses import standing_pauses
from backhaul.store.returns import reasons_since
from backhaul.store.runs import last_of_flow
from backhaul.store.watermarks import all_watermarks

PATIENCE = 45.0  # seconds for all of it; a vendor that is down is tried for some ten
DEEP_PATIENCE = 3600.0
PREFECT_TIMEOUT = 5.0
SYNC_LATE, SYNC_DEAD = timedelta(minutes=20), timedelta(hours=2)  # a sync is due every five minutes
RECENT = timedelta(days=30)
_REASONS_SHOWN = _SHOWN = 5


def diagnose(
    settings: Settings,
    merchants: Sequence[str] | None = None,
    *,
    public_url: str | None = None,
    clock: Clock = utc_now,
    patience: float = PATIENCE,
    is_deep: bool = False,
) -> list[Finding]:
    """Check everything for these merchants (all when None). Takes at most `patience` seconds and raises nothing for what it finds.

    One that `is_deep` also goes through every return, and takes as long as that takes.

    With `public_url`, webhooks must point there; without, to wherever most of those with our path do. Raises ConfigError for an
    unknown merchant or a bad `public_url`.
    """
    if public_url is not None:
        receiver_url(public_url, "any", LOOP.name)
    names = list(merchants or sorted(settings.merchants))
    chosen = {name: settings.merchant(name) for name in names}
    store = StoreChecks(settings, chosen, clock, is_deep=is_deep)
    lanes: list[Sequence[Check]] = [
        [Check("config", "backhaul", lambda: _config(chosen)), Check("prefect", "backhaul", _prefect, _PREFECT_REMEDY)],
        store.checks(),
    ]
    for name, mine in chosen.items():
        lanes.extend(VENDORS[vendor].doctor(mine.account(name, vendor), public_url, clock) for vendor in (LOOP.name, *mine.warehouses()))
    try:
        return run_checks(lanes, DEEP_PATIENCE if is_deep else patience)
    finally:
        store.close()


def _config(chosen: dict[str, MerchantSettings]) -> Finding:
    if not chosen:
        return fail("config", "backhaul", "it has no merchant", "Add a [merchants.NAME] section, or write a new file with 'backhaul init'.")
    modes = ", ".join(f"{name} ({mine.warehouse}, {mine.mode})" for name, mine in chosen.items())
    return ok("config", "backhaul", f"it loads, with {modes}")


_PREFECT_REMEDY = (
    "Start the server ('prefect server start'), or correct PREFECT_API_URL (it ends in /api); until then nothing runs by schedule."
)


def _prefect() -> Finding:
    url = prefect_api_url()
    if url is None:
        return ok("prefect", "backhaul", "PREFECT_API_URL names no server; commands work, and record their runs in the store only")
    try:
        status = httpx.get(f"{url.rstrip('/')}/health", timeout=PREFECT_TIMEOUT).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return fail("prefect", "backhaul", f"the server does not answer: {error.__class__.__name__}", _PREFECT_REMEDY)
    if status >= 400 and status not in (401, 403):  # it may ask for a key that we do not have; it is there
        return fail("prefect", "backhaul", f"what PREFECT_API_URL names answers {status} to a health check", _PREFECT_REMEDY)
    return ok("prefect", "backhaul", "the server answers")


_STORE_AWAY = "Correct store.url in the config, start the database, or give the user that runs Backhaul the right to use it."
_STORE_READ_ONLY = "Give the user that runs Backhaul the right to write there, and see that the disk has room."


class StoreChecks:
    """The store, and what it tells of each merchant. In one lane: nothing of it can be asked when the store is not there."""

    def __init__(self, settings: Settings, merchants: dict[str, MerchantSettings], clock: Clock, *, is_deep: bool = False) -> None:
        self._settings, self._merchants, self._clock, self._is_deep = settings, merchants, clock, is_deep
        self._store: Store | None = None

    def checks(self) -> list[Check]:
        """All of them, in order."""
        lane = [
            Check("store.schema", "store", self.schema, _STORE_AWAY),
            Check("store.write", "store", self.write, _STORE_READ_ONLY),
        ]
        for name, mine in self._merchants.items():
            lane.append(Check("sync.age", name, partial(self.age, name)))
            lane.append(Check("reasons", name, partial(self.reasons, name, mine)))
            lane.append(Check("circuits", name, partial(self.circuits, name)))
            lane.append(Check("pauses", name, partial(self.pauses, name)))
            lane.extend(Check(check, name, partial(self.webhooks, name, mine, check, look)) for check, look in LOOKS.items())
            if self._is_deep:
                lane.append(Check("whereabouts", name, partial(self.whereabouts, name)))
        return lane

    def whereabouts(self, merchant: str) -> Finding:
        """That the stage, what is waited for and the value at risk, as kept, are what each return's facts come to."""
        if self._store is None:
            return unchecked("whereabouts", merchant, "the store is not ready")
        found = whereabouts.proof(self._store, merchant)
        if not found:
            return ok("whereabouts", merchant, "every return stands where its facts say")
        named = ", ".join(f"{one.return_id} ({one.words()})" for one in found[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return fail(
            "whereabouts",
            merchant,
            f"what is kept of {len(found)} return{'' if len(found) == 1 else 's'} does not follow from its facts: {named}{more}",
            f"Run 'backhaul db rebuild {merchant}', which works it out anew; then tell the developers, since this should never be.",
        )

    def close(self) -> None:
        """Give the store's connections back."""
        if self._store is not None:
            self._store.close()

    def schema(self) -> Finding:
        """The store is there and its schema is this program's. Makes nothing: a file that does not exist stays so."""
        url = self._settings.store_url()
        file = file_of(url)
        if file is not None and not file.exists():
            return fail("store.schema", "store", "there is no store yet", "Run 'backhaul db upgrade', which makes it.")
        store = Store(url)
        current, needed = store.revisions()
        if current == needed:
            self._store = store
            return ok("store.schema", "store", f"{'SQLite' if store.is_sqlite else 'PostgreSQL'} at schema {current}")
        store.close()
        if current is not None and not is_known(current):
            found = f"it is at schema {current}, which a newer Backhaul made"
            return fail(
                "store.schema", "store", found, "Run that version, or put back a backup of before the update: 'backhaul db restore FILE'."
            )
        found = "it is empty" if current is None else f"it is at schema {current}, and this program needs {needed}"
        return fail("store.schema", "store", found, "Run 'backhaul db upgrade'.")

    def write(self) -> Finding:
        """A write transaction can be made. It touches no row."""
        if self._store is None:
            return unchecked("store.write", "store", "the store is not ready")
        self._store.prove_writable()
        return ok("store.write", "store", "it can be written")

    def age(self, merchant: str) -> Finding:
        """How long ago the merchant was last brought up to date, and how old each watermark is.

        A watermark alone does not tell: it is the newest time that the vendor gave, and stands still while nothing happens there.
        """
        if self._store is None:
            return unchecked("sync.age", merchant, "the store is not ready")
        with self._store.read() as connection:
            marks = all_watermarks(connection, merchant)
            last, newest = last_of_flow(connection, merchant, "sync")
        now = self._clock()
        told = "; ".join(f"newest news of {mark.source}: {_ago(now - mark.high_water_at)}" for mark in marks) or "no watermark"
        remedy = "Read the error in 'backhaul runs', and see that the sync deployment is served and on schedule (or a cron job runs it)."
        if last is None or last.finished_at is None:
            if newest is None:
                return warn("sync.age", merchant, "it was never synced", f"Run 'backhaul sync {merchant}'.")
            return fail("sync.age", merchant, f"no sync has completed yet; {told}", remedy)
        age = now - last.finished_at
        what = f"last synced {_ago(age)}; {told}"
        if newest is not None and newest.state == "failed":
            what += f"; the latest sync failed: {newest.error or 'no reason kept'}"
        if age > SYNC_DEAD:
            return fail("sync.age", merchant, what, remedy)
        is_well = age <= SYNC_LATE and (newest is None or newest.state != "failed")
        return ok("sync.age", merchant, what) if is_well else warn("sync.age", merchant, what, remedy)

    def circuits(self, merchant: str) -> Finding:
        """Which vendors are left alone, because calls to them keep failing."""
        if self._store is None:
            return unchecked("circuits", merchant, "the store is not ready")
        with self._store.read() as connection:
            is_open = {vendor: one for vendor, one in read_circuits(connection, merchant).items() if one.opened_at is not None}
        if not is_open:
            return ok("circuits", merchant, "no vendor is left alone")
        now = self._clock()
        told = "; ".join(f"{vendor}, left alone {_ago(now - one.opened_at)}: {one.why}" for vendor, one in is_open.items() if one.opened_at)
        return warn(
            "circuits", merchant, told, "Nothing is given up: it is tried again by itself, and what is owed is sent when it answers."
        )

    def pauses(self, merchant: str) -> Finding:
        """What a person has stopped."""
        if self._store is None:
            return unchecked("pauses", merchant, "the store is not ready")
        with self._store.read() as connection:
            standing = standing_pauses(connection, merchant)
            waiting = paused(connection, merchant)
        if not standing:
            return ok("pauses", merchant, "nothing is paused")
        now, names = self._clock(), {ALL_VENDORS: "everything"}
        told = "; ".join(
            f"{names.get(one.vendor, one.vendor)}, paused {_ago(now - one.paused_at)} by {one.operator}: {one.why}" for one in standing
        )
        remedy = f"Nothing is lost. Run 'backhaul resume {merchant}' when what was wrong is put right."
        return warn("pauses", merchant, f"{told} ({waiting} deliveries wait)", remedy)

    def webhooks(self, merchant: str, settings: MerchantSettings, check: str, look: Look) -> Finding:
        """Whether webhooks still come, by one of the looks."""
        if self._store is None:
            return unchecked(check, merchant, "the store is not ready")
        with self._store.read() as connection:
            return look(look_at(connection, merchant, settings, self._clock()))

    def reasons(self, merchant: str, settings: MerchantSettings) -> Finding:
        """How many of the last 30 days' lines have a reason that the present config maps to a warehouse code."""
        if self._store is None:
            return unchecked("reasons", merchant, "the store is not ready")
        with self._store.read() as connection:
            counted = reasons_since(connection, merchant, self._clock() - RECENT)
        table = Reasons(settings.reasons)
        unmapped = {reason: lines for reason, lines in counted.items() if not table.is_mapped(reason)}
        total, lost = sum(counted.values()), sum(unmapped.values())
        if not total:
            return ok("reasons", merchant, f"no return of the last {RECENT.days} days gives a reason yet")
        if not unmapped:
            return ok("reasons", merchant, f"all {total} lines of the last {RECENT.days} days have a reason that is mapped")
        worst = sorted(unmapped, key=lambda reason: (-unmapped[reason], reason))
        names = ", ".join(f"{reason!r} ({unmapped[reason]})" for reason in worst[:_REASONS_SHOWN])
        more = f" and {len(worst) - _REASONS_SHOWN} more" if len(worst) > _REASONS_SHOWN else ""
        return warn(
            "reasons",
            merchant,
            f"{lost} of {total} lines of the last {RECENT.days} days go out as 'other': {names}{more}",
            f"Add them to [merchants.{merchant}.reasons] in the config.",
        )


def _ago(age: timedelta) -> str:
    """A time span as a person says it."""
    seconds = age.total_seconds()
    if seconds < 0:
        return f"{_ago(-age).removesuffix(' ago')} in the future"
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} seconds ago"
