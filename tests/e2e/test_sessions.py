"""What a session opens, it closes."""

from __future__ import annotations

import pytest

from flows.recorded import recorded_run
from tests.e2e.house import House


@pytest.mark.parametrize("fails", [False, True])
def test_a_session_closes_the_connections_to_every_vendor(house: House, fails: bool) -> None:
    try:
        with recorded_run("look", "acme", config=str(house.file), trigger="command") as session:
            loop, warehouse = session.loop, session.warehouses["masonhub"]
            assert loop.notes(house.shop()) == [] and len(warehouse.find(["none"]).receipts) == 0
            if fails:
                raise OSError("as anything may")
    except OSError:
        assert fails
    for call in (lambda: loop.notes("1"), lambda: warehouse.find(["none"])):
        with pytest.raises(RuntimeError, match="closed"):
            call()
