"""Loop, as the sandbox's table of vendors has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backhaul.sandbox.core.app import Vendor
from backhaul.sandbox.core.courier import Posting
from backhaul.sandbox.core.ground import Ground, Merchant, made_up
from backhaul.sandbox.loop import hooks
from backhaul.sandbox.loop.api import OPERATIONS, admit
from backhaul.sandbox.loop.state import LoopAccount, Return, Subscription
from backhaul.sandbox.loop.time_index import STATES
from backhaul.sandbox.loop.wire import list_record

VERSION = "2026-07"


def _secrets(seed: int, merchant: str) -> dict[str, str]:
    """40 and 16 hex characters, as observed."""
    return {"api_key": made_up(seed, merchant, "loop", 40), "webhook_secret": made_up(seed, merchant, "hook", 16)}


def _open(ground: Ground, merchant: Merchant) -> LoopAccount:
    def announce(trigger: str, item: Return, details: dict[str, Any]) -> None:
        for hook in list(account.subscriptions.values()):
            if hook.trigger != trigger or hook.status != "active":
                continue
            body = hooks.php_json(hooks.payload(account, hook.topic, trigger, item, details))
            headers = {"Content-Type": "application/json", "X-Loop-Signature": hooks.signature(account.webhook_secret, body)}
            done = _health(account, hook)
            ground.courier.post(Posting(merchant.name, "loop", trigger, str(item.id), hook.url, body, headers, done=done))

    account = LoopAccount(merchant.name, ground.clock, merchant.keys.loop_api_key, merchant.keys.loop_webhook_secret, announce)
    return account


def _health(account: LoopAccount, hook: Subscription) -> Callable[[bool], None]:
    def done(is_delivered: bool) -> None:
        limit = account.options.disable_webhooks_after
        hook.failures = 0 if is_delivered else hook.failures + 1
        if limit is not None and hook.failures > limit:
            hook.status = "inactive"

    return done


def _point_hooks(ground: Ground, merchant: Merchant, url: str) -> None:
    """The webhooks that a merchant usually has."""
    for topic, trigger in hooks.USUAL:
        merchant.account(LoopAccount).subscribe(topic, trigger, url, "active")


def _count(merchant: Merchant) -> dict[str, Any]:
    account = merchant.account(LoopAccount)
    return {"returns": {state: account.by_created.count(state) for state in STATES}, "webhooks": len(account.subscriptions)}


def _show(merchant: Merchant, key: str) -> Any:
    item = merchant.account(LoopAccount).get(key)
    return None if item is None else list_record(item)


VENDOR = Vendor(
    name="loop",
    prefix="/loop/api/{version}",
    base_path=f"/loop/api/{VERSION}",
    operations=OPERATIONS,
    admit=admit,
    secrets=_secrets,
    open_account=_open,
    point_hooks=_point_hooks,
    count_records=_count,
    show_record=_show,
)
