"""Alembic's entry: runs the migrations on the engine it is handed, then makes the views anew, and what they read that is kept by rule."""

from alembic import context

from backhaul.store.dictionary import comment_on_everything
from backhaul.store.tables import metadata
from backhaul.store.views import create_views, drop_views
from backhaul.store.whereabouts import fill_missing

engine = context.config.attributes["engine"]
with engine.connect().execution_options(is_writer=True) as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
    with context.begin_transaction():
        readers = drop_views(connection)
        context.run_migrations()
        if context.get_context().get_current_revision() == context.get_head_revision():  # views are of the newest schema alone
            create_views(connection, readers)
            fill_missing(connection)
            comment_on_everything(connection)
    connection.commit()
