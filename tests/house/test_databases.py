"""The databases that the fixtures hand out are real, empty and one test's own."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, inspect, text


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_store_url_is_an_empty_database_each_time(bare_store_url: str, attempt: int) -> None:
    engine = create_engine(bare_store_url)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == []
        connection.execute(text("CREATE TABLE left_behind (id integer)"))
        connection.execute(text("INSERT INTO left_behind VALUES (:attempt)"), {"attempt": attempt})
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM left_behind")).scalars().all() == [attempt]
    engine.dispose()


def test_a_store_url_is_of_either_kind(bare_store_url: str, request: pytest.FixtureRequest) -> None:
    assert (
        bare_store_url.split("://")[0]
        == {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}[request.node.callspec.params["bare_store_url"]]
    )


def test_postgres_is_postgres(bare_postgres_url: str) -> None:
    engine = create_engine(bare_postgres_url)
    with engine.connect() as connection:
        assert str(connection.execute(text("SELECT version()")).scalar()).startswith("PostgreSQL")
    engine.dispose()
