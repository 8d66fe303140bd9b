"""Figures from a file, on their way in: each belongs to a return that Loop has and that goes to that warehouse, or none is taken in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backhaul.connectors.by_file import BadFiguresError, BadRow, ByFile, Figures
from backhaul.connectors.registry import WAREHOUSES
from backhaul.errors import BackhaulError, ConfigError
from backhaul.pipeline import intake
from backhaul.pipeline.receiving import take_in
from backhaul.pipeline.session import Session
from backhaul.store.receipts import rma_ids
from backhaul.store.returns import warehouses_of

_MOST_READ = 300  # calls to Loop, a minute's worth


class Import:
    """A file's figures on their way in. A plain class, which Prefect passes on between steps without looking into it."""

    def __init__(self, file: str, warehouse: str, by_file: ByFile, figures: Sequence[Figures]) -> None:
        self.file, self.warehouse, self.by_file, self.figures = file, warehouse, by_file, figures


def read(session: Session, file: str, warehouse: str | None = None) -> Import:
    """The file's figures, whole and right, or not at all; of the merchant's warehouse whose results come by file where none is named.

    Raises ConfigError where there is no such warehouse, or more than one.
    """
    known = {name: by_file for name in session.settings.warehouses() if (by_file := WAREHOUSES[name].by_file) is not None}
    found = [name for name in known if warehouse in (None, name)]
    if len(found) != 1:
        there = ", ".join(known) or "none"
        raise ConfigError(f"{session.merchant}: say of which warehouse the file is; its warehouses whose results come by file: {there}")
    return Import(Path(file).name, found[0], known[found[0]], known[found[0]].read(Path(file)))


def load(session: Session, read: Import) -> None:
    """Find the returns of the figures, in Loop where need be, and take the figures in as receipts."""
    find_returns(session, read.figures)
    take_in_figures(session, read)


def find_returns(session: Session, figures: Sequence[Figures]) -> None:
    """Read the returns that the store does not have from Loop, one call each: older ones, which changed before the first sync looked.

    Raises BackhaulError where that would be more than `_MOST_READ` calls.
    """
    known = _warehouses(session, figures)
    unknown = [one for one in figures if one.return_id not in known and one.return_id.isdigit()]
    if len(unknown) > _MOST_READ:
        raise BackhaulError(
            f"{session.merchant}: {len(unknown)} returns are not in the store; backfill the days on which they changed, then import again"
        )
    for one in unknown:
        intake.load(session, intake.check(session, intake.keep_news(session, session.loop.details(one.return_id), "details")))


def take_in_figures(session: Session, read: Import) -> None:
    """Take a file's figures in as receipts, in one transaction. Raises BadFiguresError when one of them belongs to no return of ours."""
    figures, warehouse = read.figures, read.warehouse
    known = _warehouses(session, figures)
    bad = [
        BadRow(one.row, "external_id", f"Loop shows no return {one.return_id}; it is the Loop return id that is wanted")
        for one in figures
        if one.return_id not in known
    ]
    bad += [
        BadRow(one.row, "external_id", f"return {one.return_id} goes to {known[one.return_id]}, not to {warehouse}")
        for one in figures
        if known.get(one.return_id, warehouse) != warehouse
    ]
    if bad:
        raise BadFiguresError(read.file, bad)
    with session.store.read() as connection:
        ids = rma_ids(connection, session.merchant, [one.return_id for one in figures])
    session.run.add("returns_in_file", len(figures))
    take_in(session, warehouse, read.by_file.as_receipts(figures, ids), channel="file")


def _warehouses(session: Session, figures: Sequence[Figures]) -> dict[str, str]:
    with session.store.read() as connection:
        return warehouses_of(connection, session.merchant, [one.return_id for one in figures])
