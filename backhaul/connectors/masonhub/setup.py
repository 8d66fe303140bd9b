"""What `connect` registers at MasonHub, and what `doctor` looks at there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pydantic import SecretStr

from backhaul.connectors.findings import Check, Finding, fail, ok, unchecked, warn
from backhaul.connectors.http import Observe
from backhaul.connectors.looks import NO_ANSWER, NO_WORD, NOBODY, Secret, clock_finding, here, secret_checks, skew_of, subscribed
from backhaul.connectors.masonhub.client import Callback, MasonHub
from backhaul.connectors.masonhub.endpoints import RMA_EVENT
from backhaul.connectors.masonhub.settings import MasonHubSettings
from backhaul.connectors.subscriptions import ACTIVE, OTHER, Subscription, as_done, receiver_path, shown
from backhaul.connectors.vendor import Account, Clock, Posting
from backhaul.errors import BackhaulError, ConfigError, UnauthorizedError

CALLBACK_VERSION = "2.0"  # only this one says when, and tells carrier events from the warehouse's own


def connect(account: Account, observe: Observe | None = None) -> MasonHub:
    """A client of the account."""
    return MasonHub.connect(account.section, merchant=account.merchant, token=account.secret("token"), observe=observe)


def register(account: Account, posting: Posting) -> list[Subscription]:
    """Have RMA events sent to our URL, with our token; the write is read back."""
    url, path = posting.url, posting.path
    with connect(account) as masonhub:
        steps = plan(masonhub.callbacks(), url, path=path, is_replacing=posting.is_replacing)
        if posting.is_dry_run or steps[0].action == "none":
            return steps
        failures: dict[str, str] = {}
        try:
            masonhub.register_callback(url, _callback_token(account).get_secret_value(), CALLBACK_VERSION)
        except BackhaulError as error:
            failures[steps[0].tells] = str(error)
        return as_done(steps, plan(masonhub.callbacks(), url, path=path), failures)


def _callback_token(account: Account) -> SecretStr:
    if account.section.callback_token is None:
        why = "without it anyone could post receipts. Name one, env:…, of your own making"
        raise ConfigError(f"{account.where}.callback_token is missing; {why}")
    return account.secret("callback_token")


def plan(found: Sequence[Callback], url: str, *, path: str, is_replacing: bool = False) -> list[Subscription]:
    """What to do about MasonHub's callbacks, from those there are.

    MasonHub seems to keep one URL for each message type, and a second registration to replace the first (docs/vendors/masonhub.md). So one
    that tells somebody else stops us, unless `is_replacing`; one with our own `path` on another host, or in another version, is ours and
    has moved.
    """
    steps: list[Subscription] = []
    events = [callback for callback in found if callback.message_type == RMA_EVENT]
    here = next((callback for callback in events if (callback.url or "").rstrip("/") == url), None)
    foreign = [callback for callback in events if callback is not here and not (callback.url or "").rstrip("/").endswith(path)]
    if here is not None and here.api_version == CALLBACK_VERSION:
        action, note = ("replace", "registered again, with the present token") if is_replacing else ("none", "")
        steps.append(Subscription("masonhub", RMA_EVENT, url, ACTIVE, action, note, here.id))
    elif here is not None:
        note = f"it is of version {here.api_version}, and {CALLBACK_VERSION} is needed"
        steps.append(Subscription("masonhub", RMA_EVENT, url, "inactive", "replace", note, here.id))
    elif foreign and not is_replacing:
        note = "another receiver has it, and MasonHub keeps one; --replace-callback takes it over"
        steps.append(Subscription("masonhub", RMA_EVENT, url, "missing", "none", note))
    else:
        steps.append(Subscription("masonhub", RMA_EVENT, url, "missing", "replace" if events else "create"))
    for callback in found:
        if callback is not here:
            is_taken_over = callback.message_type == RMA_EVENT and steps[0].action != "none"
            note = "gives way to ours" if is_taken_over else "points elsewhere; left alone"
            steps.append(Subscription("masonhub", callback.message_type or "?", shown(callback.url), OTHER, note=note, id=callback.id))
    return steps


def doctor(account: Account, public_url: str | None, clock: Clock) -> list[Check]:
    """Everything about one merchant's MasonHub."""
    merchant = account.merchant
    looks = _Checks(account, public_url, clock)
    return [
        looks.secret.check(),
        *secret_checks(account, "callback_token"),
        Check("masonhub.token", merchant, looks.token, NO_ANSWER),
        Check("masonhub.callbacks", merchant, looks.callbacks, f"Run 'backhaul connect {merchant} --public-url URL'."),
        Check("masonhub.clock", merchant, looks.clock),
    ]


class _Checks:
    """MasonHub's checks, which share what was read."""

    def __init__(self, account: Account, public_url: str | None, clock: Clock) -> None:
        self._merchant, self._public_url, self._now = account.merchant, public_url, clock
        self._settings: MasonHubSettings = account.section
        self.secret = Secret(account, "token")
        self._is_known = False
        self._skew: timedelta | None = None

    def token(self) -> Finding:
        if self.secret.value is None:
            return unchecked("masonhub.token", self._merchant, "the token is not set")
        with MasonHub.connect(self._settings, merchant=self._merchant, token=self.secret.value) as masonhub:
            try:
                masonhub.find([NOBODY])
                self._is_known = True
            except UnauthorizedError:
                remedy = f"Ask MasonHub's integration team for a token of this account, and put it into {self._settings.token}."
                return fail("masonhub.token", self._merchant, "MasonHub does not accept it", remedy)
            finally:
                self._skew = skew_of(masonhub.http, self._now())
        return ok("masonhub.token", self._merchant, "MasonHub accepts it")

    def callbacks(self) -> Finding:
        if self._settings.callback_token is None:
            return warn(
                "masonhub.callbacks",
                self._merchant,
                "the config names no callback_token, so callbacks are refused and receipts come by polling only",
                "Make up a long random token, name it as callback_token, and run 'backhaul connect'.",
            )
        if self.secret.value is None or not self._is_known:
            return unchecked("masonhub.callbacks", self._merchant, NO_WORD)
        with MasonHub.connect(self._settings, merchant=self._merchant, token=self.secret.value) as masonhub:
            found = masonhub.callbacks()
        url = here([callback.url for callback in found], self._merchant, "masonhub", self._public_url)
        steps = plan(found, url, path=receiver_path(self._merchant, "masonhub")) if url else []
        return subscribed("masonhub.callbacks", self._merchant, steps, url)

    def clock(self) -> Finding:
        return clock_finding("masonhub.clock", self._merchant, self._skew, "MasonHub")
