"""What a person has Airhouse set up, since no API of it is public, and what `doctor` looks at."""

from __future__ import annotations

from backhaul.connectors.airhouse.client import Airhouse
from backhaul.connectors.airhouse.settings import AirhouseSettings, require_contract
from backhaul.connectors.findings import Check, Finding, fail, ok, unchecked
from backhaul.connectors.http import Observe
from backhaul.connectors.looks import NO_ANSWER, NOBODY, secret_checks
from backhaul.connectors.subscriptions import Subscription
from backhaul.connectors.vendor import Account, Clock, Posting


def connect(account: Account, observe: Observe | None = None) -> Airhouse:
    """A client of the account. Raises ConfigError unless its contract is assumed."""
    require(account)
    return Airhouse.connect(account.section, merchant=account.merchant, api_key=account.secret("api_key"), observe=observe)


def require(account: Account) -> None:
    """Raise ConfigError unless the config says that the assumed contract holds."""
    require_contract(account.section, account.where)


def register(account: Account, posting: Posting) -> list[Subscription]:
    """Nothing: no call that registers a webhook is known."""
    return []


def by_hand(account: Account, url: str) -> list[str]:
    """The webhook, which Airhouse's staff set up."""
    shared = account.section.webhook_secret
    return [
        f"Airhouse's API is not public: ask your account manager to have return events sent to {url}, "
        + (
            f"signed with the secret behind {shared[0]}."
            if shared is not None
            else f"and for the secret that signs them, to be named as webhook_secret under [{account.where}]."
        )
    ]


def doctor(account: Account, public_url: str | None, clock: Clock) -> list[Check]:
    """Everything about one merchant's Airhouse."""
    merchant = account.merchant
    airhouse: AirhouseSettings = account.section
    is_by_file = account.announce == "off" and not airhouse.assumed_contract

    def contract() -> Finding:
        if airhouse.assumed_contract:
            return ok("airhouse.contract", merchant, "assumed_contract is set: you know the API that Airhouse gave you")
        if is_by_file:
            return ok("airhouse.contract", merchant, "not assumed, and nothing is announced: results come by 'backhaul import airhouse'")
        return fail(
            "airhouse.contract",
            merchant,
            "Airhouse's API is not public, and assumed_contract is not set, so no sync can announce returns there",
            f'Compare its API with the one assumed, then set it; or set announce = "off" under [merchants.{merchant}.policy].',
        )

    def key() -> Finding:
        if not airhouse.assumed_contract:
            return ok("airhouse.key", merchant, "not used") if is_by_file else unchecked("airhouse.key", merchant, "no contract is assumed")
        with connect(account) as client:
            client.find([NOBODY])
        return ok("airhouse.key", merchant, "Airhouse accepts it")

    return [
        *secret_checks(account, *(() if is_by_file else ("api_key",)), "webhook_secret"),
        Check("airhouse.contract", merchant, contract),
        Check("airhouse.key", merchant, key, NO_ANSWER),
    ]
