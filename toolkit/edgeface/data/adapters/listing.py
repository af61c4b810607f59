"""Rows that were read, one by one, to the `Listing` that every adapter gives.

In: rows of any type and the function that turns one into an `Entry`. Out: unique entries in order,
and what is left out in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from pathlib import Path, PurePosixPath
from typing import TypeVar

from edgeface.data.adapters.csv_file import Record, Table, cells_by_column, read_records
from edgeface.data.adapters.paths import (
    LeftOut,
    image_files,
    is_folder,
    locate,
    normal_name,
    picture_names,
    printable,
    shown,
)
from edgeface.data.labels import Attribute, Entry, Listing, Pictures
from edgeface.errors import DataError
from edgeface.types import GENDER_CLASSES

Row = TypeVar("Row")
Found = tuple[list[Entry], list[LeftOut]]
"""Entries and those left out, in any order."""

GENDER = Attribute(name="gender", classes=GENDER_CLASSES)


def gather(rows: Iterable[tuple[str, Row]], to_entry: Callable[[Row], Entry]) -> Found:
    """Turn rows into entries; a row that cannot be one is left out with its reason.

    An image that is listed twice is kept once where the rows agree; where they do not (also where
    they put it into different splits), it is left out, since nobody knows which row is right.

    Args:
        rows: (where, row); `where` is unique, e.g. `FILE.csv#ROW`, and names what is left out.
        to_entry: raises DataError with the reason.

    Returns:
        Entries with unique ids, and those left out.
    """
    first: dict[str, tuple[str, Entry]] = {}
    contradicted: dict[str, str] = {}
    left_out: list[LeftOut] = []
    for where, row in rows:
        try:
            entry = to_entry(row)
        except DataError as err:
            left_out.append((where, str(err)))
            continue
        if entry.id not in first:
            first[entry.id] = (where, entry)
            continue
        earlier, known = first[entry.id]
        agrees = "the same" if known == entry else "other"
        left_out.append((where, f"{shown(entry.id)} is in {earlier} already, with {agrees} labels"))
        if known != entry:
            contradicted.setdefault(entry.id, where)
    for name, later in contradicted.items():
        earlier, _ = first.pop(name)
        left_out.append((earlier, f"{shown(name)} is in {later} too, with other labels"))
    return [entry for _, entry in first.values()], left_out


def gather_tables(
    root: Path,
    tables: Sequence[tuple[Table, str]],
    to_entry: Callable[[Table, str, dict[str, str]], Entry],
) -> Found:
    """Turn the rows of tables that name pictures into entries.

    Args:
        root: folder of the set, whose pictures that no row names are left out with that reason;
            or one table of a set, which says nothing of pictures that it does not name.
        tables: each with the column that holds the paths, below the table's own folder.
        to_entry: gives an entry for (table, id, cells); raises DataError with the reason.

    Raises:
        DataError: a table cannot be read to its end.
    """
    folder = folder_of(root)
    named: set[str] = set()

    def rows() -> Iterator[tuple[str, tuple[Table, str, Record]]]:
        for table, column in tables:
            for record in read_records(table):
                yield f"{table.name}#{record.row}", (table, column, record)

    def entry(row: tuple[Table, str, Record]) -> Entry:
        table, column, record = row
        cells = cells_by_column(table, record.cells)
        name = (PurePosixPath(table.name).parent / normal_name(cells[column])).as_posix()
        named.add(name)
        locate(folder, name)
        return to_entry(table, name, cells)

    entries, left_out = gather(rows(), entry)
    if is_folder(root):
        left_out += unlisted(root, "", named, " or ".join(table.name for table, _ in tables))
    return entries, left_out


def unlisted(root: Path, below: str, named: Set[str], table: str) -> list[LeftOut]:
    """Give the pictures of a folder that no table names, so that they are not just gone.

    Args:
        root: of the set.
        below: folder in it that is searched, with a slash at its end; empty for all.
        named: ids that the tables name.
        table: what they are missing from, for the reason.
    """
    names, odd = picture_names(root / below)
    found = [(name, f"not in {table}") for name in names] + odd
    return [(below + name, reason) for name, reason in found if below + name not in named]


def folder_of(root: Path) -> Path:
    """Give the folder of a set that is named by its folder or by a table in it."""
    return root if is_folder(root) else root.parent


def make_listing(
    adapter: str,
    root: Path,
    attributes: tuple[Attribute, ...],
    found: Found,
    pictures: Pictures | None = None,
) -> Listing:
    """Put the parts into order.

    Args:
        adapter: the format's name.
        root: of the set.
        attributes: that entries may have.
        found: entries and those left out, in any order.
        pictures: of the entries; without them, entries are files below the root.

    Raises:
        DataError: there is no entry.
    """
    entries, left_out = found
    if not entries:
        where = printable(str(root))
        if not left_out:
            raise DataError(f"{where}: no images in it, expected a {adapter} set")
        name, reason = min(left_out)
        raise DataError(
            f"{where}: none of {len(left_out)} images can be used as {adapter}, "
            f"e.g. {name}: {reason}"
        )
    return Listing(
        adapter=adapter,
        root=root,
        attributes=attributes,
        entries=tuple(sorted(entries, key=lambda entry: entry.id)),
        left_out=tuple(sorted(left_out)),
        pictures=pictures or image_files(root),
    )
