"""The migrations make exactly the tables that the code declares, on both databases."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from backhaul.store import polls, tables
from backhaul.store.engine import _MIGRATIONS, Store
from backhaul.store.tables import metadata
from backhaul.store.types import Time


def test_a_migrated_store_has_the_declared_schema(store_url: str) -> None:
    store = Store(store_url)
    store.upgrade()
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False, "include_object": _is_ours})
        differences = [change for change in compare_metadata(context, metadata) if change[0] != "modify_comment"]
    store.close()
    assert [change for change in differences if not _is_comment(change)] == []


def _is_ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
    return not (kind == "table" and name == "alembic_version")


def _is_comment(change: object) -> bool:
    return isinstance(change, list) and all(part[0] == "modify_comment" for part in change)


def test_upgrading_twice_changes_nothing(store_url: str) -> None:
    store = Store(store_url)
    assert store.upgrade() == store.upgrade()
    store.close()


def at_revision(store: Store, revision: str) -> None:
    """Make the tables of an older version, without the views, which are always the newest ones."""
    scripts = ScriptDirectory(str(_MIGRATIONS))
    with store.engine.connect().execution_options(is_writer=True) as connection, connection.begin():
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            for script in reversed(list(scripts.iterate_revisions(revision, "base"))):
                script.module.upgrade()
        context.stamp(scripts, revision)


def test_a_store_of_the_first_version_keeps_its_rows_and_the_order_of_its_polls(store_url: str) -> None:
    store = Store(store_url)
    at_revision(store, "0001")
    columns = ("merchant", "rma_key", "return_id", "warehouse", "is_terminal", "content_hash", "run_id")
    rmas = sa.table("rmas", *map(sa.column, columns), sa.column("first_seen_at", Time()), sa.column("polled_at", Time()))
    asked_at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    row = {"merchant": "acme", "warehouse": "masonhub", "is_terminal": False, "content_hash": "h", "run_id": "u", "first_seen_at": asked_at}
    with store.write() as connection:
        for key, return_id, polled_at in (("1", "1", asked_at), ("2", "2", None), ("dc:3", None, asked_at)):
            connection.execute(sa.insert(rmas).values(row | {"rma_key": key, "return_id": return_id, "polled_at": polled_at}))
    store.upgrade()
    with store.read() as connection:
        assert [row.rma_key for row in connection.execute(sa.select(tables.rmas).order_by(tables.rmas.c.rma_key))] == ["1", "2", "dc:3"]
        assert connection.execute(sa.select(tables.polls)).all() == [("acme", "masonhub", "1", asked_at)]
        assert polls.keys_to_poll(connection, "acme", "masonhub", asked_at, 14, True, 1) == (["2"], 2)
    store.close()
