"""The vendors' part of a diagnosis: secrets, keys and their scopes, webhooks and callbacks, clocks. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import SecretStr

from backhaul.config import AirhouseSettings, LoopSettings, MasonHubSettings, MerchantSettings, resolve
from backhaul.connectors.http import Http
from backhaul.connectors.loop.answers import Webhook
from backhaul.connectors.loop.client import LoopClient
from backhaul.connectors.masonhub.client import MasonHub
from backhaul.connectors.registry import connect_warehouse
from backhaul.errors import BackhaulError, UnauthorizedError
from backhaul.pipeline.connecting import (
    ACTIVE,
    WHERE_KEYS_ARE_MADE,
    Subscription,
    plan_loop,
    plan_masonhub,
    receiver_path,
    receiver_url,
)
from backhaul.pipeline.findings import Check, Finding, fail, ok, unchecked, warn
from backhaul.pipeline.session import Clock, called_warehouses, warehouse_names

KEY_LENGTH = 40  # not documented; what Loop makes, and what Airhouse asks merchants to check
SKEW_NOTED, SKEW_BAD = timedelta(seconds=30), timedelta(minutes=5)
NOBODY = "backhaul-doctor"  # a key that no RMA has
_NOT_SET = "Export it for the user that runs Backhaul (or create the Prefect block), then run 'backhaul doctor' again."
_NO_WORD = "the vendor did not answer, or did not accept the key"
_NO_ANSWER = "See that this machine reaches the vendor, that base_url is right, and that the vendor has no outage."


class _Secret:
    """A secret of the config, resolved once: a Prefect block costs seconds."""

    def __init__(self, merchant: str, place: str, reference: str) -> None:
        self.value: SecretStr | None = None
        self._merchant, self._place, self._reference = merchant, place, reference

    def check(self) -> Check:
        """The reference leads to a secret. Never shows it."""
        return Check(f"secret.{self._place}", self._merchant, self._look, _NOT_SET)

    def _look(self) -> Finding:
        self.value = resolve(self._reference, f"merchants.{self._merchant}.{self._place}")
        return ok(f"secret.{self._place}", self._merchant, f"{self._reference} is set")


def _secret_checks(merchant: str, places: Mapping[str, str | None]) -> list[Check]:
    return [_Secret(merchant, place, reference).check() for place, reference in places.items() if reference is not None]


def loop_lane(merchant: str, settings: MerchantSettings, public_url: str | None, clock: Clock) -> list[Check]:
    """Everything about one merchant's Loop."""
    looks = _LoopChecks(merchant, settings.loop, public_url, clock)
    return [
        looks.secret.check(),
        *_secret_checks(merchant, {"loop.webhook_secret": settings.loop.webhook_secret}),
        Check("loop.key_length", merchant, looks.key_length),
        Check("loop.key", merchant, looks.key, _NO_ANSWER),
        Check("loop.scopes", merchant, looks.scopes, _NO_ANSWER),
        Check("loop.webhooks", merchant, looks.webhooks, f"Run 'backhaul connect {merchant} --public-url URL'."),
        Check("loop.clock", merchant, looks.clock),
    ]


def warehouse_lanes(merchant: str, settings: MerchantSettings, public_url: str | None, clock: Clock) -> list[list[Check]]:
    """Everything about one merchant's warehouses, a lane for each."""
    lanes: list[list[Check]] = []
    for name in warehouse_names(settings):
        if name == "masonhub" and settings.masonhub is not None:
            lanes.append(_masonhub_lane(merchant, settings.masonhub, public_url, clock))
        elif name == "airhouse" and settings.airhouse is not None:
            lanes.append(_airhouse_lane(merchant, settings, settings.airhouse))
    return lanes


class _LoopChecks:
    """Loop's checks, which share what was read: the vendor is asked once, by the first that needs it."""

    def __init__(self, merchant: str, settings: LoopSettings, public_url: str | None, clock: Clock) -> None:
        self._merchant, self._settings, self._public_url, self._now = merchant, settings, public_url, clock
        self.secret = _Secret(merchant, "loop.api_key", settings.api_key)
        self._returns_refusal: UnauthorizedError | None = None
        self._hooks: list[Webhook] | None = None
        self._hooks_failure: BackhaulError | None = None
        self._skew: timedelta | None = None
        self._is_known = False

    def key_length(self) -> Finding:
        if self.secret.value is None:
            return unchecked("loop.key_length", self._merchant, "the key is not set")
        length = len(self.secret.value.get_secret_value().strip())
        if length == KEY_LENGTH:
            return ok("loop.key_length", self._merchant, f"{KEY_LENGTH} characters")
        return warn(
            "loop.key_length",
            self._merchant,
            f"the key has {length} characters; Loop makes keys of {KEY_LENGTH}",
            f"Copy the whole key again from {WHERE_KEYS_ARE_MADE} into {self._settings.api_key}.",
        )

    def key(self) -> Finding:
        if self.secret.value is None:
            return unchecked("loop.key", self._merchant, "the key is not set")
        self._ask(self.secret.value)
        if not self._is_known:
            what = "Loop accepts it neither for returns nor for webhooks"
            return fail("loop.key", self._merchant, what, f"Make a key in {WHERE_KEYS_ARE_MADE} and put it into {self._settings.api_key}.")
        return ok("loop.key", self._merchant, "Loop accepts it")

    def scopes(self) -> Finding:
        if not self._is_known:
            return unchecked("loop.scopes", self._merchant, _NO_WORD)
        refusals = {"Returns": self._returns_refusal, "Developer Tools": self._hooks_failure}
        missing = [scope for scope, failure in refusals.items() if isinstance(failure, UnauthorizedError)]
        if missing:
            return fail(
                "loop.scopes",
                self._merchant,
                f"the key lacks {' and '.join(missing)}",
                f"Edit the key in {WHERE_KEYS_ARE_MADE} and tick {' and '.join(missing)}.",
            )
        if self._hooks_failure is not None:
            return unchecked("loop.scopes", self._merchant, "Loop did not give the webhooks")
        return ok("loop.scopes", self._merchant, "Returns and Developer Tools")

    def webhooks(self) -> Finding:
        if self._settings.webhook_secret is None:
            return warn(
                "loop.webhooks",
                self._merchant,
                "the config names no webhook_secret, so webhooks are refused and news comes by polling only",
                f"Copy the secret from {WHERE_KEYS_ARE_MADE}, name it as webhook_secret, and run 'backhaul connect {self._merchant}'.",
            )
        if self._hooks is None:
            if self._hooks_failure is not None and not isinstance(self._hooks_failure, UnauthorizedError):
                raise self._hooks_failure
            return unchecked("loop.webhooks", self._merchant, "the key may not read webhooks" if self._is_known else _NO_WORD)
        urls = [hook.url for hook in self._hooks if hook.status == ACTIVE] + [hook.url for hook in self._hooks]
        url = _here(urls, self._merchant, "loop", self._public_url)
        return _subscribed("loop.webhooks", self._merchant, plan_loop(self._hooks, url) if url else [], url)

    def clock(self) -> Finding:
        return _clock("loop.clock", self._merchant, self._skew, "Loop")

    def _ask(self, key: SecretStr) -> None:
        """Two reads: the returns of the last minute, and the webhooks. They tell a wrong key from one that lacks a scope."""
        with LoopClient.connect(self._settings, merchant=self._merchant, api_key=key) as loop:
            now = self._now()
            try:
                loop.returns(now - timedelta(minutes=1), now, states=("open",))
                self._is_known = True
            except UnauthorizedError as refusal:
                self._returns_refusal = refusal
            self._skew = _skew(loop.http, self._now())
            try:
                self._hooks = loop.webhooks()
                self._is_known = True
            except BackhaulError as failure:
                self._hooks_failure = failure


def _masonhub_lane(merchant: str, settings: MasonHubSettings, public_url: str | None, clock: Clock) -> list[Check]:
    looks = _MasonHubChecks(merchant, settings, public_url, clock)
    return [
        looks.secret.check(),
        *_secret_checks(merchant, {"masonhub.callback_token": settings.callback_token}),
        Check("masonhub.token", merchant, looks.token, _NO_ANSWER),
        Check("masonhub.callbacks", merchant, looks.callbacks, f"Run 'backhaul connect {merchant} --public-url URL'."),
        Check("masonhub.clock", merchant, looks.clock),
    ]


class _MasonHubChecks:
    """MasonHub's checks, which share what was read."""

    def __init__(self, merchant: str, settings: MasonHubSettings, public_url: str | None, clock: Clock) -> None:
        self._merchant, self._settings, self._public_url, self._now = merchant, settings, public_url, clock
        self.secret = _Secret(merchant, "masonhub.token", settings.token)
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
                self._skew = _skew(masonhub.http, self._now())
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
            return unchecked("masonhub.callbacks", self._merchant, _NO_WORD)
        with MasonHub.connect(self._settings, merchant=self._merchant, token=self.secret.value) as masonhub:
            found = masonhub.callbacks()
        url = _here([callback.url for callback in found], self._merchant, "masonhub", self._public_url)
        plan = plan_masonhub(found, url, path=receiver_path(self._merchant, "masonhub")) if url else []
        return _subscribed("masonhub.callbacks", self._merchant, plan, url)

    def clock(self) -> Finding:
        return _clock("masonhub.clock", self._merchant, self._skew, "MasonHub")


def _airhouse_lane(merchant: str, settings: MerchantSettings, airhouse: AirhouseSettings) -> list[Check]:
    is_by_file = "airhouse" not in called_warehouses(settings)
    secrets = {"airhouse.api_key": None if is_by_file else airhouse.api_key, "airhouse.webhook_secret": airhouse.webhook_secret}

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
        with connect_warehouse("airhouse", merchant, settings) as client:
            client.find([NOBODY])
        return ok("airhouse.key", merchant, "Airhouse accepts it")

    return [
        *_secret_checks(merchant, secrets),
        Check("airhouse.contract", merchant, contract),
        Check("airhouse.key", merchant, key, _NO_ANSWER),
    ]


def _here(urls: Sequence[str | None], merchant: str, vendor: str, public_url: str | None) -> str | None:
    """The URL that a vendor should post to: the one asked for, else the commonest of those with our path. None: there is none."""
    if public_url is not None:
        return receiver_url(public_url, merchant, vendor)
    ours = Counter(url.rstrip("/") for url in urls if url and url.rstrip("/").endswith(receiver_path(merchant, vendor)))
    return ours.most_common(1)[0][0] if ours else None


def _subscribed(check: str, merchant: str, plan: Sequence[Subscription], url: str | None) -> Finding:
    remedy = f"Run 'backhaul connect {merchant} --public-url URL', which registers and re-activates what is needed."
    if url is None:
        return fail(check, merchant, f"none points to {receiver_path(merchant, check.split('.')[0])}", remedy)
    lacking = [f"{step.tells} is {step.state}" for step in plan if step.is_needed and step.state != ACTIVE]
    if lacking:
        return fail(check, merchant, f"to {url}: {', '.join(lacking)}", remedy)
    needed = sum(step.is_needed for step in plan)
    return ok(check, merchant, f"{needed} active, to {url}")


def _skew(http: Http, now: datetime) -> timedelta | None:
    """How far our clock is ahead of the vendor's, to some second."""
    return None if http.vendor_time is None else now - http.vendor_time


def _clock(check: str, merchant: str, skew: timedelta | None, vendor: str) -> Finding:
    if skew is None:
        return unchecked(check, merchant, f"{vendor} gave no time")
    seconds = skew.total_seconds()
    what = f"this machine is {abs(seconds):.0f} seconds {'ahead of' if seconds > 0 else 'behind'} {vendor}"
    if abs(skew) <= SKEW_NOTED:
        return ok(check, merchant, what)
    remedy = "Switch on time synchronisation (NTP) on this machine: windows, holds and signatures go by its clock."
    return (fail if abs(skew) > SKEW_BAD else warn)(check, merchant, what, remedy)
