"""The figures of Airhouse's dashboard, keyed into a CSV file: what was expected, received and restocked, by return and SKU.

The header is ours, its words are the dashboard's (docs/airhouse.md). A file is read whole or not at all.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from backhaul.connectors import parse
from backhaul.connectors.airhouse.normalise import normalise
from backhaul.connectors.airhouse.wire import STATUSES, ItemWire, ReturnWire, status_of
from backhaul.connectors.base import ReceiptBatch
from backhaul.connectors.by_file import BadFiguresError, BadRow

NEEDED = ("external_id", "sku", "expected", "received", "restocked", "status")
DATES = ("request_date", "delivery_date", "received_date")
COLUMNS = (*NEEDED, "order_number", *DATES)
_LARGEST = 20_000_000  # bytes; some 300,000 rows, which nobody keyed in
_COUNTS = ("expected", "received", "restocked")
_OF_THE_RETURN = ("status", "order_number", *DATES)  # the same in all rows of a return


@dataclass(slots=True)
class Figures:
    """One return's figures. `row` is the first of its rows in the file; `said` is what they say of the return as a whole."""

    return_id: str
    row: int
    said: dict[str, str | None]
    items: dict[str, ItemWire] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)  # by SKU


def read_figures(path: Path) -> list[Figures]:
    """The figures in a CSV file, by return, in the file's order.

    Columns may stand in any order and any case, between commas or semicolons, after a byte-order mark; others are ignored. Raises
    BadFiguresError with a line for each thing that is wrong.
    """
    if path.suffix.casefold() in (".xlsx", ".xls"):
        raise BadFiguresError(path.name, [BadRow(1, "file", "spreadsheets are not read; save the sheet as CSV, UTF-8")])
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise BadFiguresError(path.name, [BadRow(1, "file", f"over {_LARGEST // 1_000_000} MB; split it")])
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise BadFiguresError(path.name, [BadRow(1, "file", "not UTF-8; save it as CSV, UTF-8")]) from None
    except OSError as error:
        raise BadFiguresError(path.name, [BadRow(1, "file", f"cannot be read: {error.strerror}")]) from None
    first = text.partition("\n")[0]
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True))
    except csv.Error as error:
        raise BadFiguresError(path.name, [BadRow(1, "file", f"not CSV: {error}")]) from None
    names = [name.strip().casefold().replace(" ", "_") for name in rows[0]] if rows else []
    bad = [BadRow(1, name, "the column is missing") for name in NEEDED if name not in names]
    bad += [BadRow(1, name, "the column is there twice") for name in COLUMNS if names.count(name) > 1]
    if bad:
        raise BadFiguresError(path.name, bad)
    return _by_return(path.name, names, rows)


def _by_return(file: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Figures]:
    found: dict[str, Figures] = {}
    bad: list[BadRow] = []
    for number, cells in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(names):
            bad.append(BadRow(number, "row", f"{len(cells)} cells under {len(names)} columns; quote a cell that holds a separator"))
            continue
        row = {name: (cells[place].strip() if place < len(cells) else "") or None for place, name in enumerate(names)}
        wrong = _wrong(number, row)
        if not wrong:
            wrong = _add(found, number, row)
        bad += wrong
    if not found and not bad:
        bad.append(BadRow(2, "file", "there is no row"))
    if bad:
        raise BadFiguresError(file, bad)
    return list(found.values())


def _wrong(number: int, row: dict[str, str | None]) -> list[BadRow]:
    """What is wrong with a row by itself."""
    bad = [BadRow(number, name, "it is empty") for name in NEEDED if row[name] is None]
    counts = {name: parse.count(row[name]) for name in _COUNTS}
    bad += [BadRow(number, name, "not a whole number of units") for name, units in counts.items() if units is parse.UNPARSED]
    keys = {"external_id": parse.key(row["external_id"]), "sku": parse.sku(row["sku"])}
    bad += [BadRow(number, name, "too long, or not all of it readable") for name, key in keys.items() if key is parse.UNPARSED]
    received, restocked = counts["received"], counts["restocked"]
    if isinstance(received, int) and isinstance(restocked, int) and restocked > received:
        bad.append(BadRow(number, "restocked", "more than received"))
    if row["status"] is not None and status_of(row["status"]) is None:
        bad.append(BadRow(number, "status", f"not a status of Airhouse's; it has {', '.join(word.title() for word in STATUSES)}"))
    bad += [
        BadRow(number, name, "not a date as 2026-03-09 or 2026-03-09T16:20:11Z")
        for name in DATES
        if parse.time(row.get(name)) is parse.UNPARSED
    ]
    return bad


def _add(found: dict[str, Figures], number: int, row: dict[str, str | None]) -> list[BadRow]:
    """Add a row that is right by itself to its return; what it contradicts there is wrong."""
    return_id, sku = row["external_id"] or "", row["sku"] or ""
    said = {name: row.get(name) for name in _OF_THE_RETURN}
    mine = found.setdefault(return_id, Figures(return_id, number, said))
    others = [name for name in _OF_THE_RETURN if said[name] != mine.said[name]]
    bad = [BadRow(number, name, f"return {return_id} has another in row {mine.row}") for name in others]
    if sku in mine.items:
        bad.append(BadRow(number, "sku", f"return {return_id} has this SKU in row {mine.rows[sku]} already"))
    mine.items[sku] = ItemWire(sku, row["expected"], row["received"], row["restocked"])
    mine.rows[sku] = number
    return bad


def as_receipts(figures: Sequence[Figures], rma_ids: dict[str, str]) -> ReceiptBatch:
    """Figures as receipts, as if Airhouse's API had told them. `rma_ids` are Airhouse's own ids, by return id, as far as they are known.

    A receipt is as of the latest date that its rows give, so that an older file does not overwrite a newer one.
    """
    return normalise([msgspec.json.encode(_wire(one, rma_ids.get(one.return_id))) for one in figures])


def _wire(figures: Figures, rma_id: str | None) -> ReturnWire:
    said = figures.said
    dates = [date for name in DATES if isinstance(date := parse.time(said[name]), datetime)]
    return ReturnWire(
        id=rma_id,
        external_id=figures.return_id,
        order_number=said["order_number"],
        status=said["status"],
        requested_at=said["request_date"],
        delivered_at=said["delivery_date"],
        received_at=said["received_date"],
        updated_at=max(dates).isoformat() if dates else None,
        items=list(figures.items.values()),
    )
