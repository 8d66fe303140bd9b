"""What indexes and queries share, each written once: conditions, and forms in which a column is searched."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Index, text


class Partial:
    """The condition of a partial index, written once: a planner uses such an index only for a query that says the same words.

    So queries take the condition from here, and never as a bound value. `{}` stands for the table's name.
    """

    def __init__(self, words: str) -> None:
        self._words = words

    def index(self) -> dict[str, Any]:
        """The condition as the index has it, for who reads: a migration makes it. `postgresql_where` would load PostgreSQL's dialect."""
        return {"info": {"where": self._words.replace("{}", "")}}

    def of(self, table: sa.Table) -> sa.TextClause:
        """The condition as a query on the table has it."""
        return text(self._words.replace("{}", f"{table.name}."))


IS_DUE = Partial("{}is_due")
IS_LIVE = Partial("({}loop_state in ('open', 'review') and not {}is_history)")
IS_OPEN_RMA = Partial("not {}is_terminal")
IS_WAITING = Partial("{}handled_at is null")
IS_UNKNOWN = Partial("{}outcome = 'unknown_return'")
IS_CURRENT = Partial("{}is_current")
IS_HELD = Partial("({}is_current and {}decision = 'hold')")
HAS_DUE_DATE = Partial("({}is_current and {}due_at is not null)")
IS_UNSENT = Partial("{}state in ('pending', 'sending')")
IS_SENDING = Partial("{}state = 'sending'")  # by itself: SQLite sees in `state = x and state in (…)` no use for the index of the latter
IS_UNCONFIRMED = Partial("{}state = 'accepted'")
IS_HELD_BACK = Partial("({}held_by is not null and {}state = 'pending')")
IS_BEGUN = Partial("({}kind in ('rma.close', 'loop.flag', 'loop.process') and {}last_attempt_at is not null)")  # what guards count
IS_SHADOW = Partial("{}state = 'shadow'")
IS_OWED = Partial(  # an accepted note, update, cancel or close is never read back: it is through
    "({}state in ('pending', 'sending', 'refused', 'failed', 'dead') "
    "or ({}state = 'accepted' and {}kind in ('rma.create', 'loop.flag', 'loop.process')))"
)
IS_RUNNING = Partial("{}state = 'running'")
IS_QUARANTINED = Partial("{}released_at is null")
IS_UNRESOLVED = Partial("{}resolved_at is null")
IS_FOLLOWED = Partial("({}kind = 'loop.process' and {}state = 'confirmed' and {}outcomes_at is null)")


class Findable:
    """A form in which a column is searched, written once: a planner uses an index on it only for a query that says the same words.

    Its index serves beginnings as well as whole values, whatever PostgreSQL's collation.
    """

    def __init__(self, table: str, words: str, index: str) -> None:
        self.table, self.words, self.index_name = table, words, index

    def index(self) -> Index:
        """The index as the table has it; on PostgreSQL with the migration's `text_pattern_ops`."""
        return Index(self.index_name, sa.literal_column(self.words).label("form"))


def _bare(column: str) -> str:
    """A tracking number as it is searched: without spaces and hyphens, and without the ZIP that USPS puts before it."""
    bare = f"upper(replace(replace({column}, ' ', ''), '-', ''))"
    is_routed = f"{bare} like '420%' and length({bare}) in (30, 34)"
    return f"case when {is_routed} then substr({bare}, length({bare}) - 21) else {bare} end"


BY_RETURN = Findable("returns", "return_id", "ix_returns_find")
BY_ORDER = Findable("returns", "upper(ltrim(order_name, '#'))", "ix_returns_find_order")
BY_TRACKING = Findable("returns", _bare("tracking_number"), "ix_returns_find_tracking")
BY_SKU = Findable("return_lines", "upper(sku)", "ix_return_lines_find_sku")
BY_RMA = Findable("rmas", "upper(rma_id)", "ix_rmas_find")
BY_PACKAGE = Findable("rmas", _bare("package_id"), "ix_rmas_find_package")
BY_RECORD = Findable("quarantine", "upper(record_key)", "ix_quarantine_find")
BY_HELD_ORDER = Findable("quarantine", "upper(ltrim(order_name, '#'))", "ix_quarantine_find_order")
