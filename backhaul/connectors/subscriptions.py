"""Subscriptions: what a vendor tells and to which URL, what is to be done about it, and what came of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from backhaul.errors import ConfigError
from backhaul.urls import BaseUrl

ACTIVE, OTHER = "active", "other"
_DONE = {"create": "created", "activate": "activated", "replace": "replaced"}


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


def shown(url: str | None) -> str | None:
    """Somebody else's URL without what may be a secret in it: user, password and query."""
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?…' if parts.query else ''}" if url else None


def as_done(plan: Sequence[Subscription], after: Sequence[Subscription], failures: dict[str, str]) -> list[Subscription]:
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
