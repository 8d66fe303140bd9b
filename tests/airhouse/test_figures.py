"""The dashboard's figures, keyed into a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from backhaul.connectors.airhouse.figures import BadFiguresError, Figures, as_receipts, read_figures
from tests.airhouse.conftest import HEADER, payload, receipt, units

ROW = "52393555,#10021,TEE-NVY-M,2,2,1,Processed,2026-03-02,2026-03-07,2026-03-09"


def read(folder: Path, *lines: str, encoding: str = "utf-8", name: str = "figures.csv") -> list[Figures]:
    file = folder / name
    file.write_text("\n".join([*lines, ""]), encoding=encoding)
    return read_figures(file)


def complaints(folder: Path, *lines: str, **how: str) -> list[str]:
    with pytest.raises(BadFiguresError) as caught:
        read(folder, *lines, **how)
    return [str(bad) for bad in caught.value.rows]


def test_the_documented_file_is_read(tmp_path: Path) -> None:
    documented = payload("manual_results_import")
    assert documented["csv_header"] == HEADER
    figures = read(tmp_path, HEADER, ",".join(map(str, documented["rows"][0])))
    batch = as_receipts(figures, {"loop-52393555": "ret_7Q2M"})
    row = receipt(batch)
    assert (row["rma_key"], row["rma_id"], row["rma_status"], row["manifest_id"]) == ("loop-52393555", "ret_7Q2M", "processed", "#10021")
    assert row["as_of"] == row["received_at"] == datetime(2026, 3, 9, tzinfo=UTC)
    assert row["delivered_at"] == datetime(2026, 3, 7, tzinfo=UTC)
    assert units(batch) == [("TEE-NVY-M", "available", 1), ("TEE-NVY-M", "damaged", 1)]


def test_rows_of_a_return_are_one_receipt_wherever_they_stand(tmp_path: Path) -> None:
    lines = ["1,#1,A,1,1,1,Processed,,,", "2,#2,A,1,0,0,Delivered,,,", "1,#1,B,0,1,1,Processed,,,"]
    batch = as_receipts(read(tmp_path, HEADER, *lines), {})
    assert list(batch.receipts["rma_key"]) == ["1", "2"] and list(batch.receipts["is_terminal"]) == [True, False]
    assert units(batch) == [("A", "available", 1), ("B", "available", 1)] and list(batch.lines["is_expected"]) == [True, False]


@pytest.mark.parametrize("separator", [",", ";"])
def test_columns_may_stand_in_any_order_and_case_after_a_byte_order_mark(tmp_path: Path, separator: str) -> None:
    lines = ["STATUS,Restocked, received ,Expected,SKU,External ID,colour", "processed,1,2,2,TEE,1,navy", "", ",,,,,,"]
    (figures,) = read(tmp_path, *(line.replace(",", separator) for line in lines), encoding="utf-8-sig")
    assert figures.return_id == "1" and figures.items["TEE"].received_quantity == "2" and figures.said["received_date"] is None


def test_each_bad_cell_has_its_own_line(tmp_path: Path) -> None:
    lines = [
        ROW,
        ",#1,A,1,1,1,Processed,,,",
        "2,#1,A,one,-1,,Gone,,,",
        "3,#1,A,1,1,2,Processed,,,tomorrow",
        "52393555,#10021,TEE-NVY-M,2,2,1,Processed,2026-03-02,2026-03-07,2026-03-09",
        "52393555,#10021,CAP,2,2,1,Delivered,2026-03-02,2026-03-07,2026-03-09",
        "4,#1,A,1,1,1,Processed,,,,more",
    ]
    found = complaints(tmp_path, HEADER, *lines)
    assert [line.partition(": ")[0] for line in found] == [
        "row 3, external_id",
        "row 4, restocked",
        "row 4, expected",
        "row 4, received",
        "row 4, status",
        "row 5, restocked",
        "row 5, received_date",
        "row 6, sku",
        "row 7, status",
        "row 8, row",
    ]
    assert "has this SKU in row 2 already" in found[7] and "has another in row 2" in found[8] and "more than received" in found[5]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["external_id,sku,expected,received,restocked", "1,A,1,1,1"], "row 1, status: the column is missing"),
        ([HEADER + ",SKU", ROW], "row 1, sku: the column is there twice"),
        ([HEADER], "row 2, file: there is no row"),
        ([HEADER, '1,#1,"A,1,1,1,Processed,,,'], "row 1, file: not CSV: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_table_of_figures_is_told(tmp_path: Path, lines: list[str], complaint: str) -> None:
    assert complaints(tmp_path, *lines) == [complaint]


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    assert complaints(tmp_path)[0] == "row 1, external_id: the column is missing"


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    assert complaints(tmp_path, HEADER, "1,#1,CAP-ÉTÉ,1,1,1,Processed,,,", encoding="latin-1") == [
        "row 1, file: not UTF-8; save it as CSV, UTF-8"
    ]


def test_a_spreadsheet_is_told(tmp_path: Path) -> None:
    assert "save the sheet as CSV" in complaints(tmp_path, HEADER, ROW, name="figures.xlsx")[0]


@pytest.mark.parametrize("bad", ["9" * 101, "5239\x003555", "5239\x1b3555"])
def test_a_key_that_cannot_be_one_is_a_bad_row(tmp_path: Path, bad: str) -> None:
    file = tmp_path / "figures.csv"
    file.write_text(f"external_id,sku,expected,received,restocked,status\n{bad},TEE,1,1,1,Processed\n", encoding="utf-8")
    with pytest.raises(BadFiguresError, match="row 2"):
        read_figures(file)


def test_a_file_of_thousands_of_wrong_rows_is_told_in_a_screen(tmp_path: Path) -> None:
    with pytest.raises(BadFiguresError) as caught:
        read(tmp_path, HEADER, *["1,#1,A,one,1,1,Processed,,,"] * 5_000)
    told = str(caught.value).splitlines()
    assert told[0] == "figures.csv: 5000 things to put right; nothing was imported"
    assert told[1] == "row 2, expected: not a whole number of units" and told[-1] == "… and 4970 more"
    assert len(told) == 32


def test_a_file_that_nobody_keyed_in_is_refused_before_it_is_read_whole() -> None:
    with pytest.raises(BadFiguresError, match="over 20 MB; split it"):
        read_figures(Path("/dev/zero"))
