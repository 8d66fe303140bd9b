"""Findings: what a look at something found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"  # works, and a person should know
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found about a subject (a merchant, the store, Prefect). `remedy` is empty when all is well."""

    check: str
    subject: str
    state: Health
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `look` answers it; what it raises on purpose is a failure, with `remedy` as the way out."""

    name: str
    subject: str
    look: Callable[[], Finding]
    remedy: str = "Put right what the message says, then run 'backhaul doctor' again."


def ok(check: str, subject: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, subject, Health.OK, what)


def warn(check: str, subject: str, what: str, remedy: str) -> Finding:
    """It works, and a person should know."""
    return Finding(check, subject, Health.WARN, what, remedy)


def fail(check: str, subject: str, what: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check, subject, Health.FAIL, what, remedy)


def unchecked(check: str, subject: str, why: str) -> Finding:
    """Another finding stands in the way of this one."""
    return warn(check, subject, f"not checked: {why}", "Put that right first, then run 'backhaul doctor' again.")
