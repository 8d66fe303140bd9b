"""Steps of an import: read the file, find its returns, take its figures in."""

from __future__ import annotations

from backhaul.pipeline import importing
from tasks.steps import step

read_figures = step("read-figures", importing.read)
load_figures = step("load-figures", importing.load)
