"""Whether webhooks still come: what the store tells of the receiver, of what it refused, and of news that only the list brought.

No vendor is asked, and each look costs a few rows, so that the console's page of a merchant shows the same findings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backhaul.config import MerchantSettings
from backhaul.connectors.findings import Finding, Health, ok, warn
from backhaul.connectors.loop.vendor import LOOP
from backhaul.connectors.registry import VENDORS
from backhaul.domain.plainly import ago, joined, plural
from backhaul.store.entrances import LATELY, Entrance, Heard, heard

CLOSED_AFTER = timedelta(minutes=5)  # without a word; a receiver says every half minute that it is open
WAITS_LONG = timedelta(minutes=10)  # an event is taken in within seconds
BEHIND = timedelta(hours=1)
_UNPROVEN = 401
_REFUSED_FOR = {
    400: "not a webhook's JSON",
    401: "no valid proof",
    413: "too large",
    415: "compressed, or not JSON",
    503: "the store was away",
}


@dataclass(frozen=True, slots=True)
class Sight:
    """What is looked at: a merchant's entrances by the config, each with the references of its secret, and what the store heard."""

    merchant: str
    secrets: dict[str, tuple[str, ...]]
    heard: Heard
    now: datetime


Look = Callable[[Sight], Finding]


def look_at(connection: Any, merchant: str, settings: MerchantSettings, now: datetime) -> Sight:
    """Read what the looks need, from a connection to the store."""
    secrets = {}
    for vendor in (LOOP.name, *settings.warehouses()):
        account = settings.account(merchant, vendor)
        if getattr(account.section, VENDORS[vendor].proof_key) is not None:
            secrets[vendor] = account.references(VENDORS[vendor].proof_key)
    return Sight(merchant, secrets, heard(connection, merchant, list(secrets), LOOP.name), now)


def receiver(sight: Sight) -> Finding:
    """A receiver is open at each entrance of the config, and events do not wait."""
    check, told = "receiver", sight.heard
    if not sight.secrets:
        return ok(check, sight.merchant, "the config names no webhook's secret, so no receiver is needed; news comes by syncs alone")
    opened = {source: told.entrances[source].open_at for source in sight.secrets if source in told.entrances}
    shut = [source for source in sight.secrets if source not in opened or sight.now - opened[source] > CLOSED_AFTER]
    waiting = f"{plural(told.waiting, 'event')} waiting" + (f", the oldest came {ago(told.oldest_at, sight.now)}" if told.oldest_at else "")
    if shut:
        last = f"the last was {ago(max(opened.values()), sight.now)}" if opened else "none has ever been"
        return warn(
            check,
            sight.merchant,
            f"no receiver is open for {joined(shut)}: {last}; {waiting}",
            "Start 'backhaul serve' on this store, or start it anew after a change of the config. "
            "Meanwhile syncs bring the news, later; nothing is lost.",
        )
    if told.oldest_at is not None and sight.now - told.oldest_at > WAITS_LONG:
        return warn(
            check,
            sight.merchant,
            f"a receiver is open, and yet nobody takes the events in: {waiting}",
            f"Read the error in 'backhaul runs' and in the log of 'backhaul serve'. 'backhaul sync {sight.merchant}' takes them in too.",
        )
    return ok(check, sight.merchant, f"open for {joined(list(sight.secrets))}; {waiting}")


def refused(sight: Sight) -> Finding:
    """No webhook was refused in the last day."""
    check = "webhooks.refused"
    found = [one for source in sight.secrets if (one := sight.heard.entrances.get(source)) and _is_late(one, sight.now)]
    if not found:
        return ok(check, sight.merchant, "none was refused in the last day")
    remedies = []
    for one in found:
        if one.refused_status == _UNPROVEN:
            remedies.append(
                f"Compare {joined(list(sight.secrets[one.source]))} with the secret that {VENDORS[one.source].title} signs with, "
                "and start 'backhaul serve' anew; if webhooks are taken in as well, a stranger sent the others."
            )
        elif one.refused_status == 503:
            remedies.append("See store.write and the log of 'backhaul serve'; the vendor sends them again, and syncs bring the news.")
        else:
            remedies.append(f"Read in the log of 'backhaul serve' what {VENDORS[one.source].title} sent; syncs bring the news.")
    return warn(check, sight.merchant, "; ".join(_told(one, sight) for one in found), " ".join(dict.fromkeys(remedies)))


def stopped(sight: Sight) -> Finding:
    """Where Loop's webhooks came, its list has brought nothing for over an hour that none of them told of."""
    check, told = "webhooks.stopped", sight.heard
    last_at = told.last_at.get(LOOP.name)
    if last_at is None:
        return ok(check, sight.merchant, "none of Loop's has come yet")
    if LOOP.name in sight.secrets and told.listed_at is not None and told.listed_at - last_at > BEHIND:
        return warn(
            check,
            sight.merchant,
            f"Loop's list has changes of {ago(told.listed_at, sight.now)}, and its last webhook came {ago(last_at, sight.now)}",
            f"Run 'backhaul connect {sight.merchant} --public-url URL', which shows and mends what is registered at Loop; "
            "then see that the URL reaches 'backhaul serve'. Meanwhile syncs bring the news, later.",
        )
    return ok(check, sight.merchant, f"Loop's last came {ago(last_at, sight.now)}, and its list tells nothing that is much newer")


LOOKS: dict[str, Look] = {"receiver": receiver, "webhooks.refused": refused, "webhooks.stopped": stopped}


def troubles(connection: Any, merchant: str, settings: MerchantSettings, now: datetime) -> list[Finding]:
    """What a person should know of a merchant's webhooks; empty when all is well."""
    sight = look_at(connection, merchant, settings, now)
    return [found for look in LOOKS.values() if (found := look(sight)).state is not Health.OK]


def _is_late(one: Entrance, now: datetime) -> bool:
    return one.refused_at is not None and now - one.refused_at <= LATELY


def _told(one: Entrance, sight: Sight) -> str:
    last_at = sight.heard.last_at.get(one.source)
    kept = f"the last that was taken in came {ago(last_at, sight.now)}" if last_at else "none was ever taken in"
    why = _REFUSED_FOR.get(one.refused_status or 0, "not what a vendor sends")
    times = [ago(at, sight.now) for at in (one.refused_since, one.refused_at) if at is not None]
    when = f"the first {times[0]}, the last {times[-1]}" if times[0] != times[-1] else times[0]
    return f"{one.source}: {plural(one.refused, 'request')} refused, {when} ({one.refused_status}: {why}); {kept}"
