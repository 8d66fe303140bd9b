"""Every table, view and column says what it is, from one declaration, and PostgreSQL says it too."""

import sqlalchemy as sa

from backhaul.store import dictionary
from backhaul.store.engine import Store
from backhaul.store.tables import metadata
from backhaul.store.views import VIEWS


def test_every_column_of_every_view_has_its_meaning(sqlite_url: str) -> None:
    store = Store(sqlite_url).ready()
    with store.read() as connection:
        for name in VIEWS:
            columns = list(connection.execute(sa.text(f"SELECT * FROM {name}")).keys())
            described = dictionary.view(name)
            assert described.purpose.endswith("."), name
            assert list(described.columns) == columns, name


def test_every_table_has_its_purpose() -> None:
    assert dictionary.PURPOSES.keys() == metadata.tables.keys()


def test_postgresql_says_the_same(postgres_url: str) -> None:
    store = Store(postgres_url).ready()
    words = "SELECT obj_description(CAST(:name AS regclass)), col_description(CAST(:name AS regclass), :place)"
    with store.read() as connection:
        for name in ("recon_open", "recon_daily_history"):
            columns = list(dictionary.view(name).columns.values())
            for place, meaning in enumerate(columns, start=1):
                said = connection.execute(sa.text(words), {"name": name, "place": place}).one()
                assert tuple(said) == (dictionary.view(name).purpose, meaning)
        about = connection.execute(sa.text(words), {"name": "whereabouts", "place": 3}).one()
    assert tuple(about) == (dictionary.table("whereabouts").purpose, dictionary.table("whereabouts").columns["stage"])
    store.close()
