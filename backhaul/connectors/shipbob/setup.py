"""What `connect` registers at ShipBob, and what `doctor` looks at there. Everything is read, but for the webhook that is registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from backhaul.connectors import parse
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
from backhaul.connectors.shipbob.settings import ShipBobSettings
from backhaul.connectors.shipbob.webhook import SECRET_FORM
from backhaul.connectors.shipbob.wire import CenterWire, ChannelWire, HookOut, HookWire, ProductWire
from backhaul.errors import ConfigError, UnauthorizedError

NOBODY = "backhaul-doctor"  # a reference that no return has
DESCRIPTION = "Backhaul"
WHERE_TOKENS_ARE_MADE = "ShipBob's dashboard, Integrations > API Tokens, as the account's root user"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One subscription, and what to do about it: none, create, or replace (there is no call that changes one)."""

    url: str
    state: Literal["active", "inactive", "missing", "other"]
    action: Literal["none", "create", "replace"] = "none"
    note: str = ""
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What was found; `remedy` is empty when all is well."""

    check: str
    state: Literal["ok", "warn", "fail"]
    what: str
    remedy: str = ""


def plan(found: Sequence[HookWire], url: str) -> list[Step]:
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
        first = Step(url, "active", id=parse.ident(good.id))
    elif here:
        why = "ShipBob has switched it off" if here[0].enabled is False else "it lacks a topic"
        first = Step(url, "inactive", "replace", why, parse.ident(here[0].id))
    else:
        first = Step(url, "missing", "create")
    others = [hook for hook in found if parse.ident(hook.id) != first.id]
    return [first, *(Step(_shown(parse.text(hook.url) or "?"), "other", note="left alone", id=parse.ident(hook.id)) for hook in others)]


def _shown(url: str) -> str:
    """Somebody else's URL without what may be a secret in it: user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def subscriptions(client: ShipBob) -> list[HookWire]:
    """The webhooks there are. Their secrets are never shown again."""
    return list(rows(client.http, WEBHOOKS_PATH, "", "webhooks", HookWire))


def register(client: ShipBob, url: str, secret: SecretStr) -> list[Step]:
    """Have the three return topics sent to `url`, signed with `secret`; says what ShipBob shows afterwards.

    What is in place is left alone. One that was switched off is made anew before the old one is deleted, so that no event falls between.
    Raises ConfigError for a secret of another form than ShipBob takes.
    """
    if not SECRET_FORM.fullmatch(secret.get_secret_value()):
        raise ConfigError(f"{client.http.merchant}: the ShipBob webhook secret has to be whsec_ and 32 characters of base64 (24 bytes)")
    first = plan(subscriptions(client), url)[0]
    if first.action == "none":
        return plan(subscriptions(client), url)
    wanted = HookOut(list(TOPICS), url, DESCRIPTION, secret.get_secret_value())
    client.http.write("POST", WEBHOOKS_PATH, wanted, operation="register_webhook")
    if first.id is not None:
        client.http.write("DELETE", WEBHOOK_PATH.format(id=first.id), operation="delete_webhook")
    return plan(subscriptions(client), url)


def look(client: ShipBob, settings: ShipBobSettings, *, mode: str, announce: str, url: str | None) -> list[Look]:
    """Everything that a merchant's returns at ShipBob depend on, looked at once. `url` is where webhooks should go, if that is known."""
    found = [contract(settings, mode), _announcing(announce)]
    try:
        client.find([NOBODY])
    except UnauthorizedError as error:
        return [*found, Look("shipbob.token", "fail", str(error), f"Make a token in {WHERE_TOKENS_ARE_MADE}.")]
    found.append(Look("shipbob.token", "ok", "ShipBob accepts it"))
    looks: list[Callable[[], Look]] = [lambda: _channel(client, settings), lambda: _center(client, settings), lambda: _items(client)]
    looks.append(lambda: _webhooks(client, settings, url))
    return found + [one() for one in looks]


def contract(settings: ShipBobSettings, mode: str) -> Look:
    """Why a merchant is in shadow, and what would have to be known for it to go live."""
    if settings.assumed_contract:
        return Look("shipbob.contract", "ok", "assumed_contract is set: you know what ShipBob's outcomes mean for your goods")
    what = (
        "ShipBob documents what was done with a unit (Restock, Quarantine, Dispose), not its condition, "
        "and not how a short, an empty or an unexpected parcel shows"
    )
    remedy = (
        "Compare what ShipBob told in shadow with what was really found in the parcels (docs/shipbob.md), then set assumed_contract = true."
    )
    if mode == "live":
        return Look("shipbob.contract", "fail", f"{what}; without assumed_contract it cannot be live", f'Set mode = "shadow". {remedy}')
    return Look("shipbob.contract", "warn", f"in shadow, because {what}", remedy)


def _announcing(announce: str) -> Look:
    if announce != "on_created":
        return Look("shipbob.announce", "ok", f'announce = "{announce}"')
    what = "a return announced without a tracking number is only recognised if the parcel bears its Loop return id"
    return Look(
        "shipbob.announce", "warn", what, 'Set announce = "on_label" under the merchant\'s policy, unless your packing slips show the id.'
    )


def _channel(client: ShipBob, settings: ShipBobSettings) -> Look:
    channels = {parse.ident(one.id): one for one in rows(client.http, CHANNELS_PATH, "", "channels", ChannelWire)}
    writable = [own for own, one in channels.items() if any(scope.endswith("_write") for scope in one.scopes or ())]
    mine = channels.get(str(settings.channel_id))
    if str(settings.channel_id) in writable and mine is not None:
        return Look("shipbob.channel", "ok", f"{settings.channel_id} ({mine.name}) may write returns")
    said = "may not write returns" if mine is not None else "is no channel of this account"
    remedy = f"Set channel_id to one that may: {', '.join(map(str, writable)) or 'none there is; make a token that may write'}."
    return Look("shipbob.channel", "fail", f"{settings.channel_id} {said}", remedy)


def _center(client: ShipBob, settings: ShipBobSettings) -> Look:
    centers = {parse.ident(one.id): one.name for one in rows(client.http, CENTERS_PATH, "", "fulfillment_centers", CenterWire)}
    if str(settings.fulfillment_center_id) in centers:
        name = centers[str(settings.fulfillment_center_id)]
        return Look("shipbob.center", "ok", f"returns go to {name}; see that Loop's labels are addressed to it")
    named = ", ".join(f"{own} ({name})" for own, name in centers.items())
    what = f"{settings.fulfillment_center_id} is no fulfilment centre of this account"
    return Look(
        "shipbob.center", "fail", what, f"Set fulfillment_center_id to the one that Loop's labels are addressed to: {named or 'none'}."
    )


def _items(client: ShipBob) -> Look:
    """The first page of products is enough to see whether anybody has written instructions."""
    page, _ = next(pages(client.http, PRODUCTS_PATH, "", "list_products"))
    products = [decode(client.http, "list_products", raw, ProductWire) for raw in page]
    stocked = [one for product in products for one in product.variants or () if one.inventory is not None]
    bare = [one for one in stocked if one.return_preferences is None or parse.text(one.return_preferences.instructions) is None]
    if not bare:
        return Look("shipbob.items", "ok", f"the {len(stocked)} items looked at have return instructions")
    named = ", ".join(str(one.sku) for one in bare[:_SHOWN])
    what = (
        f"{len(bare)} of the {len(stocked)} items looked at have no return instructions, so what comes back is restocked at sight: {named}"
    )
    return Look("shipbob.items", "warn", what, "Write instructions for them in ShipBob's dashboard, under each item's return preferences.")


def _webhooks(client: ShipBob, settings: ShipBobSettings, url: str | None) -> Look:
    if settings.webhook_secret is None or url is None:
        what = "no webhook is expected, so news comes by polling only"
        return Look(
            "shipbob.webhooks", "warn", what, "Name a webhook_secret (whsec_ and 32 characters of base64), then run 'backhaul connect'."
        )
    first = plan(subscriptions(client), url)[0]
    if first.state == "active":
        return Look("shipbob.webhooks", "ok", f"active, to {url}")
    return Look(
        "shipbob.webhooks", "fail", f"to {url}: {first.state} {first.note}".rstrip(), "Run 'backhaul connect', which registers it anew."
    )
