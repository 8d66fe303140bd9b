"""Bulk writes: what is there already decides nothing but the way, whether the rows are few or many."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.engine import Store
from backhaul.store.prepared import one_of
from backhaul.store.tables import check_results, return_lines

NOW = datetime(2026, 3, 10, tzinfo=UTC)
LINE = ("merchant", "return_id", "line_item_id", "sku", "price")
RESULT = ("merchant", "table_name", "record_key", "rule", "severity", "description", "found_at", "run_id")
FEW, MANY = 3, 200


@pytest.fixture
def store(store_url: str) -> Store:
    return Store(store_url).ready()


def lines(count: int, sku: str, first: int = 0) -> list[tuple[object, ...]]:
    return [("acme", "501", str(number), sku, Decimal("9.50")) for number in range(first, first + count)]


def skus(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(sa.select(return_lines.c.sku).order_by(sa.cast(return_lines.c.line_item_id, sa.Integer))).scalars())


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("count", [FEW, MANY])
def test_an_upsert_overwrites_what_is_there_and_adds_the_rest(store: Store, count: int, is_new: bool) -> None:
    with store.write() as connection:
        bulk.upsert(connection, return_lines, LINE, lines(1, "OLD", first=count - 1), is_new=is_new)
        bulk.upsert(connection, return_lines, LINE, lines(count, "NEW"), is_new=is_new)
    assert skus(store) == ["NEW"] * count


@pytest.mark.parametrize("count", [FEW, MANY])
def test_what_an_upsert_keeps_stays_as_it_was(store: Store, count: int) -> None:
    with store.write() as connection:
        bulk.upsert(connection, return_lines, LINE, lines(1, "OLD"))
        bulk.upsert(connection, return_lines, LINE, lines(count, "NEW"), keep=("sku",), is_new=True)
    assert skus(store) == ["OLD", *["NEW"] * (count - 1)]


@pytest.mark.parametrize("count", [FEW, MANY])
def test_an_insert_passes_over_what_is_there_and_what_comes_twice(store: Store, count: int) -> None:
    def results(words: str) -> list[tuple[object, ...]]:
        return [("acme", "returns", str(number), "RET-002", "warning", words, NOW, "run") for number in range(count)]

    with store.write() as connection:
        bulk.insert(connection, check_results, RESULT, results("first")[:1])
        bulk.insert(connection, check_results, RESULT, results("second") + results("third"))
    with store.read() as connection:
        query = sa.select(check_results.c.description).order_by(sa.cast(check_results.c.record_key, sa.Integer))
        assert list(connection.execute(query).scalars()) == ["first", *["second"] * (count - 1)]


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_transaction_that_fails_later_leaves_nothing(store: Store, count: int) -> None:
    def fail_after_writing() -> None:
        with store.write() as connection:
            bulk.insert(connection, return_lines, LINE, lines(count, "NEW"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_writing()
    assert skus(store) == []


def test_an_error_of_the_database_shows_no_row(store: Store) -> None:
    same_twice = [{"merchant": "acme", "return_id": "501", "line_item_id": "1", "sku": "SECRET-SKU"}] * 2
    with store.write() as connection, pytest.raises(sa.exc.IntegrityError) as caught:
        connection.execute(sa.insert(return_lines), same_twice)
    assert "SECRET-SKU" not in str(caught.value)


def test_a_statement_may_choose_by_several_sets_of_keys(store: Store) -> None:
    with store.write() as connection:
        bulk.insert(connection, return_lines, LINE, lines(3, "TEE"))
    with store.read() as connection:
        first = connection.execute(sa.select(return_lines.c.return_id, return_lines.c.line_item_id).limit(1)).one()
        both = [one_of(return_lines.c[name], [value]) for name, value in first._mapping.items()]
        assert connection.execute(sa.select(return_lines.c.return_id, return_lines.c.line_item_id).where(*both)).all() == [first]
