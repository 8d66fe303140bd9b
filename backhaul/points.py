"""Named points of the program, at which a test may stop it: the edges of every transaction, every transition of a delivery.

For tests alone. No setting and no variable of the environment reaches in here: a test that wants a process to pause, to be killed or
to fail at a point starts it by a script of its own, which sets `hook`.

| point | when |
|---|---|
| `store.committing`, `store.committed` | all of a write transaction is said; it is on disk |
| `delivery.…` | a delivery goes from one state to the next, inside the transaction that says so |
"""

from __future__ import annotations

from collections.abc import Callable

hook: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """The program is at the point of this name."""
    if hook is not None:
        hook(name)
