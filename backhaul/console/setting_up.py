"""The parts of the console put together."""

from __future__ import annotations

from datetime import UTC, datetime

from backhaul.config import Settings
from backhaul.console.desk import Desk
from backhaul.errors import StoreError
from backhaul.store.engine import Store


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def make_desk(settings: Settings, *, is_operator: bool = False, name: str | None = None) -> Desk:
    """The desk on the config's store, which it only reads. Raises StoreError for an older schema; that it does not answer a page tells."""
    store = Store(settings.store_url(), for_reading=True)
    try:
        current, head = store.revisions()
    except StoreError:
        current = head = ""
    if current != head:
        raise StoreError(f"the store is at schema {current or 'none'}, this program needs {head}; run 'backhaul db upgrade'")
    sign_in = None
    if settings.console is not None:
        from backhaul.console.signing_in import make_sign_in  # authlib comes with it, which a console on loopback does without

        sign_in = make_sign_in(settings.console, utc_now)
    if not is_operator:
        return Desk(settings, store, utc_now, sign_in=sign_in)
    from backhaul.console.acts import Acting  # the vendors' clients come with it, which a console that reads does without
    from backhaul.pipeline.acting import Operator, login

    writer = Store(settings.store_url())
    acting = Acting(Operator(writer, name or login()), is_secure=sign_in is not None)
    return Desk(settings, store, utc_now, acting, sign_in)
