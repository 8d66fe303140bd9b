"""MasonHub, as the sandbox's table of vendors has it."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

from backhaul.sandbox.core.app import Vendor
from backhaul.sandbox.core.ground import Ground, Merchant, made_up
from backhaul.sandbox.masonhub.api import OPERATIONS, admit
from backhaul.sandbox.masonhub.hooks import posting
from backhaul.sandbox.masonhub.state import MasonHubAccount, Rma
from backhaul.sandbox.masonhub.wire import record


def _secrets(seed: int, merchant: str) -> dict[str, str]:
    """A JWT, as observed, and the token that callbacks carry."""
    claims = base64.urlsafe_b64encode(f'{{"secret_phrase":"{merchant}-{seed}","iss":"MasonHub"}}'.encode()).decode().rstrip("=")
    token = f"eyJhbGciOiJIUzI1NiJ9.{claims}.{made_up(seed, merchant, 'masonhub', 43)}"
    return {"token": token, "callback_token": made_up(seed, merchant, "callback", 32)}


def _open(ground: Ground, merchant: Merchant) -> MasonHubAccount:
    def announce(event: str, rma: Rma) -> None:
        for callback in list(account.callbacks.values()):
            if callback.message_type == "rmaEvent":
                ground.courier.post(posting(account, callback, event, rma))

    account = MasonHubAccount(merchant.name, ground.clock, merchant.keys.masonhub_token, ground.seed, announce)
    return account


def _point_hooks(ground: Ground, merchant: Merchant, url: str) -> None:
    account = merchant.account(MasonHubAccount)
    account.register(url, "rmaEvent", account.options.callback_version, merchant.keys.masonhub_callback_token)


def _count(merchant: Merchant) -> dict[str, Any]:
    account = merchant.account(MasonHubAccount)
    return {"rmas": dict(Counter(rma.status for rma in account.rmas)), "callbacks": len(account.callbacks)}


def _show(merchant: Merchant, key: str) -> Any:
    rma = merchant.account(MasonHubAccount).find(key)
    return None if rma is None else record(rma)


VENDOR = Vendor(
    name="masonhub",
    prefix="/masonhub/api/v1",
    base_path="/masonhub/api/v1",
    operations=OPERATIONS,
    admit=admit,
    secrets=_secrets,
    open_account=_open,
    point_hooks=_point_hooks,
    count_records=_count,
    show_record=_show,
)
