"""Charts as SVG, drawn on the server by pygal; colours, fonts and the dark side are the console's own stylesheet's.

pygal writes styles and scripts of its own into a drawing. Both are taken out, so that a chart stands in the page under its strict policy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pygal
from markupsafe import Markup

_SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with what it shows: `labels` along the bottom, a row of numbers for each series, and a sentence that tells it."""

    title: str
    told: str
    labels: tuple[str, ...]
    series: tuple[tuple[str, tuple[float | None, ...]], ...]
    drawing: Markup
    unit: str = ""


def stacked(title: str, told: str, labels: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]], unit: str = "") -> Chart:
    """Bars upon bars: parts of a whole, day by day."""
    return _chart(pygal.StackedBar, title, told, labels, series, unit)


def lines(title: str, told: str, labels: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]], unit: str = "") -> Chart:
    """Lines over days."""
    return _chart(pygal.Line, title, told, labels, series, unit, dots_size=2, stroke_style={"width": 2})


def _chart(kind: Any, title: str, told: str, labels: Sequence[str], series: Any, unit: str, **more: Any) -> Chart:
    step = max(1, len(labels) // 8)
    drawn = kind(
        width=720,
        height=260,
        js=(),
        css=(),
        no_prefix=True,
        show_legend=False,
        explicit_size=False,
        disable_xml_declaration=True,
        x_label_rotation=0,
        x_labels_major_every=step,
        show_minor_x_labels=False,
        show_x_guides=False,
        truncate_label=-1,
        include_x_axis=True,
        margin=8,
        margin_left=16,
        spacing=6,
        value_formatter=lambda value: f"{value:,.0f}{unit}" if value == int(value) else f"{value:,.1f}{unit}",
        **more,
    )
    drawn.x_labels = list(labels)
    for name, numbers in series:
        drawn.add(name, list(numbers))
    drawn.y_labels = _ticks(series, is_stacked=kind is pygal.StackedBar)
    drawn.add_xml_filter(_bare)
    text = drawn.render(is_unicode=True)
    return Chart(title, told, tuple(labels), tuple((name, tuple(numbers)) for name, numbers in series), Markup(text), unit)  # noqa: S704 - pygal escapes


def _ticks(series: Any, *, is_stacked: bool) -> list[float]:
    """Round numbers from nought to the highest point, about four of them."""
    columns = list(zip(*(numbers for _, numbers in series), strict=True))
    tops = [sum(number or 0 for number in one) if is_stacked else max(number or 0 for number in one) for one in columns]
    top = max(tops, default=0) or 1
    rough = top / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = max(next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough), 1)
    return [step * number for number in range(math.ceil(top / step) + 1)]


def _bare(root: Any) -> Any:
    """The drawing without styles and scripts, hidden from those who do not see: the sentence and the table beside it are for them."""
    for parent in list(root.iter()):
        for child in list(parent):
            if str(child.tag).removeprefix(_SVG) in ("style", "script"):
                parent.remove(child)
        parent.attrib.pop("style", None)
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    root.set("class", "chart")
    return root
