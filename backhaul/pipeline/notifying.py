"""Notifications: what has come to need a person, told once to each address, in digests.

A message has kinds, ids, counts and remedies of ours: no customer's data, no vendor's words. An address is told again only of what has
closed and opened again; one that did not take a digest gets it the next time. A digest whose keeping failed is sent twice.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from backhaul.config import Settings
from backhaul.errors import BackhaulError, ConfigError
from backhaul.pipeline.session import Clock, utc_now
from backhaul.secret import resolve
from backhaul.store import notices
from backhaul.store.engine import Store
from backhaul.store.notices import RUN_FAILED, Notice

Tell = Callable[[Sequence[Notice]], bool]  # whether they were taken
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,79}")
_IDS_SHOWN = 8


def send_due(store: Store, settings: Settings, *, also: dict[str, Tell] | None = None, clock: Clock = utc_now) -> dict[str, int]:
    """Tell each address what it has not been told, where its last digest lies long enough back; returns how many things by address.

    `also` are further ways to tell, by name. Raises BackhaulError at the end when an address did not take its digest.
    """
    ways = {reference: _by_apprise(reference) for reference in settings.notify.urls} | (also or {})
    done: dict[str, int] = {}
    refused: list[str] = []
    for target, tell in ways.items():
        with store.read() as connection:
            last = notices.last_told(connection, target)
            if last is not None and clock() - last < timedelta(minutes=settings.notify.every_minutes):
                continue
            news = notices.untold(connection, target, notices.open_notices(connection, clock()))
        if not news:
            continue
        if tell(news):
            with store.write() as connection:
                notices.note_told(connection, target, news, clock())
            done[target] = len(news)
        else:
            refused.append(target)
    if refused:
        raise BackhaulError(f"{_taken_by_none(refused)}; it is sent again the next time")
    return done


def send_test(settings: Settings) -> list[str]:
    """Send a test message to each address; returns their references. Raises BackhaulError for those that did not take it."""
    if not settings.notify.urls:
        raise ConfigError('notify.urls is empty: add references to Apprise URLs, such as urls = ["env:BACKHAUL_NOTIFY_URL"], to [notify]')
    text = "This is a test of Backhaul's notifications. Nothing needs to be done."
    refused = [reference for reference in settings.notify.urls if not _send(reference, "Backhaul: a test", text)]
    if refused:
        raise BackhaulError(_taken_by_none(refused))
    return list(settings.notify.urls)


def digest(news: Sequence[Notice]) -> tuple[str, str]:
    """A message's title and text: what is new, by merchant and kind, with ids and the remedy."""
    merchants = sorted({one.merchant for one in news})
    of = merchants[0] if len(merchants) == 1 else f"{len(merchants)} merchants"
    title = f"Backhaul: {len(news)} {'thing needs' if len(news) == 1 else 'things need'} a look at {of}"
    lines: list[str] = []
    for merchant, ours in groupby(sorted(news), key=lambda one: one.merchant):
        lines += ["", merchant]
        for kind, alike in groupby(ours, key=lambda one: one.kind):
            lines += _about(kind, list(alike))
    return title, "\n".join([*lines[1:], "", "All of it: 'backhaul exceptions list', 'backhaul runs'."])


def _about(kind: str, alike: Sequence[Notice]) -> Iterator[str]:
    ids = shown_ids(alike)
    more = f" and {len(alike) - len(ids)} more" if ids and len(alike) > len(ids) else ""
    since = min(one.since for one in alike)
    what = "runs that fail" if kind == RUN_FAILED else kind
    yield f"- {len(alike)} {what}, since {since:%Y-%m-%d %H:%M} UTC{': ' if ids else ''}{', '.join(ids)}{more}"
    yield f"  {alike[0].remedy}"


def shown_ids(alike: Sequence[Notice]) -> list[str]:
    """The ids of the first of these, those that are nothing but an id."""
    return [one.subject for one in alike if _ID.fullmatch(one.subject)][:_IDS_SHOWN]


def _taken_by_none(refused: Sequence[str]) -> str:
    return f"a notification was not taken by {', '.join(refused)}; 'backhaul notify --test' tries each address"


def _by_apprise(reference: str) -> Tell:
    return lambda news: _send(reference, *digest(news))


def _send(reference: str, title: str, text: str) -> bool:
    """Send a message to the Apprise URL behind a reference. Raises ConfigError when it is none."""
    import apprise  # costs half a second, and only messages need it

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its warnings hold what the other side answered
    url = resolve(reference, "notify.urls").get_secret_value()
    sender = apprise.Apprise()
    if not sender.add(url):
        raise ConfigError(f"notify.urls: what {reference} holds is no URL that Apprise knows, such as slack://…, mailtos://… or json://…")
    return bool(sender.notify(title=title, body=text, body_format=apprise.NotifyFormat.TEXT))
