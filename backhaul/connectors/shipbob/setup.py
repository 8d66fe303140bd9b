"""What `connect` registers at ShipBob, and what `doctor` looks at there. Everything is read, but for the webhook that is registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from pydantic import SecretStr

from backhaul.connectors import parse
from backhaul.connectors.findings import Check, Finding, fail, ok, unchecked, warn
from backhaul.connectors.http import Observe
from backhaul.connectors.looks import NO_ANSWER, NO_WORD, NOBODY, here, secret_checks, subscribed
from backhaul.connectors.shipbob.client import ShipBob
from backhaul.connectors.shipbob.endpoints import (
    CENTERS_PATH,
    CHANNELS_PATH,
    PRODUCTS_PATH,
    TOPICS,
    WEBHOOK_PATH,
    WEBHOOKS_PATH,
)
from backhaul.connectors.shipbob.paging import decode, pages, rows
from backhaul.connectors.shipbob.settings import ShipBobSettings, require_contract
from backhaul.connectors.shipbob.webhook import SECRET_FORM
from backhaul.connectors.shipbob.wire import CenterWire, ChannelWire, HookOut, HookWire, ProductWire
from backhaul.connectors.subscriptions import ACTIVE, OTHER, Subscription, as_done, shown
from backhaul.connectors.vendor import Account, Clock, Posting
from backhaul.errors import BackhaulError, ConfigError, UnauthorizedError

TELLS = "return.*"
_VENDOR = "shipbob"
DESCRIPTION = "Backhaul"
WHERE_TOKENS_ARE_MADE = "ShipBob's dashboard, Integrations > API Tokens, as the account's root user"
_SHOWN = 5


def connect(account: Account, observe: Observe | None = None) -> ShipBob:
    """A client of the account. Raises ConfigError for a live merchant unless its contract is assumed."""
    return ShipBob.connect(account.section, merchant=account.merchant, token=account.secret("token"), mode=account.mode, observe=observe)


def require(account: Account) -> None:
    """Raise ConfigError for a live merchant whose contract is not assumed."""
    require_contract(account.section, account.mode, account.where)


def plan(found: Sequence[HookWire], url: str) -> list[Subscription]:
    """What to do about the subscriptions there are.

    | found                                | action      |
    |---|---|
    | to this URL, enabled, with our topics | none        |
    | to this URL, otherwise               | replace     |
    | none to this URL                     | create      |
    | anything else                        | none, shown |
    """
    here = [hook for hook in found if (parse.text(hook.url) or "").rstrip("/") == url]
    good = next((hook for hook in here if hook.enabled is not False and set(TOPICS) <= set(hook.topics or ())), None)
    if good is not None:
        first = Subscription(_VENDOR, TELLS, url, ACTIVE, id=parse.ident(good.id))
    elif here:
        why = "ShipBob has switched it off" if here[0].enabled is False else "it lacks a topic"
        first = Subscription(_VENDOR, TELLS, url, "inactive", "replace", why, parse.ident(here[0].id))
    else:
        first = Subscription(_VENDOR, TELLS, url, "missing", "create")
    others = [hook for hook in found if parse.ident(hook.id) != first.id]
    return [first, *(_other(hook) for hook in others)]


def _other(hook: HookWire) -> Subscription:
    topics = ", ".join(sorted(hook.topics or ())) or "?"
    return Subscription(_VENDOR, topics, shown(parse.text(hook.url)), OTHER, note="left alone", id=parse.ident(hook.id))


def subscriptions(client: ShipBob) -> list[HookWire]:
    """The webhooks there are. Their secrets are never shown again."""
    return list(rows(client.http, WEBHOOKS_PATH, "", "webhooks", HookWire))


def register(account: Account, posting: Posting) -> list[Subscription]:
    """Have the three return topics sent to our URL, signed with our secret; the write is read back.

    What is in place is left alone. One that was switched off is made anew before the old one is deleted, so that no event falls between.
    Raises ConfigError for a secret of another form than ShipBob takes.
    """
    with connect(account) as client:
        steps = plan(subscriptions(client), posting.url)
        if posting.is_dry_run or steps[0].action == "none":
            return steps
        secret = _secret(account)
        failures: dict[str, str] = {}
        try:
            wanted = HookOut(list(TOPICS), posting.url, DESCRIPTION, secret.get_secret_value())
            client.http.write("POST", WEBHOOKS_PATH, wanted, operation="register_webhook")
            if steps[0].id is not None:
                client.http.write("DELETE", WEBHOOK_PATH.format(id=steps[0].id), operation="delete_webhook")
        except BackhaulError as error:
            failures[TELLS] = str(error)
        return as_done(steps, plan(subscriptions(client), posting.url), failures)


def _secret(account: Account) -> SecretStr:
    if account.section.webhook_secret is None:
        why = "without it anyone could post receipts. Name one, env:…, of your own making: whsec_ and 32 characters of base64"
        raise ConfigError(f"{account.where}.webhook_secret is missing; {why}")
    secret = account.secret("webhook_secret")
    if not SECRET_FORM.fullmatch(secret.get_secret_value()):
        raise ConfigError(f"{account.merchant}: the ShipBob webhook secret has to be whsec_ and 32 characters of base64 (24 bytes)")
    return secret


def doctor(account: Account, public_url: str | None, clock: Clock) -> list[Check]:
    """Everything that a merchant's returns at ShipBob depend on."""
    return [*secret_checks(account, "token", "webhook_secret"), *checks(account, public_url, lambda: _looking(account))]


def _looking(account: Account) -> ShipBob:
    """A client that only looks, for whatever mode."""
    return ShipBob.connect(account.section, merchant=account.merchant, token=account.secret("token"), mode="shadow")


def checks(account: Account, public_url: str | None, opened: Callable[[], AbstractContextManager[ShipBob]]) -> list[Check]:
    """The checks behind the secrets'. `opened` gives a client."""
    merchant, settings = account.merchant, account.section
    accepted: list[bool] = []

    def token() -> Finding:
        with opened() as client:
            try:
                client.find([NOBODY])
            except UnauthorizedError as error:
                return fail("shipbob.token", merchant, str(error), f"Make a token in {WHERE_TOKENS_ARE_MADE}.")
        accepted.append(True)
        return ok("shipbob.token", merchant, "ShipBob accepts it")

    def asked(name: str, look: Callable[[ShipBob], Finding]) -> Check:
        def answer() -> Finding:
            if not accepted:
                return unchecked(name, merchant, NO_WORD)
            with opened() as client:
                return look(client)

        return Check(name, merchant, answer, NO_ANSWER)

    return [
        Check("shipbob.contract", merchant, lambda: contract(account)),
        Check("shipbob.announce", merchant, lambda: _announcing(account)),
        Check("shipbob.token", merchant, token, NO_ANSWER),
        asked("shipbob.channel", lambda client: _channel(client, settings)),
        asked("shipbob.center", lambda client: _center(client, settings)),
        asked("shipbob.items", _items),
        asked("shipbob.webhooks", lambda client: _webhooks(client, account, public_url)),
    ]


def contract(account: Account) -> Finding:
    """Why a merchant is in shadow, and what would have to be known for it to go live."""
    if account.section.assumed_contract:
        return ok("shipbob.contract", account.merchant, "assumed_contract is set: you know what ShipBob's outcomes mean for your goods")
    what = (
        "ShipBob documents what was done with a unit (Restock, Quarantine, Dispose), not its condition, "
        "and not how a short, an empty or an unexpected parcel shows"
    )
    remedy = (
        "Compare what ShipBob told in shadow with what was really found in the parcels (docs/shipbob.md), then set assumed_contract = true."
    )
    if account.mode == "live":
        return fail(
            "shipbob.contract", account.merchant, f"{what}; without assumed_contract it cannot be live", f'Set mode = "shadow". {remedy}'
        )
    return warn("shipbob.contract", account.merchant, f"in shadow, because {what}", remedy)


def _announcing(account: Account) -> Finding:
    announce = account.announce
    if announce != "on_created":
        return ok("shipbob.announce", account.merchant, f'announce = "{announce}"')
    what = "a return announced without a tracking number is only recognised if the parcel bears its Loop return id"
    return warn(
        "shipbob.announce",
        account.merchant,
        what,
        'Set announce = "on_label" under the merchant\'s policy, unless your packing slips show the id.',
    )


def _channel(client: ShipBob, settings: ShipBobSettings) -> Finding:
    channels = {parse.ident(one.id): one for one in rows(client.http, CHANNELS_PATH, "", "channels", ChannelWire)}
    writable = [own for own, one in channels.items() if any(scope.endswith("_write") for scope in one.scopes or ())]
    mine = channels.get(str(settings.channel_id))
    if str(settings.channel_id) in writable and mine is not None:
        return ok("shipbob.channel", client.http.merchant, f"{settings.channel_id} ({mine.name}) may write returns")
    said = "may not write returns" if mine is not None else "is no channel of this account"
    remedy = f"Set channel_id to one that may: {', '.join(map(str, writable)) or 'none there is; make a token that may write'}."
    return fail("shipbob.channel", client.http.merchant, f"{settings.channel_id} {said}", remedy)


def _center(client: ShipBob, settings: ShipBobSettings) -> Finding:
    centers = {parse.ident(one.id): one.name for one in rows(client.http, CENTERS_PATH, "", "fulfillment_centers", CenterWire)}
    if str(settings.fulfillment_center_id) in centers:
        name = centers[str(settings.fulfillment_center_id)]
        return ok("shipbob.center", client.http.merchant, f"returns go to {name}; see that Loop's labels are addressed to it")
    named = ", ".join(f"{own} ({name})" for own, name in centers.items())
    what = f"{settings.fulfillment_center_id} is no fulfilment centre of this account"
    return fail(
        "shipbob.center",
        client.http.merchant,
        what,
        f"Set fulfillment_center_id to the one that Loop's labels are addressed to: {named or 'none'}.",
    )


def _items(client: ShipBob) -> Finding:
    """The first page of products is enough to see whether anybody has written instructions."""
    page, _ = next(pages(client.http, PRODUCTS_PATH, "", "list_products"))
    products = [decode(client.http, "list_products", raw, ProductWire) for raw in page]
    stocked = [one for product in products for one in product.variants or () if one.inventory is not None]
    bare = [one for one in stocked if one.return_preferences is None or parse.text(one.return_preferences.instructions) is None]
    if not bare:
        return ok("shipbob.items", client.http.merchant, f"the {len(stocked)} items looked at have return instructions")
    named = ", ".join(str(one.sku) for one in bare[:_SHOWN])
    what = (
        f"{len(bare)} of the {len(stocked)} items looked at have no return instructions, so what comes back is restocked at sight: {named}"
    )
    return warn(
        "shipbob.items",
        client.http.merchant,
        what,
        "Write instructions for them in ShipBob's dashboard, under each item's return preferences.",
    )


def _webhooks(client: ShipBob, account: Account, public_url: str | None) -> Finding:
    merchant = account.merchant
    if account.section.webhook_secret is None:
        what = "the config names no webhook_secret, so webhooks are refused and news comes by polling only"
        remedy = "Name a webhook_secret (whsec_ and 32 characters of base64), then run 'backhaul connect'."
        return warn("shipbob.webhooks", merchant, what, remedy)
    found = subscriptions(client)
    url = here([parse.text(hook.url) for hook in found], merchant, _VENDOR, public_url)
    return subscribed("shipbob.webhooks", merchant, plan(found, url) if url else [], url)
