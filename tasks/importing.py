"""Steps of an import: read the file, find its returns, take its figures in."""

from __future__ import annotations

from pathlib import Path

from backhaul.connectors.airhouse import figures as airhouse
from backhaul.connectors.airhouse.figures import Figures
from backhaul.pipeline import importing
from backhaul.pipeline.session import Session
from tasks.steps import step


class Import:
    """A file's figures on their way between two steps. A plain class, which Prefect passes on without looking into it."""

    def __init__(self, file: str, figures: list[Figures]) -> None:
        self.file = file
        self.figures = figures


@step("read-figures")
def read_figures(file: str) -> Import:
    """The file, whole and right, or not at all."""
    return Import(Path(file).name, airhouse.read_figures(Path(file)))


@step("load-figures")
def load_figures(session: Session, read: Import) -> None:
    """Find the returns of the figures, in Loop where need be, and take the figures in as receipts."""
    importing.find_returns(session, read.figures)
    importing.take_in_figures(session, read.figures, read.file)
