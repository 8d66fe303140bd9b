"""Public holidays by country or region, from the `holidays` package. It is imported when it is asked, since few commands ask."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date


def known_region(region: str) -> str:
    """The region itself. Raises ValueError with the way out when nobody knows its holidays."""
    try:
        holidays_of(region, 2026)
    except NotImplementedError:
        raise ValueError(f"{region!r} is no country or region whose holidays are known; write a code such as US, US-CA or DE-BY") from None
    return region


def holidays_of(region: str | None, *years: int) -> Collection[date]:
    """The public holidays of a region in these years; none when no region is named. Raises NotImplementedError for an unknown one."""
    if region is None:
        return ()
    import holidays

    country, _, part = region.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=years))
