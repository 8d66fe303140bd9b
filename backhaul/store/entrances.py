"""Entrances: where the webhooks of a merchant's vendor come in, when a receiver last kept one open, and what it refused there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.events import last_webhook, waiting_of
from backhaul.store.tables import entrances
from backhaul.store.types import Time
from backhaul.store.watermarks import watermark

LATELY = timedelta(days=1)  # refusals that are further apart than this are not counted together


class Entrance(NamedTuple):
    """What the receivers told of one entrance. The refusals are those since `refused_since`, none of them a day apart."""

    source: str
    open_at: datetime
    refused: int
    refused_since: datetime | None
    refused_at: datetime | None
    refused_status: int | None


class Refused(NamedTuple):
    """How many requests were refused, and the status that the last was answered with."""

    requests: int
    status: int


def tell(connection: sa.Connection, known: Collection[tuple[str, str]], refused: Mapping[tuple[str, str], Refused], now: datetime) -> None:
    """Note that these entrances (merchant, source) are open, and what was refused at some of them since this was last told."""
    rows = [(merchant, source, now, 0) for merchant, source in sorted(known)]
    bulk.upsert(connection, entrances, ("merchant", "source", "open_at", "refused"), rows, keep=("refused",))
    begins_anew = sa.or_(entrances.c.refused_at.is_(None), entrances.c.refused_at < now - LATELY)
    for (merchant, source), fresh in sorted(refused.items()):
        values = {
            "refused": sa.case((begins_anew, fresh.requests), else_=entrances.c.refused + fresh.requests),
            "refused_since": sa.case((begins_anew, sa.literal(now, Time())), else_=entrances.c.refused_since),
            "refused_at": now,
            "refused_status": fresh.status,
        }
        mine = (entrances.c.merchant == merchant) & (entrances.c.source == source)
        connection.execute(sa.update(entrances).where(mine).values(values))


def entrances_of(connection: sa.Connection, merchant: str) -> dict[str, Entrance]:
    """The merchant's entrances, by source, as receivers last told of them."""
    query = sa.select(*(entrances.c[name] for name in Entrance._fields)).where(entrances.c.merchant == merchant)
    return {row.source: Entrance(*row) for row in connection.execute(query)}


class Heard(NamedTuple):
    """What the store knows of a merchant's webhooks: the entrances, the last one kept of each source, those that wait, the list's news."""

    entrances: dict[str, Entrance]
    last_at: dict[str, datetime]
    waiting: int
    oldest_at: datetime | None
    listed_at: datetime | None


def heard(connection: sa.Connection, merchant: str, sources: Collection[str], listed: str) -> Heard:
    """The above, for these sources; `listed` is the one whose list is read as well. A few rows are looked at, however large the store."""
    last = {source: last_webhook(connection, merchant, source) for source in sources}
    waiting, oldest_at = waiting_of(connection, merchant)
    return Heard(
        entrances_of(connection, merchant),
        {source: at for source, at in last.items() if at is not None},
        waiting,
        oldest_at,
        watermark(connection, merchant, listed),
    )
