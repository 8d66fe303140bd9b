"""What `connect` registers at Loop, and what `doctor` looks at there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pydantic import SecretStr

from backhaul.connectors.findings import Check, Finding, fail, ok, unchecked, warn
from backhaul.connectors.looks import NO_ANSWER, NO_WORD, Secret, clock_finding, here, secret_checks, skew_of, subscribed
from backhaul.connectors.loop.answers import Webhook
from backhaul.connectors.loop.client import LoopClient
from backhaul.connectors.loop.settings import LoopSettings
from backhaul.connectors.subscriptions import ACTIVE, OTHER, Subscription, as_done, shown
from backhaul.connectors.vendor import Account, Clock, Posting
from backhaul.errors import BackhaulError, UnauthorizedError

# Topic (what the body holds) and trigger (when it is sent): one subscription each (docs/vendors/loop.md).
NEEDS = (
    ("return", "return.created"),
    ("return", "return.updated"),
    ("return", "return.closed"),
    ("return.processing", "return.processing.failed"),
    ("label", "label.created"),
    ("label", "label.updated"),
)
KEY_LENGTH = 40  # not documented; what Loop makes
WHERE_KEYS_ARE_MADE = "Loop Admin > Returns Management > Tools & integrations > Developer Tools"
NEEDS_DEVELOPER_TOOLS = (
    f"Loop answers 401 both to a wrong key and to one without the scope: give the key the scope Developer Tools in {WHERE_KEYS_ARE_MADE}"
)


def connect(account: Account) -> LoopClient:
    """A client of the account."""
    return LoopClient.connect(account.section, merchant=account.merchant, api_key=account.secret("api_key"))


def register(account: Account, posting: Posting) -> list[Subscription]:
    """Have what we need sent to our URL; each write is read back. Raises UnauthorizedError that says which scope a key needs."""
    try:
        with connect(account) as loop:
            return _register(loop, posting)
    except UnauthorizedError as error:
        raise UnauthorizedError(f"{error}. {NEEDS_DEVELOPER_TOOLS}") from None


def by_hand(account: Account, url: str) -> list[str]:
    """The secret that signs webhooks, which no API shows."""
    secret = account.section.webhook_secret
    return [
        f"Loop signs webhooks with a secret that only its admin page shows ({WHERE_KEYS_ARE_MADE}). "
        + (
            f"See that it is the one behind {secret[0]}; with another one every webhook is refused."
            if secret is not None
            else f"Copy it, and name it in the config as webhook_secret under [{account.where}]; until then webhooks are refused."
        )
    ]


def plan(found: Sequence[Webhook], url: str) -> list[Subscription]:
    """What to do about Loop's webhooks, from those there are.

    | found, with this topic and trigger      | action   |
    |---|---|
    | to this URL, active                     | none     |
    | to this URL, not active                 | activate |
    | none to this URL                        | create   |
    | anything else                           | none, shown |
    """
    steps: list[Subscription] = []
    here = [hook for hook in found if (hook.url or "").rstrip("/") == url]
    for topic, trigger in NEEDS:
        same = [hook for hook in here if (hook.topic, hook.trigger) == (topic, trigger)]
        best = next((hook for hook in same if hook.status == ACTIVE), same[0] if same else None)
        tells = f"{trigger} ({topic})"
        if best is None:
            steps.append(Subscription("loop", tells, url, "missing", "create"))
        elif best.status == ACTIVE:
            steps.append(Subscription("loop", tells, url, ACTIVE, id=best.id))
        else:
            steps.append(Subscription("loop", tells, url, "inactive", "activate", id=best.id))
    needed = {step.id for step in steps}
    for hook in found:
        if hook.id not in needed:
            note = f"{hook.status or 'of no status'}, {'not needed' if hook in here else 'points elsewhere'}; left alone"
            steps.append(Subscription("loop", f"{hook.trigger} ({hook.topic})", shown(hook.url), OTHER, note=note, id=hook.id))
    return steps


def _register(loop: LoopClient, posting: Posting) -> list[Subscription]:
    steps, url = plan(loop.webhooks(), posting.url), posting.url
    needs = dict(zip((f"{trigger} ({topic})" for topic, trigger in NEEDS), NEEDS, strict=True))
    if posting.is_dry_run or not any(step.action != "none" for step in steps):
        return steps
    failures: dict[str, str] = {}
    for step in steps:
        if step.action == "none":
            continue
        topic, trigger = needs[step.tells]
        try:
            if step.action == "activate" and step.id is not None:
                loop.update_webhook(step.id, topic, trigger, url, ACTIVE)
            else:
                loop.create_webhook(topic, trigger, url)
        except BackhaulError as error:
            failures[step.tells] = str(error)  # the reading back below has the last word: the effect may be there all the same
    return as_done(steps, plan(loop.webhooks(), url), failures)


def doctor(account: Account, public_url: str | None, clock: Clock) -> list[Check]:
    """Everything about one merchant's Loop."""
    merchant = account.merchant
    looks = _Checks(account, public_url, clock)
    return [
        looks.secret.check(),
        *secret_checks(account, "webhook_secret"),
        Check("loop.key_length", merchant, looks.key_length),
        Check("loop.key", merchant, looks.key, NO_ANSWER),
        Check("loop.scopes", merchant, looks.scopes, NO_ANSWER),
        Check("loop.webhooks", merchant, looks.webhooks, f"Run 'backhaul connect {merchant} --public-url URL'."),
        Check("loop.clock", merchant, looks.clock),
    ]


class _Checks:
    """Loop's checks, which share what was read: the vendor is asked once, by the first that needs it."""

    def __init__(self, account: Account, public_url: str | None, clock: Clock) -> None:
        self._merchant, self._public_url, self._now = account.merchant, public_url, clock
        self._settings: LoopSettings = account.section
        self.secret = Secret(account, "api_key")
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
            return unchecked("loop.scopes", self._merchant, NO_WORD)
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
            return unchecked("loop.webhooks", self._merchant, "the key may not read webhooks" if self._is_known else NO_WORD)
        urls = [hook.url for hook in self._hooks if hook.status == ACTIVE] + [hook.url for hook in self._hooks]
        url = here(urls, self._merchant, "loop", self._public_url)
        return subscribed("loop.webhooks", self._merchant, plan(self._hooks, url) if url else [], url)

    def clock(self) -> Finding:
        return clock_finding("loop.clock", self._merchant, self._skew, "Loop")

    def _ask(self, key: SecretStr) -> None:
        """Two reads: the returns of the last minute, and the webhooks. They tell a wrong key from one that lacks a scope."""
        with LoopClient.connect(self._settings, merchant=self._merchant, api_key=key) as loop:
            now = self._now()
            try:
                loop.returns(now - timedelta(minutes=1), now, states=("open",))
                self._is_known = True
            except UnauthorizedError as refusal:
                self._returns_refusal = refusal
            self._skew = skew_of(loop.http, self._now())
            try:
                self._hooks = loop.webhooks()
                self._is_known = True
            except BackhaulError as failure:
                self._hooks_failure = failure
