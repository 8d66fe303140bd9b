"""Airhouse, as the sandbox's table of vendors has it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from backhaul.sandbox.airhouse.api import OPERATIONS, admit
from backhaul.sandbox.airhouse.state import AirhouseAccount
from backhaul.sandbox.core.app import Vendor
from backhaul.sandbox.core.ground import Ground, Merchant, made_up


def _secrets(seed: int, merchant: str) -> dict[str, str]:
    return {"api_key": made_up(seed, merchant, "airhouse", 40), "webhook_secret": made_up(seed, merchant, "airhouse-hook", 32)}


def _open(ground: Ground, merchant: Merchant) -> AirhouseAccount:
    return AirhouseAccount(merchant.name, ground.clock, merchant.keys.airhouse_api_key, ground.courier.post)


def _point_hooks(ground: Ground, merchant: Merchant, url: str) -> None:
    merchant.account(AirhouseAccount).register(url, [], merchant.keys.airhouse_webhook_secret)


def _count(merchant: Merchant) -> dict[str, Any]:
    account = merchant.account(AirhouseAccount)
    return {"returns": dict(Counter(item.status for item in account.returns.values())), "webhooks": len(account.hooks)}


def _show(merchant: Merchant, key: str) -> Any:
    account = merchant.account(AirhouseAccount)
    item = account.find(key)
    return None if item is None else account.wire(item)


VENDOR = Vendor(
    name="airhouse",
    prefix="/airhouse/v1",
    base_path="/airhouse/v1",
    operations=OPERATIONS,
    admit=admit,
    secrets=_secrets,
    open_account=_open,
    point_hooks=_point_hooks,
    count_records=_count,
    show_record=_show,
    settings={"assumed_contract": "true"},
)
