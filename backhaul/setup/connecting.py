"""Connecting: the webhooks and callbacks that a merchant needs at its vendors, what is there, and what a person must do.

Safe to repeat: what is in place is left alone, what points elsewhere is shown and never touched, and every write is read back.
"""

from __future__ import annotations

from dataclasses import dataclass

from backhaul.config import MerchantSettings
from backhaul.connectors.loop.vendor import LOOP
from backhaul.connectors.registry import VENDORS
from backhaul.connectors.subscriptions import Subscription, receiver_path, receiver_url
from backhaul.connectors.vendor import Posting
from backhaul.errors import BackhaulError


@dataclass(frozen=True, slots=True)
class Connection:
    """How a merchant is connected: every subscription there is or should be, what went wrong, and what a person must still do."""

    subscriptions: list[Subscription]
    by_hand: list[str]
    problems: list[str]


def connect(
    merchant: str, settings: MerchantSettings, public_url: str, *, is_dry_run: bool = False, is_replacing: bool = False
) -> Connection:
    """Register what is missing at a merchant's vendors, or with `is_dry_run` only say what would be.

    One vendor's failure does not stop the other: it is among the `problems`. Raises ConfigError for a bad URL or an API key to Loop that
    cannot be resolved, before any vendor is called.
    """
    accounts = {name: settings.account(merchant, name) for name in (LOOP.name, *settings.warehouses())}
    urls = {name: receiver_url(public_url, merchant, name) for name in accounts}
    accounts[LOOP.name].secret(LOOP.key)
    subscriptions: list[Subscription] = []
    by_hand: list[str] = []
    problems: list[str] = []
    for name, account in accounts.items():
        posting = Posting(urls[name], receiver_path(merchant, name), is_dry_run, is_replacing)
        try:
            found = VENDORS[name].register(account, posting)
            subscriptions.extend(found)
            problems.extend(one.problem for one in found if one.problem)
        except BackhaulError as error:
            problems.append(str(error))
        by_hand.extend(VENDORS[name].by_hand(account, urls[name]))
        if name == LOOP.name:
            by_hand.append(f"Have the receiver ('backhaul serve') answer, through TLS, at {urls[name].removesuffix(posting.path)}.")
    return Connection(subscriptions, by_hand, problems)
