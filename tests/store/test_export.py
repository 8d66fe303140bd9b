"""A view taken away: typed alike on both databases, filtered by bound values alone, in three formats, and never half a file."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from pyarrow import parquet

from backhaul import table_files
from backhaul.errors import BackhaulError, ConfigError
from backhaul.store import dictionary
from backhaul.store.desk import BadFilterError
from backhaul.store.engine import Store
from backhaul.store.export import kinds_of, rows_of
from backhaul.store.tables import returns
from backhaul.store.views import VIEWS
from backhaul.store.whereabouts import refresh
from tests.store.test_views import put_return
from tests.stores import postgres_database, sqlite_store

_TYPES = {
    "text": {"text"},
    "time": {"timestamp with time zone"},
    "money": {"numeric"},
    "count": {"integer", "bigint"},
    "number": {"double precision", "numeric"},
    "flag": {"boolean"},
    "json": {"jsonb"},
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Two returns, on each database; no test changes them."""
    if request.param == "sqlite":
        yield _filled(sqlite_store(tmp_path_factory.mktemp("export") / "store.db"))
        return
    with postgres_database(request.getfixturevalue("postgres"), "export") as url:
        store = _filled(url)
        yield store
        store.close()


def _filled(url: str) -> Store:
    store = Store(url).ready()
    put_return(store, "1", ["available", "damaged"], decision="flag")
    put_return(store, "2", ["awaited"])
    with store.write() as connection:
        said = {
            "order_name": "=1+1",
            "outcome": "re\nfund",
            "return_total": Decimal("18.6"),
            "created_at": datetime(2026, 3, 2, 4, tzinfo=UTC),
        }
        connection.execute(sa.update(returns).where(returns.c.return_id == "1").values(said))
        refresh(connection, "acme", ["1", "2"])
    return store


def taken(store: Store, *conditions: str, view: str = "recon_returns") -> list[dict[str, object]]:
    with store.snapshot() as connection:
        return [dict(zip(kinds_of(view), row, strict=True)) for row in rows_of(connection, view, conditions)]


def ids(store: Store, *conditions: str) -> list[str]:
    return sorted(str(row["return_id"]) for row in taken(store, *conditions))


def test_every_column_is_of_the_kind_that_postgresql_has_for_it(store: Store) -> None:
    query = sa.text("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = :view")
    with store.snapshot() as connection:
        for view in VIEWS if not store.is_sqlite else ():
            for name, kind in connection.execute(query, {"view": view}):
                assert kind in _TYPES[dictionary.kind_of(name)], f"{view}.{name}"


def test_values_are_exact_and_typed_on_both_databases(store: Store) -> None:
    [row] = taken(store, "return_id=1")
    assert row["return_total"] == Decimal("18.60") and str(row["return_total"]) == "18.60"
    assert row["created_at"] == datetime(2026, 3, 2, 4, tzinfo=UTC)
    assert row["reasons"] == [] and row["damaged_units"] == 1 and row["processed_at"] is None
    assert {type(row["is_history"]) for row in taken(store, view="recon_cycle_times")} == {bool}


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([], ["1", "2"]),
        (["merchant=acme"], ["1", "2"]),
        (["merchant=other"], []),
        (["decision!=flag"], ["2"]),
        (["return_total=18.60"], ["1"]),
        (["return_total!=18.60"], ["2"]),
        (["return_total="], ["2"]),
        (["return_total!="], ["1"]),
        (["damaged_units>0"], ["1"]),
        (["damaged_units<=0"], ["2"]),
        (["created_at<2026-03-03"], ["1"]),
        (["created_at>=2026-03-02T04:00:00Z", "created_at < 2026-03-02T05:00+01:00"], []),
        (["order_name==1+1"], ["1"]),
        (["merchant=acme", "decision=wait"], ["2"]),
        (["merchant=' OR 1=1 --"], []),
    ],
)
def test_a_condition_filters_by_its_column(store: Store, conditions: list[str], found: list[str]) -> None:
    assert ids(store, *conditions) == found


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("decision", "no condition"),
        ("1=1", "no column '1'"),
        ("decision) OR (1=1", "no condition"),
        ("secret=1", "no column 'secret'"),
        ("damaged_units=one", "damaged_units should be a whole number"),
        ("damaged_units=" + "9" * 40, "damaged_units should be a whole number"),
        ("return_total=NaN", "return_total should be an amount"),
        ("return_total=1e999999", "return_total should be an amount"),
        ("created_at>yesterday", "created_at should be a day"),
        ("merchant=a\x00b", "merchant should be printable text"),
        ("reasons=damaged", "reasons is a list"),
    ],
)
def test_what_is_no_condition_is_refused_in_words(store: Store, condition: str, why: str) -> None:
    with pytest.raises(BadFilterError, match=why.replace("(", r"\(")):
        taken(store, condition)


def test_a_table_is_no_view(store: Store) -> None:
    with pytest.raises(BadFilterError, match="there is no view 'deliveries'; there are recon_returns"):
        taken(store, view="deliveries")


def test_a_view_of_more_rows_than_are_fetched_at_once_comes_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backhaul.store.export._AT_ONCE", 1)
    assert ids(store) == ["1", "2"]


def test_csv_keeps_formulas_from_spreadsheets(store: Store) -> None:
    kinds = kinds_of("recon_returns")
    with store.snapshot() as connection:
        text = "".join(table_files.csv_text(list(kinds), rows_of(connection, "recon_returns", ["return_id=1"])))
    [row] = csv.DictReader(io.StringIO(text))
    assert row["order_name"] == "'=1+1"
    assert row["outcome"] == "re fund"
    assert row["return_total"] == "18.60" and row["created_at"] == "2026-03-02T04:00:00+00:00" and row["reasons"] == "[]"


def test_json_lines_are_one_object_a_line(store: Store) -> None:
    kinds = kinds_of("recon_returns")
    with store.snapshot() as connection:
        text = "".join(table_files.json_lines(list(kinds), rows_of(connection, "recon_returns", [])))
    by_id = {row["return_id"]: row for row in map(json.loads, text.splitlines())}
    assert by_id.keys() == {"1", "2"}
    assert by_id["1"]["return_total"] == "18.60" and by_id["1"]["order_name"] == "=1+1" and by_id["2"]["reasons"] == []


def test_every_view_is_a_typed_parquet_file(store: Store, tmp_path: Path) -> None:
    for view in VIEWS:
        file = tmp_path / f"{view}.parquet"
        with store.snapshot() as connection, table_files.put_in_place(file) as opened:
            table_files.write_parquet(opened, kinds_of(view), rows_of(connection, view, []))
        read = parquet.read_table(file)
        assert read.column_names == list(kinds_of(view))
        assert read.num_rows == len(taken(store, view=view))
        if view != "recon_returns":
            continue
        row = next(one for one in read.to_pylist() if one["return_id"] == "1")
        assert (row["return_total"], row["created_at"], row["reasons"]) == (Decimal("18.60"), datetime(2026, 3, 2, 4, tzinfo=UTC), "[]")
        assert str(read.schema.field("processed_at").type) == "timestamp[us, tz=UTC]"


def test_without_pyarrow_the_way_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'backhaul\[parquet\]'"):
        table_files.write_parquet(io.BytesIO(), {"merchant": "text"}, [])


def test_a_file_takes_its_place_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("before")
    with pytest.raises(EOFError), table_files.put_in_place(file) as opened:
        opened.writelines(_cut_off())
    assert file.read_text() == "before" and os.listdir(tmp_path) == ["out.csv"]
    old = file.open()  # whoever reads it meanwhile reads it to its end
    with table_files.put_in_place(file) as opened:
        opened.write(b"whole")
        opened.flush()
        assert file.read_text() == "before"
    assert file.read_text() == "whole" and stat.S_IMODE(file.stat().st_mode) == 0o600 and os.listdir(tmp_path) == ["out.csv"]
    with old:
        assert old.read() == "before"


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing" / "out.csv"):
        with pytest.raises(BackhaulError), table_files.put_in_place(place):
            pass
    assert os.listdir(tmp_path) == []


def _cut_off() -> Iterator[bytes]:
    yield b"half"
    raise EOFError
