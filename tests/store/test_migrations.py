"""The migrations make exactly the tables that the code declares, on both databases, and carry a populated store over."""

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

AT = datetime(2026, 3, 9, 12, tzinfo=UTC)


def test_a_migrated_store_has_the_declared_schema(bare_store_url: str) -> None:
    store = Store(bare_store_url)
    store.upgrade()
    assert _differences(store) == []
    store.close()


def _differences(store: Store) -> list[object]:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False, "include_object": _is_ours})
        differences = [change for change in compare_metadata(context, metadata) if not str(change[0]).endswith("_comment")]
    return [change for change in differences if not _is_comment(change)]


def _is_ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
    is_form = kind == "index" and "_find" in (name or "")  # Alembic cannot compare expressions; test_query_plans holds that they are used
    return not is_form and not (kind == "table" and name == "alembic_version")


def _is_comment(change: object) -> bool:
    return isinstance(change, list) and all(part[0].endswith("_comment") for part in change)


def test_upgrading_twice_changes_nothing(bare_store_url: str) -> None:
    store = Store(bare_store_url)
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


def test_a_store_of_the_first_version_keeps_its_rows_and_the_order_of_its_polls(bare_store_url: str) -> None:
    store = Store(bare_store_url)
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


def test_a_store_of_the_version_before_is_carried_over(bare_store_url: str) -> None:
    store = Store(bare_store_url)
    at_revision(store, "0001")
    _populate(store)
    store.upgrade()
    assert _differences(store) == []
    with store.read() as connection:
        reasons = connection.execute(sa.text("SELECT line_item_id, reason_key FROM return_lines ORDER BY line_item_id")).all()
        processes = connection.execute(sa.text("SELECT return_id FROM deliveries WHERE outcomes_at IS NOT NULL")).scalars().all()
        loaded = connection.execute(sa.text("SELECT loop_state, facts_hash, is_finished FROM returns")).all()
        connection.execute(sa.text("SELECT * FROM recon_daily")).all()
        judged = connection.execute(sa.text("SELECT rule, engine FROM check_results")).all()
    assert [tuple(row) for row in judged] == [("RET-010", "great_expectations")]
    assert [tuple(row) for row in reasons] == [("1", "zu gross"), ("2", "too small"), ("3", None)]
    assert processes == ["done"]  # one that is under way is followed, one that was over before is not
    assert [tuple(row) for row in loaded] == [("open", None, None)]
    store.close()


def _populate(store: Store) -> None:
    """Rows as the version before wrote them: by its own columns."""
    old = sa.MetaData()
    with store.write() as connection:
        old.reflect(connection, only=["returns", "return_lines", "deliveries", "check_results"])
        head = {"merchant": "acme", "return_id": "1", "run_id": "run", "warehouse": "masonhub", "content_hash": "x", "version_no": 1}
        state = {"loop_state": "open", "first_state": "open", "is_history": False, "is_due": False}
        times = {"first_seen_at": _stored(store), "loaded_at": _stored(store)}
        connection.execute(sa.insert(old.tables["returns"]).values(head | state | times))
        for number, reason in enumerate((" Zu gro\N{LATIN SMALL LETTER SHARP S}", "Too small", None), start=1):
            line = {"merchant": "acme", "return_id": "1", "line_item_id": str(number), "return_reason": reason}
            connection.execute(sa.insert(old.tables["return_lines"]).values(line))
        for return_id, state_now in (("done", "confirmed"), ("under way", "accepted")):
            owed = {"merchant": "acme", "kind": "loop.process", "return_id": return_id, "effect_key": return_id, "state": state_now}
            rest = {"warehouse": "masonhub", "attempts": 1, "is_uncertain": False, "next_attempt_at": _stored(store), "run_id": "run"}
            done = {"created_at": _stored(store), "confirmed_at": _stored(store) if state_now == "confirmed" else None}
            connection.execute(sa.insert(old.tables["deliveries"]).values(owed | rest | done))
        found = {"table_name": "returns", "record_key": "1", "rule": "RET-010", "severity": "warning", "description": "no currency"}
        connection.execute(
            sa.insert(old.tables["check_results"]).values(found | {"merchant": "acme", "found_at": _stored(store), "run_id": "run"})
        )


def _stored(store: Store) -> object:
    return AT.isoformat(sep=" ", timespec="microseconds") if store.is_sqlite else AT
