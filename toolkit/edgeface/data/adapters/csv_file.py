"""Untrusted CSV files, a record at a time.

In: a path that `paths.locate` gave. Out: the header with its delimiter, and records with their row
number and place in the file. Memory stays bounded whatever the file holds: a line is read up to
`MAX_RECORD_BYTES` and no further. `csv.field_size_limit` is a setting of the whole process and is
not touched: at its default of 131,072 characters a field it is ample, and where other code has
lowered it, a longer field is refused with the module's own words.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgeface.data.adapters.paths import locate, name_fault, printable, shown
from edgeface.errors import DataError

MAX_RECORD_BYTES = 1 << 20
"""Longest record. Chosen: a hundred times the 9.4 kB of a FER2013 row, and little memory."""

DELIMITERS = (",", ";", "\t")
"""Source: RFC 4180; Excel writes semicolons where the comma is the decimal mark; TSV."""

TABLE_SUFFIXES = (".csv", ".tsv")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record of a table, quoted newlines included.

    Attributes:
        row: 1 for the header, as a spreadsheet counts; blank lines count.
        cells: as they stand; bytes that are not UTF-8 are surrogates.
        start_byte: where it begins in the file.
        size_bytes: with its line end.
    """

    row: int
    cells: tuple[str, ...]
    start_byte: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table whose header was read.

    Attributes:
        path: of the file.
        name: of the file below the root, as it stands in ids.
        delimiter: one of `DELIMITERS`.
        columns: names, stripped; in the file's spelling.
    """

    path: Path
    name: str
    delimiter: str
    columns: tuple[str, ...]

    def find(self, column: str) -> str | None:
        """Give a column's name as the file spells it; case does not matter."""
        return next((c for c in self.columns if c.casefold() == column.casefold()), None)


def open_table(root: Path, name: str) -> Table:
    """Read the header: of the delimiters, the one that gives most columns.

    Args:
        root: folder that the table must be in.
        name: of the table below it.

    Raises:
        DataError: missing, empty, a link out of the root, not UTF-8, NUL bytes, a broken quote, a
            header that is too long, or columns that stand twice (named).
    """
    try:
        path = locate(root, name)
    except DataError as err:
        raise DataError(f"{printable(str(root))}: {err}") from err
    headers = {delimiter: _header(path, delimiter) for delimiter in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda mark: len(headers[mark]))
    columns = headers[delimiter]
    if not columns:
        raise DataError(f"{printable(str(path))}: no header in row 1 that can be read as CSV")
    text = "".join(columns)
    if "\0" in text:
        raise DataError(
            f"{printable(str(path))}: NUL bytes in the header, expected UTF-8; "
            "save it again as 'CSV UTF-8'"
        )
    if name_fault(text) == "is not UTF-8":
        raise DataError(
            f"{printable(str(path))}: the header is not UTF-8; save it again as 'CSV UTF-8'"
        )
    counts = Counter(column.casefold() for column in columns if column)
    double = sorted(column for column, count in counts.items() if count > 1)
    if double:
        raise DataError(
            f"{printable(str(path))}: columns stand twice: {', '.join(map(shown, double))}; "
            "rename or delete one of each"
        )
    return Table(path=path, name=name, delimiter=delimiter, columns=columns)


def read_records(table: Table) -> Iterator[Record]:
    """Give the records after the header; blank lines are passed over.

    Raises:
        DataError: (while iterating) the file is unreadable, a record is too long, or a quote is
            broken: what follows it could not be told into rows any more.
    """
    for record in _records(table.path, table.delimiter):
        if record.row > 1 and record.cells:
            yield record


def reread_cells(table: Table, start_byte: int, size_bytes: int) -> dict[str, str]:
    """Read one record again from its place in the file.

    Raises:
        DataError: as `cells_by_column`, or there is no one whole record there any more.
    """
    try:
        with table.path.open("rb") as file:
            file.seek(start_byte)
            content = file.read(size_bytes)
        lines = [decoded(content)] if len(content) == size_bytes else []
        (cells,) = csv.reader(lines, delimiter=table.delimiter, strict=True)
    except OSError as err:
        raise DataError(f"cannot be read: {err.strerror}") from err
    except (csv.Error, ValueError) as err:
        raise DataError("not the row that was listed; the file has changed since") from err
    return cells_by_column(table, cells)


def cells_by_column(table: Table, cells: Sequence[str]) -> dict[str, str]:
    """Give the stripped cells of one record by column.

    Raises:
        DataError: too few or too many cells, NUL bytes, or bytes that are not UTF-8.
    """
    if len(cells) != len(table.columns):
        raise DataError(f"found {len(cells)} cells, expected {len(table.columns)}")
    for cell in cells:
        if "\0" in cell:
            raise DataError("NUL bytes in the row")
        if not cell.isascii() and name_fault(cell) == "is not UTF-8":
            raise DataError(f"the row is not UTF-8: {shown(cell)}")
    return {column: cell.strip() for column, cell in zip(table.columns, cells, strict=True)}


def table_names(root: Path) -> list[str]:
    """Find the tables directly in a folder, by suffix, in order.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        names = [item.name for item in root.iterdir()]
    except OSError as err:
        raise DataError(f"{printable(str(root))}: cannot be listed: {err.strerror}") from err
    return sorted(
        name
        for name in names
        if Path(name).suffix.lower() in TABLE_SUFFIXES and not name_fault(name)
    )


def _header(path: Path, delimiter: str) -> tuple[str, ...]:
    records = _records(path, delimiter)
    try:
        first = next(records, None)
    except _BrokenQuoteError:
        return ()  # with another delimiter the quotes may be whole
    finally:
        records.close()
    if first is None:
        raise DataError(f"{printable(str(path))}: the file is empty, expected a table")
    return tuple(cell.strip() for cell in first.cells)


class _BrokenQuoteError(DataError):
    """What the csv module refuses."""


def bounded_lines(
    file: BinaryIO, path: Path, record_start: Callable[[], int] | None = None
) -> Iterator[str]:
    """Give the lines of a text file without ever holding more than `MAX_RECORD_BYTES` of it.

    Args:
        file: of the path, at its start.
        path: for messages.
        record_start: byte where the record began that is being read, if records may have several
            lines; without it, each line is held against the limit by itself.

    Returns:
        Lines with their ends, without a byte order mark; bytes that are not UTF-8 are surrogates.

    Raises:
        DataError: a record is too long.
    """
    start = file.tell()
    while line := file.readline(MAX_RECORD_BYTES + 1):
        if record_start is not None:
            start = record_start()
        if file.tell() - start > MAX_RECORD_BYTES:
            raise DataError(
                f"{printable(str(path))}: the record at byte {start} is longer than "
                f"{MAX_RECORD_BYTES} bytes; is a quote not closed, or is it no text?"
            )
        yield decoded(line)
        start = file.tell()


def decoded(line: bytes) -> str:
    """Decode UTF-8; a mark at the start is dropped, and bytes that are not UTF-8 are surrogates."""
    return line.removeprefix(_BOM).decode("utf-8", "surrogateescape")


def _records(path: Path, delimiter: str) -> Generator[Record, None, None]:
    row = start = 0
    try:
        with path.open("rb") as file:
            lines = bounded_lines(file, path, lambda: start)
            # strict: an open quote is an error, where else it would swallow the rows after it
            for row, cells in enumerate(csv.reader(lines, delimiter=delimiter, strict=True), 1):
                size = file.tell() - start
                yield Record(row=row, cells=tuple(cells), start_byte=start, size_bytes=size)
                start += size
    except OSError as err:
        raise DataError(f"{printable(str(path))}: cannot be read: {err.strerror}") from err
    except csv.Error as err:
        reason = " ".join(str(err).split())
        raise _BrokenQuoteError(f"{printable(str(path))}: row {row + 1}: {reason}") from err
