"""The entries of a return's life in plain words: what Loop and the warehouse said, what was sent and what came of it. Pure."""

from __future__ import annotations

from backhaul.domain.plainly import units
from backhaul.domain.words import Act, DeliveryKind, DeliveryState

DUTIES: dict[str, str] = {
    DeliveryKind.RMA_CREATE: "announce the return to the warehouse",
    DeliveryKind.RMA_UPDATE: "tell the warehouse what changed",
    DeliveryKind.RMA_CANCEL: "withdraw the return at the warehouse",
    DeliveryKind.RMA_CLOSE: "close the return at the warehouse",
    DeliveryKind.LOOP_NOTE: "write the reasons on the return in Loop",
    DeliveryKind.LOOP_FLAG: "flag the return in Loop",
    DeliveryKind.LOOP_PROCESS: "process the return in Loop",
}
STATES: dict[str, str] = {
    DeliveryState.PENDING: "waits to be sent",
    DeliveryState.SENDING: "is being sent",
    DeliveryState.ACCEPTED: "accepted, not read back yet",
    DeliveryState.CONFIRMED: "done, and read back",
    DeliveryState.REFUSED: "refused",
    DeliveryState.FAILED: "accepted, then failed",
    DeliveryState.DEAD: "given up: it cannot work as it is",
    DeliveryState.SUPERSEDED: "no longer needed",
    DeliveryState.SHADOW: "recorded only, in shadow mode",
}
_OUTCOMES = {
    "unreadable": "; it could not be read, so that the return was read back from Loop",
    "unknown_return": "; Loop does not show the return yet",
    "never_shown": "; Loop never showed the return",
}
_ACTS = {
    Act.RELEASE: "let go what a guard held",
    Act.REJECT: "said no to what a guard held",
    Act.RETRY: "had it tried again",
    Act.FROM_SHADOW: "had sent what was decided in shadow mode",
    Act.RESOLVE: "dealt with an exception",
    Act.ASSIGN: "said who takes an exception",
    Act.ARCHIVE: "set the return aside",
    Act.CONFIRM: "confirmed whose units these are",
}


def version(number: int, state: str | None, lines: int | None) -> str:
    """`Loop told us of the return: open, 2 units.` Lines are None where the body is past its retention."""
    start = "Loop told us of the return" if number == 1 else "The return changed in Loop"
    if lines is None:
        return f"{start}; what it said is no longer kept."
    return f"{start}: {state or 'no state'}, {units(lines)}."


def event(source: str, topic: str, channel: str, outcome: str | None) -> str:
    """`masonhub said by webhook: rma received.`"""
    how = {"webhook": "by webhook", "poll": "when asked", "file": "in a file"}.get(channel, f"by {channel}")
    return f"{source} said {how}: {topic.replace('.', ' ').replace('_', ' ')}{_OUTCOMES.get(outcome or '', '')}."


def delivery(kind: str, state: str, message: str | None) -> str:
    """`To do: process the return in Loop (done, and read back).`"""
    told = f": {message}" if message and state not in (DeliveryState.CONFIRMED, DeliveryState.ACCEPTED) else ""
    return f"To do: {DUTIES.get(kind, kind)} ({STATES.get(state, state)}{told})."


def confirmed(kind: str) -> str:
    """`Read back: process the return in Loop.`"""
    return f"Done and read back: {DUTIES.get(kind, kind)}."


def act(operator: str, what: str, why: str | None) -> str:
    """`sam let go what a guard held: looked at it.`"""
    told = f"{operator} {_ACTS.get(Act(what), what)}{f': {why}' if why else ''}"
    return told if told.endswith((".", "!", "?")) else f"{told}."
