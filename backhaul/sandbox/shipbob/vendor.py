"""ShipBob, as the sandbox's table of vendors has it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from backhaul.sandbox.core.app import Vendor
from backhaul.sandbox.core.ground import Ground, Merchant
from backhaul.sandbox.shipbob.api import OPERATIONS, TOPICS, admit
from backhaul.sandbox.shipbob.hooks import full, secret_of, tell, token_of
from backhaul.sandbox.shipbob.state import CENTER, CHANNEL, Return, ShipBobAccount


def _secrets(seed: int, merchant: str) -> dict[str, str]:
    return {"token": token_of(seed, merchant), "webhook_secret": secret_of(seed, merchant)}


def _open(ground: Ground, merchant: Merchant) -> ShipBobAccount:
    def told(topic: str, item: Return) -> None:
        tell(ground.courier, account, topic, item)

    account = ShipBobAccount(merchant.name, ground.clock, merchant.keys.shipbob_token, told)
    return account


def _point_hooks(ground: Ground, merchant: Merchant, url: str) -> None:
    merchant.account(ShipBobAccount).register(url, list(TOPICS), merchant.keys.shipbob_webhook_secret)


def _count(merchant: Merchant) -> dict[str, Any]:
    account = merchant.account(ShipBobAccount)
    return {"returns": dict(Counter(item.status for item in account.returns.values())), "webhooks": len(account.hooks)}


def _show(merchant: Merchant, key: str) -> Any:
    account = merchant.account(ShipBobAccount)
    item = account.find(key)
    return None if item is None else full(account, item)


VENDOR = Vendor(
    name="shipbob",
    prefix="/shipbob/{version}",
    base_path="/shipbob",
    operations=OPERATIONS,
    admit=admit,
    secrets=_secrets,
    open_account=_open,
    point_hooks=_point_hooks,
    count_records=_count,
    show_record=_show,
    settings={"channel_id": str(CHANNEL), "fulfillment_center_id": str(CENTER)},
    mode="shadow",  # as long as nobody says what its outcomes mean
)
