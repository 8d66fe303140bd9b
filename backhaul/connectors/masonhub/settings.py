"""What a merchant's config says of its MasonHub account: the section `[merchants.NAME.masonhub]`."""

from __future__ import annotations

from backhaul.connectors.settings import FirstSection, Question, WarehouseSection
from backhaul.secret import SecretRef, SecretRefs


class MasonHubSettings(WarehouseSection):
    """One merchant's MasonHub account. MasonHub documents no rate; 300 a minute is ours."""

    token: SecretRef
    callback_token: SecretRefs | None = None
    send_order_id: bool = False


def url_of(slug: str) -> str:
    """The base URL of an account by its slug, or as it is when it is one already. Raises ValueError."""
    if "://" in slug:
        return slug
    if not slug.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"{slug!r} is not a slug; it is the part after the host in MasonHub's URLs")
    return f"https://app.masonhub.co/{slug}/api/v1"


FIRST = FirstSection(
    text="""\
[{where}]
base_url = {base_url}
token = {token}
# MasonHub sends it along with every callback, so that nobody else can post receipts. Of your own making.
callback_token = {callback_token}
# MasonHub checks order ids when it is sent any; leave this off unless it knows your orders.
send_order_id = false
""",
    secrets={
        "token": "from MasonHub's integration team",
        "callback_token": "make up a long random one, such as 'openssl rand -hex 32' prints",
    },
    questions=(
        Question("base_url", "--masonhub-url", "MasonHub's whole base URL, instead of a slug."),
        Question(
            "base_url",
            "--masonhub-slug",
            "The account's slug in MasonHub's URLs.",
            "MasonHub's slug for the account, or a whole base URL",
            read=url_of,
        ),
    ),
)
