"""Exceptions open by the facts and close by the facts, or by a person."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from backhaul.domain.words import ExceptionKind
from backhaul.store.engine import Store
from backhaul.store.exceptions import Settled, assign_exceptions, raise_exception, resolve_exception, settle_exceptions
from backhaul.store.tables import exceptions
from backhaul.store.transaction import Transaction

NOW = datetime(2026, 3, 10, tzinfo=UTC)
KIND = ExceptionKind.UNKNOWN_CONDITION


@pytest.fixture
def store(store_url: str) -> Store:
    return Store(store_url).ready()


def raise_one(store: Store, why: str, at: datetime = NOW) -> None:
    with store.write() as connection:
        raise_exception(Transaction(connection, "acme", "run", at), KIND, "501", why, "501")


def open_ones(store: Store) -> list[tuple[str, datetime]]:
    with store.read() as connection:
        query = sa.select(exceptions.c.why, exceptions.c.opened_at).where(exceptions.c.resolved_at.is_(None))
        return [(row.why, row.opened_at) for row in connection.execute(query)]


def test_the_same_exception_twice_is_one_and_keeps_its_time(store: Store) -> None:
    raise_one(store, "moonlit")
    raise_one(store, "moonlit", NOW + timedelta(hours=1))
    assert open_ones(store) == [("moonlit", NOW)]


def test_one_that_the_facts_resolved_opens_again_when_they_turn(store: Store) -> None:
    raise_one(store, "moonlit")
    with store.write() as connection:
        resolve_exception(Transaction(connection, "acme", "run", NOW), KIND, "501")
    assert open_ones(store) == []
    raise_one(store, "moonlit", NOW + timedelta(hours=1))
    assert open_ones(store) == [("moonlit", NOW + timedelta(hours=1))]


def test_one_that_a_person_settled_opens_again_only_for_another_cause(store: Store) -> None:
    raise_one(store, "moonlit")
    with store.write() as connection:
        settled = settle_exceptions(Transaction(connection, "acme", "run", NOW), "501")
    assert settled == [Settled("acme", "unknown_condition", "501", "501")]
    raise_one(store, "moonlit")
    assert open_ones(store) == []
    raise_one(store, "sunlit")
    assert [why for why, _ in open_ones(store)] == ["sunlit"]


def test_one_that_opens_anew_is_nobody_s(store: Store) -> None:
    raise_one(store, "moonlit")
    with store.write() as connection:
        tx = Transaction(connection, "acme", "run", NOW)
        assert assign_exceptions(tx, "501", "kim") == [Settled("acme", "unknown_condition", "501", "501")]
        assert assign_exceptions(tx, "501", "kim") == []
    raise_one(store, "sunlit")  # still open, still hers
    with store.write() as connection:
        assert connection.execute(sa.select(exceptions.c.assigned_to)).scalar_one() == "kim"
        resolve_exception(Transaction(connection, "acme", "run", NOW), KIND, "501")
    raise_one(store, "moonlit")
    with store.read() as connection:
        assert connection.execute(sa.select(exceptions.c.assigned_to)).scalar_one() is None
