"""Figures from a file, on their way in: each belongs to a return that Loop has and that goes to that warehouse, or none is taken in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backhaul.connectors.airhouse.figures import BadFiguresError, BadRow, Figures, as_receipts, read_figures
from backhaul.pipeline import intake
from backhaul.pipeline.receiving import take_in
from backhaul.pipeline.session import Session
from backhaul.store.receipts import rma_ids
from backhaul.store.returns import warehouses_of

WAREHOUSE = "airhouse"


class Import:
    """A file's figures on their way in. A plain class, which Prefect passes on between steps without looking into it."""

    def __init__(self, file: str, figures: Sequence[Figures]) -> None:
        self.file = file
        self.figures = figures


def read(file: str) -> Import:
    """The file's figures, whole and right, or not at all."""
    return Import(Path(file).name, read_figures(Path(file)))


def load(session: Session, read: Import) -> None:
    """Find the returns of the figures, in Loop where need be, and take the figures in as receipts."""
    find_returns(session, read.figures)
    take_in_figures(session, read.figures, read.file)


def find_returns(session: Session, figures: Sequence[Figures]) -> None:
    """Read the returns that the store does not have from Loop, one call each: older ones, which changed before the first sync looked."""
    known = _warehouses(session, figures)
    for one in figures:
        if one.return_id in known or not one.return_id.isdigit():
            continue
        intake.load(session, intake.check(session, intake.keep_news(session, session.loop.details(one.return_id), "details")))


def take_in_figures(session: Session, figures: Sequence[Figures], file: str) -> None:
    """Take a file's figures in as receipts, in one transaction. Raises BadFiguresError when one of them belongs to no return of ours."""
    known = _warehouses(session, figures)
    bad = [
        BadRow(one.row, "external_id", f"Loop shows no return {one.return_id}; it is the Loop return id that is wanted")
        for one in figures
        if one.return_id not in known
    ]
    bad += [
        BadRow(one.row, "external_id", f"return {one.return_id} goes to {known[one.return_id]}, not to {WAREHOUSE}")
        for one in figures
        if known.get(one.return_id, WAREHOUSE) != WAREHOUSE
    ]
    if bad:
        raise BadFiguresError(file, bad)
    with session.store.read() as connection:
        ids = rma_ids(connection, session.merchant, [one.return_id for one in figures])
    session.run.add("returns_in_file", len(figures))
    take_in(session, WAREHOUSE, as_receipts(figures, ids), channel="file")


def _warehouses(session: Session, figures: Sequence[Figures]) -> dict[str, str]:
    with session.store.read() as connection:
        return warehouses_of(connection, session.merchant, [one.return_id for one in figures])
