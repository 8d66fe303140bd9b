"""Connecting: the webhooks and callbacks that a merchant needs at its vendors, what is there, and what a person must do.

Safe to repeat: what is in place is left alone, what points elsewhere is shown and never touched, and every write is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from pydantic import SecretStr, TypeAdapter, ValidationError

from backhaul.config import BaseUrl, MasonHubSettings, MerchantSettings, resolve
from backhaul.connectors.loop.answers import Webhook
from backhaul.connectors.loop.client import LoopClient
from backhaul.connectors.masonhub.client import Callback, MasonHub
from backhaul.connectors.masonhub.endpoints import RMA_EVENT
from backhaul.errors import BackhaulError, ConfigError, UnauthorizedError
from backhaul.pipeline.session import warehouse_names

# Topic (what the body holds) and trigger (when it is sent): one subscription each (docs/vendors/loop.md, 6.9 and 7).
LOOP_NEEDS = (
    ("return", "return.created"),
    ("return", "return.updated"),
    ("return", "return.closed"),
    ("return.processing", "return.processing.failed"),
    ("label", "label.created"),
    ("label", "label.updated"),
)
ACTIVE, OTHER = "active", "other"
CALLBACK_VERSION = "2.0"  # only this one says when, and tells carrier events from the warehouse's own
WHERE_KEYS_ARE_MADE = "Loop Admin > Returns Management > Tools & integrations > Developer Tools"
NEEDS_DEVELOPER_TOOLS = (
    f"Loop answers 401 both to a wrong key and to one without the scope: give the key the scope Developer Tools in {WHERE_KEYS_ARE_MADE}"
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One thing that a vendor tells. `state`: active, inactive or missing, of those that we need; `other` for the rest.

    `action`: none (in place, or not for us to touch), create, activate, replace, while it is only a plan; afterwards created, activated,
    replaced, or failed, with the reason in `note`.
    """

    vendor: str
    tells: str
    url: str | None
    state: str
    action: str = "none"
    note: str = ""
    id: str | None = None

    @property
    def is_needed(self) -> bool:
        """Whether it is one that we need, rather than one that tells somebody else."""
        return self.state != OTHER

    @property
    def problem(self) -> str | None:
        """Why it is not as it should be, when nothing more will be done about it."""
        is_stuck = self.action == "failed" or (self.action == "none" and self.is_needed and self.state != ACTIVE)
        return f"{self.vendor} {self.tells}: {self.note}" if is_stuck else None


@dataclass(frozen=True, slots=True)
class Connection:
    """How a merchant is connected: every subscription there is or should be, what went wrong, and what a person must still do."""

    subscriptions: list[Subscription]
    by_hand: list[str]
    problems: list[str]


def receiver_url(public_url: str, merchant: str, vendor: str) -> str:
    """Where a vendor posts to. Raises ConfigError for a URL that is not https (http is for loopback only)."""
    try:
        base = TypeAdapter[str](BaseUrl).validate_python(public_url)
    except ValidationError as error:
        raise ConfigError(f"--public-url: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    return base + receiver_path(merchant, vendor)


def receiver_path(merchant: str, vendor: str) -> str:
    """The path of the receiver's URL for one merchant and vendor."""
    return f"/webhooks/{merchant}/{vendor}"


def plan_loop(found: Sequence[Webhook], url: str) -> list[Subscription]:
    """What to do about Loop's webhooks, from those there are.

    | found, with this topic and trigger      | action   |
    |---|---|
    | to this URL, active                     | none     |
    | to this URL, not active                 | activate |
    | none to this URL                        | create   |
    | anything else                           | none, shown |
    """
    plan: list[Subscription] = []
    here = [hook for hook in found if (hook.url or "").rstrip("/") == url]
    for topic, trigger in LOOP_NEEDS:
        same = [hook for hook in here if (hook.topic, hook.trigger) == (topic, trigger)]
        best = next((hook for hook in same if hook.status == ACTIVE), same[0] if same else None)
        tells = f"{trigger} ({topic})"
        if best is None:
            plan.append(Subscription("loop", tells, url, "missing", "create"))
        elif best.status == ACTIVE:
            plan.append(Subscription("loop", tells, url, ACTIVE, id=best.id))
        else:
            plan.append(Subscription("loop", tells, url, "inactive", "activate", id=best.id))
    needed = {step.id for step in plan}
    for hook in found:
        if hook.id not in needed:
            note = f"{hook.status or 'of no status'}, {'not needed' if hook in here else 'points elsewhere'}; left alone"
            plan.append(Subscription("loop", f"{hook.trigger} ({hook.topic})", _shown(hook.url), OTHER, note=note, id=hook.id))
    return plan


def plan_masonhub(found: Sequence[Callback], url: str, *, path: str, is_replacing: bool = False) -> list[Subscription]:
    """What to do about MasonHub's callbacks, from those there are.

    MasonHub seems to keep one URL for each message type, and a second registration to replace the first (docs/vendors/masonhub.md,
    section 5.1). So one that tells somebody else stops us, unless `is_replacing`; one with our own `path` on another host, or in another
    version, is ours and has moved.
    """
    plan: list[Subscription] = []
    events = [callback for callback in found if callback.message_type == RMA_EVENT]
    here = next((callback for callback in events if (callback.url or "").rstrip("/") == url), None)
    foreign = [callback for callback in events if callback is not here and not (callback.url or "").rstrip("/").endswith(path)]
    if here is not None and here.api_version == CALLBACK_VERSION:
        action, note = ("replace", "registered again, with the present token") if is_replacing else ("none", "")
        plan.append(Subscription("masonhub", RMA_EVENT, url, ACTIVE, action, note, here.id))
    elif here is not None:
        note = f"it is of version {here.api_version}, and {CALLBACK_VERSION} is needed"
        plan.append(Subscription("masonhub", RMA_EVENT, url, "inactive", "replace", note, here.id))
    elif foreign and not is_replacing:
        note = "another receiver has it, and MasonHub keeps one; --replace-callback takes it over"
        plan.append(Subscription("masonhub", RMA_EVENT, url, "missing", "none", note))
    else:
        plan.append(Subscription("masonhub", RMA_EVENT, url, "missing", "replace" if events else "create"))
    for callback in found:
        if callback is not here:
            is_taken_over = callback.message_type == RMA_EVENT and plan[0].action != "none"
            note = "gives way to ours" if is_taken_over else "points elsewhere; left alone"
            plan.append(Subscription("masonhub", callback.message_type or "?", _shown(callback.url), OTHER, note=note, id=callback.id))
    return plan


def _shown(url: str | None) -> str | None:
    """Somebody else's URL without what may be a secret in it: user, password and query."""
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?…' if parts.query else ''}" if url else None


def connect(
    merchant: str, settings: MerchantSettings, public_url: str, *, is_dry_run: bool = False, is_replacing: bool = False
) -> Connection:
    """Register what is missing at a merchant's vendors, or with `is_dry_run` only say what would be.

    One vendor's failure does not stop the other: it is among the `problems`. Raises ConfigError for a bad URL or an API key that
    cannot be resolved, before any vendor is called.
    """
    urls = {vendor: receiver_url(public_url, merchant, vendor) for vendor in ("loop", *warehouse_names(settings))}
    key = resolve(settings.loop.api_key, f"merchants.{merchant}.loop.api_key")
    subscriptions: list[Subscription] = []
    problems: list[str] = []

    def attempt(connect_one: Callable[[], list[Subscription]], remedy: str) -> None:
        try:
            found = connect_one()
            subscriptions.extend(found)
            problems.extend(one.problem for one in found if one.problem)
        except UnauthorizedError as error:
            problems.append(f"{error}. {remedy}" if remedy else str(error))
        except BackhaulError as error:
            problems.append(str(error))

    with LoopClient.connect(settings.loop, merchant=merchant, api_key=key) as loop:
        attempt(lambda: _connect_loop(loop, urls["loop"], is_dry_run), NEEDS_DEVELOPER_TOOLS)
    if "masonhub" in urls and settings.masonhub is not None:
        masonhub = settings.masonhub
        attempt(lambda: _connect_masonhub(merchant, masonhub, urls["masonhub"], is_dry_run, is_replacing), "")
    return Connection(subscriptions, by_hand(merchant, settings, urls), problems)


def _connect_loop(loop: LoopClient, url: str, is_dry_run: bool) -> list[Subscription]:
    plan = plan_loop(loop.webhooks(), url)
    needs = dict(zip((f"{trigger} ({topic})" for topic, trigger in LOOP_NEEDS), LOOP_NEEDS, strict=True))
    if is_dry_run or not any(step.action != "none" for step in plan):
        return plan
    failures: dict[str, str] = {}
    for step in plan:
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
    return _as_done(plan, plan_loop(loop.webhooks(), url), failures)


def _connect_masonhub(merchant: str, settings: MasonHubSettings, url: str, is_dry_run: bool, is_replacing: bool) -> list[Subscription]:
    where = f"merchants.{merchant}.masonhub"
    path = receiver_path(merchant, "masonhub")
    with MasonHub.connect(settings, merchant=merchant, token=resolve(settings.token, f"{where}.token")) as masonhub:
        plan = plan_masonhub(masonhub.callbacks(), url, path=path, is_replacing=is_replacing)
        if is_dry_run or plan[0].action == "none":
            return plan
        failures: dict[str, str] = {}
        try:
            masonhub.register_callback(url, _callback_token(settings, where).get_secret_value(), CALLBACK_VERSION)
        except BackhaulError as error:
            failures[plan[0].tells] = str(error)
        return _as_done(plan, plan_masonhub(masonhub.callbacks(), url, path=path), failures)


def _callback_token(settings: MasonHubSettings, where: str) -> SecretStr:
    if settings.callback_token is None:
        raise ConfigError(f"{where}.callback_token is missing; without it anyone could post receipts. Name one, env:…, of your own making")
    return resolve(settings.callback_token, f"{where}.callback_token")


_DONE = {"create": "created", "activate": "activated", "replace": "replaced"}


def _as_done(plan: Sequence[Subscription], after: Sequence[Subscription], failures: dict[str, str]) -> list[Subscription]:
    """What the vendor shows afterwards, with what we did to bring it about."""
    planned = {step.tells: step for step in plan if step.is_needed}
    done: list[Subscription] = []
    for now in after:
        step = planned.get(now.tells)
        failure = failures.get(now.tells)
        if not now.is_needed or step is None or step.action == "none":
            done.append(now)
        elif now.state == ACTIVE and (failure is None or step.state != ACTIVE):
            done.append(replace(now, action=_DONE[step.action], note=step.note))
        else:
            done.append(replace(now, action="failed", note=failure or f"{now.vendor} said yes, but does not show it as active"))
    return done


def by_hand(merchant: str, settings: MerchantSettings, urls: dict[str, str]) -> list[str]:
    """What no API can do for the operator, one sentence each."""
    secret = settings.loop.webhook_secret
    todo = [
        f"Loop signs webhooks with a secret that only its admin page shows ({WHERE_KEYS_ARE_MADE}). "
        + (
            f"See that it is the one behind {secret}; with another one every webhook is refused."
            if secret is not None
            else f"Copy it, and name it in the config as webhook_secret under [merchants.{merchant}.loop]; until then webhooks are refused."
        ),
        f"Have the receiver ('backhaul serve') answer, through TLS, at {urls['loop'].removesuffix(receiver_path(merchant, 'loop'))}.",
    ]
    if "airhouse" in urls and settings.airhouse is not None:
        shared = settings.airhouse.webhook_secret
        todo.append(
            f"Airhouse's API is not public: ask your account manager to have return events sent to {urls['airhouse']}, "
            + (
                f"signed with the secret behind {shared}."
                if shared is not None
                else f"and for the secret that signs them, to be named as webhook_secret under [merchants.{merchant}.airhouse]."
            )
        )
    return todo
