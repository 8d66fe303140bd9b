"""Refusals at an entrance are counted as long as they go on, on both databases, and cost one row."""

from datetime import UTC, datetime, timedelta

from backhaul.store.engine import Store
from backhaul.store.entrances import Entrance, Refused, heard, tell

AT = datetime(2026, 3, 9, 12, tzinfo=UTC)
DOORS = [("acme", "loop"), ("acme", "masonhub")]


def test_refusals_add_up_while_they_go_on_and_begin_anew_after_a_day(store_url: str) -> None:
    store = Store(store_url)

    def told(hours: float, requests: int, status: int = 401) -> Entrance:
        with store.write() as connection:
            tell(connection, DOORS, {DOORS[0]: Refused(requests, status)} if requests else {}, AT + timedelta(hours=hours))
        with store.read() as connection:
            found = heard(connection, "acme", ["loop"], "loop")
        assert (found.last_at, found.waiting, found.oldest_at, found.listed_at) == ({}, 0, None, None)
        assert found.entrances["masonhub"] == Entrance("masonhub", AT + timedelta(hours=hours), 0, None, None, None)
        return found.entrances["loop"]

    later = AT + timedelta(hours=20)
    assert told(0, 3) == Entrance("loop", AT, 3, AT, AT, 401)
    assert told(20, 2, 413) == Entrance("loop", later, 5, AT, later, 413)
    assert told(21, 0) == Entrance("loop", AT + timedelta(hours=21), 5, AT, later, 413)
    anew = AT + timedelta(hours=45)
    assert told(45, 1) == Entrance("loop", anew, 1, anew, anew, 401)
    store.close()
