"""`csv_file`: whatever is in a file, it is rows or one line that says why not, in little memory."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeface.data.adapters.csv_file import (
    MAX_RECORD_BYTES,
    cells_by_column,
    open_table,
    read_records,
    reread_cells,
    table_names,
)
from edgeface.errors import DataError


def refusal(tmp_path: Path, content: bytes, name: str = "t.csv") -> str:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as info:
        list(read_records(open_table(tmp_path, name)))
    assert "\n" not in str(info.value)
    return str(info.value).removeprefix(f"{tmp_path / name}: ")


# the writer does not quote a carriage return where lines end with a newline alone
cells = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=8
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(cells, cells, cells), max_size=5),
    delimiter=st.sampled_from(",;\t"),
    mark=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_writes_is_read(
    tmp_path: Path, rows: list[tuple[str, str, str]], delimiter: str, mark: bool, end: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerow(["path", "Age", "a, b; c"])
    writer.writerows(rows)
    content = text.getvalue().encode("utf-8-sig" if mark else "utf-8")
    (tmp_path / "t.csv").write_bytes(content)

    table = open_table(tmp_path, "t.csv")
    assert (table.delimiter, table.columns) == (delimiter, ("path", "Age", "a, b; c"))
    assert table.find("age") == "Age"
    assert table.find("none") is None
    records = list(read_records(table))
    assert [record.cells for record in records] == rows
    for record in records:
        again = reread_cells(table, record.start_byte, record.size_bytes)
        assert tuple(again.values()) == tuple(cell.strip() for cell in record.cells)
        assert again == cells_by_column(table, record.cells)
    if records:
        assert records[-1].start_byte + records[-1].size_bytes == len(content)


def test_rows_count_as_in_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('path,age\n\na.png,1\n"b\nc.png",2\n\n\nd.png,3')
    records = read_records(open_table(tmp_path, "t.csv"))
    assert [(record.row, record.cells[1]) for record in records] == [(3, "1"), (4, "2"), (7, "3")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty, expected a table"),
        (b"\xef\xbb\xbf", "no header in row 1 that can be read as CSV"),
        (b"\n\n", "no header in row 1 that can be read as CSV"),
        ("path,age\n".encode("utf-16"), "NUL bytes in the header, expected UTF-8; "),
        (b"p\xe4th,age\n", "the header is not UTF-8; save it again as 'CSV UTF-8'"),
        (
            b"path,Age,gender,age,PATH,\n",
            "columns stand twice: 'age', 'path'; rename or delete one of each",
        ),
        (b'"path,age\n1,2\n', "no header in row 1 that can be read as CSV"),
        (b'path,age\na.png,1\n"b.png,2\nc.png,3\n', "row 3: unexpected end of data"),
        (b'path,age\n"a"b.png,1\n', "row 2: ',' expected after '\"'"),
        (b"path,age\ra.png,1\r", "no header in row 1 that can be read as CSV"),
        (b"path\n" + b"x" * 131073, "row 2: field larger than field limit (131072)"),
        (
            b"path,age\n" + b"1," * MAX_RECORD_BYTES,
            f"the record at byte 9 is longer than {MAX_RECORD_BYTES} bytes; "
            "is a quote not closed, or is it no text?",
        ),
        (  # short lines, but one endless record
            b"path,age\n" + b'"1\n",' * (MAX_RECORD_BYTES // 5 + 1),
            f"the record at byte 9 is longer than {MAX_RECORD_BYTES} bytes; "
            "is a quote not closed, or is it no text?",
        ),
    ],
)
def test_a_broken_table_is_one_line(tmp_path: Path, content: bytes, expected: str) -> None:
    assert refusal(tmp_path, content).startswith(expected)


def test_a_line_of_200_mb_is_not_brought_into_memory(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = tmp_path / "t.csv"
    with path.open("wb") as file:
        file.write(b"path,age\n")
        file.truncate(200_000_000)  # a hole: NUL bytes that take no disk
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="the record at byte 9 is longer than"):
            list(read_records(open_table(tmp_path, "t.csv")))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * MAX_RECORD_BYTES
    assert csv.field_size_limit() == limit, "a setting of the whole process is left alone"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (b"a.png", "found 1 cells, expected 2"),
        (b"a.png,1,", "found 3 cells, expected 2"),
        (b"a\0.png,1", "NUL bytes in the row"),
        (b"a.png,\xff", "the row is not UTF-8: '\\udcff'"),
    ],
)
def test_a_broken_row_spoils_no_other(tmp_path: Path, row: bytes, expected: str) -> None:
    (tmp_path / "t.csv").write_bytes(b"path,age\n" + row + b"\nb.png, 2 \n")
    table = open_table(tmp_path, "t.csv")
    bad, good = read_records(table)
    with pytest.raises(DataError) as info:
        cells_by_column(table, bad.cells)
    assert str(info.value) == expected
    assert cells_by_column(table, good.cells) == {"path": "b.png", "age": "2"}


def test_a_table_that_changed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("path,age\na.png,1\nb.png,2\n")
    table = open_table(tmp_path, "t.csv")
    _, last = read_records(table)
    path.write_text("path,age\na.png,1\n")
    with pytest.raises(DataError, match="not the row that was listed; the file has changed since"):
        reread_cells(table, last.start_byte, last.size_bytes)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read: No such file or directory"):
        reread_cells(table, last.start_byte, last.size_bytes)
    with pytest.raises(DataError, match="cannot be read: No such file or directory"):
        list(read_records(table))


def test_tables_are_found_by_suffix_in_order(tmp_path: Path) -> None:
    for name in ("b.csv", "a.TSV", "c.txt", "d\n.csv"):
        (tmp_path / name).write_text("x")
    assert table_names(tmp_path) == ["a.TSV", "b.csv"]
    with pytest.raises(DataError, match="cannot be listed: No such file or directory"):
        table_names(tmp_path / "none")
