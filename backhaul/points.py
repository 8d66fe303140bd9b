"""Named points of the program, at which a test may stop it: the edges of every transaction, every transition of a delivery.

For tests alone. No setting and no variable of the environment reaches in here: a test that wants a process to pause, to be killed or
to fail at a point starts it by a script of its own, which sets `hook`.

| point | when |
|---|---|
| `store.committing`, `store.committed` | all of a write transaction is said; it is on disk |
| `delivery.enqueued` | a delivery is owed from now on, once this transaction is committed |
| `delivery.NAME` | deliveries have moved by the `Transition` of this name (domain/deliveries.py), inside the transaction that says so |
| `delivery.answered`, `delivery.looked_up` | a vendor has answered, and nothing of it is written yet |
"""

from __future__ import annotations

from collections.abc import Callable

hook: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """The program is at the point of this name."""
    if hook is not None:
        hook(name)
