"""The migrations make exactly the tables that the code declares, on both databases."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from backhaul.store.engine import Store
from backhaul.store.tables import metadata


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
