"""`backhaul doctor`, where the vendors are not asked: the store, the age of the last sync, the reasons, Prefect."""

from __future__ import annotations

import socket
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa

from backhaul.store.engine import Store
from backhaul.store.runs import finish_run, start_run
from backhaul.store.tables import return_lines, whereabouts
from tests.setup.conftest import failed, freshen


def test_a_store_that_does_not_exist_is_not_made_by_looking(place, findings):
    found = findings(place)

    assert found["store.schema"].state == "fail" and "backhaul db upgrade" in found["store.schema"].remedy
    assert {name for name, finding in found.items() if finding.what == "not checked: the store is not ready"} == {
        "store.write",
        "sync.age",
        "reasons",
        "circuits",
        "pauses",
        "receiver",
        "webhooks.refused",
        "webhooks.stopped",
    }
    assert list(place.config.parent.glob("store.db*")) == []


def test_an_empty_database_is_told_to_be_upgraded_and_stays_empty(place, findings, bare_store_url):
    place.rewrite(place.store_url, bare_store_url)
    if bare_store_url.startswith("sqlite"):
        sqlite3.connect(bare_store_url.removeprefix("sqlite:///")).close()

    found = findings(place)

    assert found["store.schema"].what.endswith(("it is empty", "there is no store yet"))
    assert "backhaul db upgrade" in found["store.schema"].remedy
    store = Store(bare_store_url)
    assert store.revisions()[0] is None
    store.close()


def test_an_older_schema_is_told_to_be_upgraded(healthy, findings):
    store = Store(healthy.store_url)
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    store.close()

    found = findings(healthy)

    assert failed(found) == {"store.schema"}
    assert "at schema 0001" in found["store.schema"].what and "backhaul db upgrade" in found["store.schema"].remedy


def test_a_database_that_takes_no_writes_fails(place, run, findings, postgres_url):
    place.rewrite(place.store_url, postgres_url)
    assert run("--config", place.config, "db", "upgrade").code == 0
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = connection.execute(sa.text("SELECT current_database()")).scalar()
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    engine.dispose()

    found = findings(place)

    assert found["store.schema"].state == "ok"
    assert found["store.write"].state == "fail" and "read-only" in found["store.write"].what
    assert "right to write" in found["store.write"].remedy


def test_a_database_that_is_away_fails_without_its_password(place, run, monkeypatch):
    monkeypatch.setenv("STORE", f"postgresql+psycopg://someone:hunter2hunter2@127.0.0.1:{free_port()}/backhaul")
    place.rewrite(place.store_url, "env:STORE")

    done = run("--config", place.config, "doctor", "--json")

    assert next(one["state"] for one in done.json if one["check"] == "store.schema") == "fail"
    assert "hunter2" not in done.out + done.err


def test_a_store_url_that_is_not_set_fails_as_the_store(healthy, findings):
    healthy.rewrite(healthy.store_url, "env:NO_SUCH_STORE")

    found = findings(healthy)

    assert failed(found) == {"store.schema"} and "NO_SUCH_STORE" in found["store.schema"].what


def test_a_prefect_server_that_does_not_answer_fails(healthy, findings, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")

    found = findings(healthy)

    assert failed(found) == {"prefect"} and "PREFECT_API_URL" in found["prefect"].remedy


@pytest.mark.parametrize(("status", "state"), [(200, "ok"), (401, "ok"), (404, "fail"), (503, "fail")])
def test_a_prefect_server_is_taken_at_its_word(healthy, findings, monkeypatch, status, state):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/api/health" else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format, *args):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_address[1]}/api")
    try:
        assert findings(healthy)["prefect"].state == state
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("hours", "state"), [(0.2, "ok"), (1, "warn"), (5, "fail")])
def test_the_longer_ago_the_last_sync_the_worse(healthy, findings, hours, state):
    freshen(healthy, datetime.now(UTC) - timedelta(hours=hours))

    found = findings(healthy)

    assert found["sync.age"].state == state
    assert "newest news of loop" in found["sync.age"].what
    assert {name for name, one in found.items() if one.state != "ok"} <= {"sync.age"}


def test_a_quiet_merchant_whose_watermark_is_old_is_well_while_it_is_synced(healthy, findings):
    freshen(healthy, datetime.now(UTC), newest_news=datetime.now(UTC) - timedelta(days=12))

    found = findings(healthy)["sync.age"]

    assert found.state == "ok" and "newest news of loop: 12 days ago" in found.what


def test_a_sync_that_fails_now_is_told_with_its_reason(healthy, findings):
    store, now = Store(healthy.store_url), datetime.now(UTC) + timedelta(seconds=1)
    finish_run(store, start_run(store, "sync", "acme", "schedule", now), now, "StructuralError: Loop's answers have changed")
    store.close()

    found = findings(healthy)["sync.age"]

    assert found.state == "warn" and "Loop's answers have changed" in found.what and "backhaul runs" in found.remedy


def test_a_merchant_never_synced_is_told_to_begin(place, run, findings):
    run("--config", place.config, "db", "upgrade")

    found = findings(place)["sync.age"]

    assert found.state == "warn" and found.remedy == "Run 'backhaul sync acme'."


def test_reasons_that_the_config_does_not_map_are_named_with_their_lines(healthy, findings):
    healthy.rewrite('"Too small" = "tooSmall"\n', "")

    found = findings(healthy)["reasons"]

    assert found.state == "warn" and found.what.startswith("6 of 6 lines") and "'Too small' (6)" in found.what
    assert "[merchants.acme.reasons]" in found.remedy


def test_a_reason_is_printed_as_the_customer_sees_it(healthy, run):
    store = Store(healthy.store_url)
    with store.write() as connection:
        connection.execute(return_lines.update().values(return_reason="[sale] :bug: [/too small]"))
    store.close()

    assert "'[sale] :bug: [/too small]' (6)" in run("--config", healthy.config, "doctor").out


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_deep_look_names_the_returns_that_stand_elsewhere_than_is_kept_and_a_rebuild_mends_it(healthy, findings, run):
    assert "whereabouts" not in findings(healthy)
    assert findings(healthy, "--deep")["whereabouts"].state == "ok"
    store = Store(healthy.store_url)
    with store.write() as connection:
        return_id = connection.execute(sa.select(whereabouts.c.return_id).order_by(whereabouts.c.return_id)).scalars().first()
        stage = sa.update(whereabouts).where(whereabouts.c.return_id == return_id).values(stage="lost")
        connection.execute(stage)
    store.close()

    found = findings(healthy, "--deep")["whereabouts"]

    assert found.state == "fail" and f"{return_id} (stage lost, by its facts " in found.what and "backhaul db rebuild acme" in found.remedy
    assert "1 return stood elsewhere" in run("--config", healthy.config, "db", "rebuild", "acme").out
    assert findings(healthy, "--deep")["whereabouts"].state == "ok"
