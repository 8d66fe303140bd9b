"""Whether what was pulled can be trusted as a whole: the structural rule (DESIGN.md, section 3)."""

from __future__ import annotations

from collections.abc import Collection

from backhaul.errors import StructuralError
from backhaul.store.quarantine import Quarantined

COUNT, SHARE = 50, 0.2  # newly quarantined records, and their share of all that was pulled


def require_sound(merchant: str, what: str, bad: Collection[Quarantined], total: int, count: int | None = None) -> None:
    """Raise StructuralError when so many of `total` records are newly bad that it is not they that are damaged, but the answers.

    For what is pulled from a list or a poll alone: an event cannot say anything of the source. `count` is of a list that is read batch
    by batch: all that were bad so far, `bad` being the last batch's.
    """
    count = len(bad) if count is None else count
    if count >= COUNT and count >= SHARE * total:
        rules = ", ".join(sorted({rule for one in bad for rule in one.rules}))
        raise StructuralError(
            f"{merchant}: {count} of {total} {what} break {rules}; "
            "the answers have changed or are damaged, nothing of this batch was loaded"
        )
