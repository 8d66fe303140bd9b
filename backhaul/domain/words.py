"""The closed vocabularies of Backhaul, as they are stored, logged and shown. A word that is not here is never guessed."""

from __future__ import annotations

from enum import StrEnum


class LoopState(StrEnum):
    """State of a return in Loop."""

    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REVIEW = "review"


class Condition(StrEnum):
    """Condition of a received unit, in the order in which units are assigned to lines."""

    AVAILABLE = "available"
    PENDING = "pending"
    DAMAGED = "damaged"


class LineOutcome(StrEnum):
    """What became of one return line: the condition of its unit, or why it has none."""

    AVAILABLE = "available"
    PENDING = "pending"
    DAMAGED = "damaged"
    MISSING = "missing"  # the RMA is terminal and the unit is not in it
    AWAITED = "awaited"  # the RMA is not terminal, or there is none
    UNVERIFIABLE = "unverifiable"  # the line has no SKU


class UnexpectedKind(StrEnum):
    """Why received units belong to no return line."""

    OVER = "over"  # more of a SKU than the return has
    UNEXPECTED = "unexpected"  # a SKU that the return does not have


class DecisionKind(StrEnum):
    """Our verdict on a return."""

    WAIT = "wait"
    HOLD = "hold"
    PROCESS = "process"
    FLAG = "flag"
    SKIP = "skip"


class Reason(StrEnum):
    """Why a decision is what it is."""

    DAMAGED = "damaged"
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    UNVERIFIABLE = "unverifiable"
    PENDING = "pending"
    INSPECTION_OVERDUE = "inspection_overdue"
    LOOP_CLOSED = "loop_closed"
    LOOP_CANCELLED = "loop_cancelled"
    LOOP_EXPIRED = "loop_expired"
    LOOP_REVIEW = "loop_review"
    RMA_REFUSED = "rma_refused"


class RmaStage(StrEnum):
    """How far an RMA has come at its warehouse, in no warehouse's own words. Each connector maps its statuses to these."""

    ANNOUNCED = "announced"  # it may still be changed and withdrawn
    RECEIVING = "receiving"  # the parcel is there, or on its last way
    RECEIVED = "received"  # nothing more will arrive
    CLOSED = "closed"  # and the record is closed
    GONE = "gone"  # withdrawn, by us or by the warehouse


class DeliveryKind(StrEnum):
    """A write we owe a vendor."""

    RMA_CREATE = "rma.create"
    RMA_UPDATE = "rma.update"
    RMA_CANCEL = "rma.cancel"
    RMA_CLOSE = "rma.close"
    LOOP_NOTE = "loop.note"
    LOOP_FLAG = "loop.flag"
    LOOP_PROCESS = "loop.process"


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"  # the vendor said yes; not yet read back
    CONFIRMED = "confirmed"
    REFUSED = "refused"  # the vendor said no, often with HTTP 200
    FAILED = "failed"  # accepted, then failed at the vendor
    DEAD = "dead"  # a permanent error in the vendor's own answer to the write
    SUPERSEDED = "superseded"  # it no longer follows: a person acted first, or newer facts decide otherwise
    SHADOW = "shadow"  # recorded only: the merchant is in shadow mode


class Guard(StrEnum):
    """A limit that a merchant sets to what is sent by itself. The names are the config's."""

    VALUE_OF_ONE = "value_of_one"
    HOLD_FIRST = "hold_first"
    PROCESSES_PER_HOUR = "processes_per_hour"
    VALUE_PER_HOUR = "value_per_hour"
    FLAG_SHARE_PER_DAY = "flag_share_per_day"


class Act(StrEnum):
    """Something that a person did."""

    PAUSE = "pause"
    RESUME = "resume"
    RELEASE = "release"
    REJECT = "reject"
    RETRY = "retry"
    FROM_SHADOW = "from_shadow"
    RESOLVE = "resolve"
    ASSIGN = "assign"
    ARCHIVE = "archive"
    QUARANTINE_RETRY = "quarantine_retry"
    CONFIRM = "confirm"


ALL_VENDORS = "*"  # a pause of everything that is sent for a merchant
REJECTED = "rejected"  # what holds a delivery that a person said no to


class ExceptionKind(StrEnum):
    """Something that needs a person."""

    UNKNOWN_CONDITION = "unknown_condition"
    CORRECTION_AFTER_PROCESS = "correction_after_process"
    CLEAN_AFTER_FLAG = "clean_after_flag"
    EDIT_AFTER_RECEIVING = "edit_after_receiving"
    RMA_REFUSED = "rma_refused"
    UNVERIFIABLE = "unverifiable"
    RECEIPT_QUARANTINED = "receipt_quarantined"
    DELIVERY_REFUSED = "delivery_refused"
    DELIVERY_FAILED = "delivery_failed"
    DELIVERY_DEAD = "delivery_dead"
    DELIVERY_STUCK = "delivery_stuck"
    DELIVERY_BLOCKED = "delivery_blocked"
    BLIND_RECEIPT = "blind_receipt"
    ASN_ONLY = "asn_only"
    ASN_MISMATCH = "asn_mismatch"
    RMA_NOT_FOUND = "rma_not_found"
    PROCESS_UNCONFIRMED = "process_unconfirmed"
    CANCEL_AFTER_RECEIVING = "cancel_after_receiving"
    OUTCOME_UNDONE = "outcome_undone"
    GUARD_HOLDS = "guard_holds"
    SILENCE = "silence"
    AUDIT_GAP = "audit_gap"
    CHECKS_DISAGREE = "checks_disagree"

    @property
    def remedy(self) -> str:
        """What an operator does about it, in one sentence."""
        return REMEDIES[self]


REMEDIES: dict[ExceptionKind, str] = {
    ExceptionKind.UNKNOWN_CONDITION: "Ask the warehouse what the condition means; until it is known, its units count as pending.",
    ExceptionKind.CORRECTION_AFTER_PROCESS: "The return is processed already: settle the difference with the warehouse or the customer.",
    ExceptionKind.CLEAN_AFTER_FLAG: "Every unit is now available: look at the flagged return in Loop and process it there if you agree.",
    ExceptionKind.EDIT_AFTER_RECEIVING: "Tell the warehouse of the change, since it no longer accepts edits of this RMA.",
    ExceptionKind.RMA_REFUSED: "Put right what the warehouse objects to, then run 'backhaul deliver --retry RETURN_ID'.",
    ExceptionKind.UNVERIFIABLE: "Give the product a SKU in the shop and wait for Loop to send it, or decide the return by hand in Loop.",
    ExceptionKind.RECEIPT_QUARANTINED: "Ask the warehouse to correct the receipt, then run 'backhaul quarantine retry'.",
    ExceptionKind.DELIVERY_REFUSED: "See in Loop or at the warehouse why it said no, and finish the return there by hand.",
    ExceptionKind.DELIVERY_FAILED: "See in Loop why processing failed, put it right, then run 'backhaul deliver --retry RETURN_ID'.",
    ExceptionKind.DELIVERY_DEAD: "Read the last error of the delivery, put its cause right, then run 'backhaul deliver --retry RETURN_ID'.",
    ExceptionKind.DELIVERY_STUCK: "Nothing is given up: see with 'backhaul doctor' whether the vendor answers and its key is accepted.",
    ExceptionKind.DELIVERY_BLOCKED: "Put right what it waits for, then run 'backhaul deliver --retry RETURN_ID'.",
    ExceptionKind.BLIND_RECEIPT: "See with 'backhaul candidates list' whose it may be and confirm it, or settle it with the warehouse.",
    ExceptionKind.ASN_ONLY: "Look the return up in Loop: it was announced, yet the list of returns does not show it.",
    ExceptionKind.ASN_MISMATCH: "Compare the return's lines in Loop with its shipping notice, and correct the one that is wrong.",
    ExceptionKind.RMA_NOT_FOUND: "Ask the warehouse what became of the RMA, and create it again if it is gone.",
    ExceptionKind.PROCESS_UNCONFIRMED: "Look at the return in Loop, and process it there by hand if Loop has not.",
    ExceptionKind.CANCEL_AFTER_RECEIVING: "The parcel has arrived for a return that ended in Loop: settle it with the customer by hand.",
    ExceptionKind.OUTCOME_UNDONE: "Finish in Loop what it has not done for the customer; the exception ends once Loop shows it done.",
    ExceptionKind.GUARD_HOLDS: "Look at 'backhaul guard list', then 'backhaul guard release' or 'backhaul guard reject', one or --all.",
    ExceptionKind.SILENCE: "Check with the vendor, and with 'backhaul doctor', that its webhooks and its API still reach us.",
    ExceptionKind.AUDIT_GAP: "Run 'backhaul backfill' over the days named, then run the audit again.",
    ExceptionKind.CHECKS_DISAGREE: "Two engines judge one rule differently: report the rule to Backhaul's developers, and keep the record.",
}
