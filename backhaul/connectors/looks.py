"""What the vendors' parts of a diagnosis share: secrets, clocks, and whether what we need is told to us. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import SecretStr

from backhaul.connectors.findings import Check, Finding, fail, ok, unchecked, warn
from backhaul.connectors.http import Http
from backhaul.connectors.subscriptions import ACTIVE, Subscription, receiver_path, receiver_url
from backhaul.connectors.vendor import Account

SKEW_NOTED, SKEW_BAD = timedelta(seconds=30), timedelta(minutes=5)
NOBODY = "backhaul-doctor"  # a key that no RMA has
NO_WORD = "the vendor did not answer, or did not accept the key"
NO_ANSWER = "See that this machine reaches the vendor, that base_url is right, and that the vendor has no outage."
_NOT_SET = "Export it for the user that runs Backhaul (or create the Prefect block), then run 'backhaul doctor' again."


class Secret:
    """A secret of the config, resolved once: a Prefect block costs seconds."""

    def __init__(self, account: Account, field: str) -> None:
        self.value: SecretStr | None = None
        self._account, self._field = account, field
        self._name = f"secret.{account.vendor}.{field}"

    def check(self) -> Check:
        """The reference leads to a secret. Never shows it."""
        return Check(self._name, self._account.merchant, self._look, _NOT_SET)

    def _look(self) -> Finding:
        self.value, *_ = self._account.secrets(self._field)
        references = self._account.references(self._field)
        return ok(self._name, self._account.merchant, f"{' and '.join(references)} {'is' if len(references) == 1 else 'are'} set")


def secret_checks(account: Account, *fields: str) -> list[Check]:
    """A check for each of these secrets that the config names."""
    return [Secret(account, field).check() for field in fields if getattr(account.section, field) is not None]


def here(urls: Sequence[str | None], merchant: str, vendor: str, public_url: str | None) -> str | None:
    """The URL that a vendor should post to: the one asked for, else the commonest of those with our path. None: there is none."""
    if public_url is not None:
        return receiver_url(public_url, merchant, vendor)
    ours = Counter(url.rstrip("/") for url in urls if url and url.rstrip("/").endswith(receiver_path(merchant, vendor)))
    return ours.most_common(1)[0][0] if ours else None


def subscribed(check: str, merchant: str, plan: Sequence[Subscription], url: str | None) -> Finding:
    """Whether all that we need is told to `url`. The check's name begins with the vendor's."""
    remedy = f"Run 'backhaul connect {merchant} --public-url URL', which registers and re-activates what is needed."
    if url is None:
        return fail(check, merchant, f"none points to {receiver_path(merchant, check.split('.')[0])}", remedy)
    lacking = [f"{step.tells} is {step.state}" for step in plan if step.is_needed and step.state != ACTIVE]
    if lacking:
        return fail(check, merchant, f"to {url}: {', '.join(lacking)}", remedy)
    needed = sum(step.is_needed for step in plan)
    return ok(check, merchant, f"{needed} active, to {url}")


def skew_of(http: Http, now: datetime) -> timedelta | None:
    """How far our clock is ahead of the vendor's, to some second."""
    return None if http.vendor_time is None else now - http.vendor_time


def clock_finding(check: str, merchant: str, skew: timedelta | None, vendor: str) -> Finding:
    """Whether our clock goes with the vendor's."""
    if skew is None:
        return unchecked(check, merchant, f"{vendor} gave no time")
    seconds = skew.total_seconds()
    what = f"this machine is {abs(seconds):.0f} seconds {'ahead of' if seconds > 0 else 'behind'} {vendor}"
    if abs(skew) <= SKEW_NOTED:
        return ok(check, merchant, what)
    remedy = "Switch on time synchronisation (NTP) on this machine: windows, holds and signatures go by its clock."
    return (fail if abs(skew) > SKEW_BAD else warn)(check, merchant, what, remedy)
