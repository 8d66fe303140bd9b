"""What the store is told of the receiver itself, so that others can see it: that it is open, and how much it refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from backhaul.pipeline.session import Clock
from backhaul.store import entrances
from backhaul.store.engine import DATABASE_ERRORS, Store
from backhaul.store.entrances import Refused

EVERY = 30.0  # seconds; whoever looks takes five minutes without a word for closed

log = logging.getLogger(__name__)


class Entrances:
    """The entrances (merchant, source) of a service. Refusals are counted here and told every half minute, so that no flood writes."""

    def __init__(self, store: Store, known: Collection[tuple[str, str]], clock: Clock) -> None:
        self._store, self._known, self._clock = store, frozenset(known), clock
        self.untold: dict[tuple[str, str], Refused] = {}

    def note_refusal(self, merchant: str, source: str, status: int) -> None:
        """Count a request that was refused. Names that a stranger invents are not entrances, and are passed over."""
        if (merchant, source) in self._known:
            before = self.untold.get((merchant, source), Refused(0, status))
            self.untold[merchant, source] = Refused(before.requests + 1, status)

    async def keep_telling(self, stopping: asyncio.Event) -> None:
        """Tell the store at once, and until told to stop; what was refused since then once more."""
        await self.tell()
        while not stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY)
                break
            await self.tell()
        if self.untold:
            await self.tell()

    async def tell(self) -> None:
        """Tell the store now. What cannot be told is told the next time."""
        untold, self.untold = self.untold, {}
        try:
            await run_in_threadpool(self._write, untold)
        except DATABASE_ERRORS as error:
            log.warning("the store was not told of refusals", extra={"fields": {"error": error.__class__.__name__}})
            for entrance, one in untold.items():
                since = self.untold.get(entrance, Refused(0, one.status))
                self.untold[entrance] = Refused(one.requests + since.requests, since.status)

    def _write(self, refused: dict[tuple[str, str], Refused]) -> None:
        with self._store.write() as connection:
            entrances.tell(connection, self._known, refused, self._clock())
