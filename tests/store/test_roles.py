"""On a real PostgreSQL: an analyst reads the views and nothing else, the program works with rows and changes no table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from backhaul.errors import ConfigError
from backhaul.store import roles
from backhaul.store.engine import Store
from backhaul.store.tables import call_budgets, metadata
from backhaul.store.views import VIEWS
from tests.e2e.conftest import Build, _builder
from tests.e2e.house import House

DENIED = "permission denied|must be owner"
CHANGES = ("CREATE TABLE mine (a int)", "DROP TABLE deliveries CASCADE", "ALTER TABLE returns ADD COLUMN mine int", "DROP VIEW recon_open")


@pytest.fixture
def names(bare_postgres_url: str) -> Iterator[tuple[str, str]]:
    """Names of roles that are this test's own, and gone after it: roles belong to the whole server."""
    database = sa.make_url(bare_postgres_url).database
    pair = f"analyst_{database}", f"program_{database}"
    yield pair
    engine = sa.create_engine(bare_postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for role in pair:
            if connection.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).scalar():
                connection.exec_driver_sql(f"DROP OWNED BY {role}")
                connection.exec_driver_sql(f"DROP ROLE {role}")
    engine.dispose()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Builds houses for one test."""
    opened: list[House] = []
    yield _builder(tmp_path, opened)
    for house in opened:
        house.close()


def _as(url: str, role: str) -> str:
    return sa.make_url(url).set(username=role).render_as_string(hide_password=False)


def _refused(store: Store, statement: str) -> None:
    with pytest.raises(sa.exc.ProgrammingError, match=DENIED), store.write() as connection:
        connection.exec_driver_sql(statement)


def test_an_analyst_reads_the_views_and_nothing_else_also_after_an_upgrade(bare_postgres_url: str, names: tuple[str, str]) -> None:
    owner = Store(bare_postgres_url).ready()
    roles.grant_program(owner, names[0])  # what it had before is taken
    roles.grant_analyst(owner, names[0])
    owner.upgrade()  # drops the views and makes them anew
    analyst = Store(_as(bare_postgres_url, names[0]))
    for view in VIEWS:
        with analyst.read() as connection:
            connection.exec_driver_sql(f"SELECT * FROM {view}")
    for table in (*metadata.sorted_tables, call_budgets):
        _refused(analyst, f"SELECT 1 FROM {table}")
    with owner.write() as connection:
        connection.exec_driver_sql("CREATE TABLE made_later (a int)")
    for statement in (*CHANGES, "SELECT 1 FROM alembic_version", "SELECT 1 FROM made_later", "INSERT INTO runs (run_id) VALUES ('x')"):
        _refused(analyst, statement)
    analyst.close()
    owner.close()


def test_the_program_does_all_its_work_as_a_role_that_can_change_no_table(
    bare_postgres_url: str, names: tuple[str, str], build: Build
) -> None:
    owner = Store(bare_postgres_url).ready()
    roles.grant_program(owner, names[1])
    with owner.write() as connection:
        connection.exec_driver_sql("CREATE TABLE made_later (a int)")
    owner.upgrade()
    house: House = build(store_url=_as(bare_postgres_url, names[1]))
    first, *_ = [house.shop("TEE-NVY-M") for _ in range(60)]  # as many as are staged
    house.sync()
    house.receive(first)
    house.sync()
    house.sync()
    assert house.outcome(first)[0] == "process" and {run["state"] for run in house.runs()} == {"completed"}
    with house.store.write() as connection:
        connection.exec_driver_sql("INSERT INTO made_later VALUES (1)")
    for statement in (*CHANGES, "TRUNCATE deliveries", "UPDATE alembic_version SET version_num = '0001' WHERE false; DROP TABLE runs"):
        _refused(house.store, statement)
    owner.close()


@pytest.mark.parametrize("name", ["Ops", "a b", 'x"; DROP TABLE runs; --', "", "a" * 64])
def test_a_name_that_is_none_is_refused(bare_postgres_url: str, name: str) -> None:
    store = Store(bare_postgres_url).ready()
    with pytest.raises(ConfigError, match="not taken as a role's name"):
        roles.grant_analyst(store, name)
    store.close()


def test_the_owner_is_not_made_less(bare_postgres_url: str) -> None:
    store = Store(bare_postgres_url).ready()
    with pytest.raises(ConfigError, match="owns the store, or is a superuser"):
        roles.grant_analyst(store, str(sa.make_url(bare_postgres_url).username))
    store.close()


def test_on_sqlite_there_are_no_roles(bare_sqlite_url: str) -> None:
    store = Store(bare_sqlite_url).ready()
    with pytest.raises(ConfigError, match="roles are PostgreSQL's"):
        roles.grant_program(store, "program")
    store.close()
