"""Sections of `backhaul.toml`, as every vendor's own `settings` begins, and how `backhaul init` comes by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from backhaul.urls import BaseUrl


class Section(BaseModel):
    """A table of the file. A key that is not known is refused, and no error shows a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class WarehouseSection(Section):
    """One merchant's account at a warehouse: what the sync goes by at every one of them."""

    base_url: BaseUrl
    poll_calls_per_sync: int = Field(60, ge=2)  # at least one for keys and one for the warehouse's own list
    correction_days: int = Field(14, ge=0)
    requests_per_minute: int = Field(300, ge=1)


@dataclass(frozen=True, slots=True)
class Question:
    """What `backhaul init` has to be told for a field: by an option, or on a terminal where it `asks`; else the default holds.

    `read` makes the field's value of an answer, and raises ValueError with what is wrong with it. Of several questions for one field, the
    first that an option answers holds.
    """

    field: str
    option: str
    help: str
    asks: str | None = None
    default: str | None = None
    read: Callable[[str], str | int] = str


@dataclass(frozen=True, slots=True)
class FirstSection:
    """A vendor's section as `backhaul init` writes it: TOML with its reasons in comments.

    In braces stand its place in the file (`where`), each secret's field (which becomes a reference) and each field that is asked for.
    """

    text: str
    secrets: Mapping[str, str]  # where the value of each comes from, in words
    questions: Sequence[Question]
    announce: str = "on_created"  # what the merchant's policy had better say to it


def whole_number(answer: str) -> int:
    """An answer as a number from 1. Raises ValueError."""
    if not (answer.isascii() and answer.isdigit() and int(answer)):
        raise ValueError(f"{answer!r} is not a whole number from 1")
    return int(answer)
