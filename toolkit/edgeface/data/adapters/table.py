"""Any table that names pictures: a CSV with the columns path, age, gender, split and any further.

In: a CSV (comma, semicolon or tab; UTF-8 with or without a mark) or the folder of one. Out: a
`Listing`. Empty cells are labels that are missing, so one model can learn from several sets.

Columns, in any case: `path` (else `file`, `image`, `filename` or `file_name`, the first that is
there), below the CSV's folder; `age` as `values.parse_age` reads it; `gender` as
`values.parse_gender`; `split` as `values.parse_split`; and whatever the user names as an attribute,
whose classes are its distinct values in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeface.data.adapters.csv_file import (
    TABLE_SUFFIXES,
    Table,
    cells_by_column,
    open_table,
    read_records,
    table_names,
)
from edgeface.data.adapters.listing import GENDER, folder_of, gather_tables, make_listing
from edgeface.data.adapters.paths import image_files, is_folder, printable, shown
from edgeface.data.adapters.values import parse_age, parse_gender, parse_split
from edgeface.data.labels import Attribute, Entry, Listing
from edgeface.errors import DataError

NAME = "table"
PATH_COLUMNS = ("path", "file", "image", "filename", "file_name")
MAX_CLASSES = 256
"""Most values that a column may have to be taken for classes. Chosen: far above any attribute of a
face, far below the rows of a set, so that a column of names or numbers is noticed."""


def list_table(root: Path, attributes: Sequence[str] = ()) -> Listing:
    """List the pictures that a table names.

    Args:
        root: the table, or a folder with one table in it that has the columns. With a folder,
            its pictures that the table does not name are left out with that reason.
        attributes: further columns to take for attributes. Classes are the values in the whole
            table, also of rows that are left out, so that a class keeps its number when some
            pictures are missing.

    Raises:
        DataError: no such table, several, one that cannot be read, an attribute that is no column
            or has fewer than 2 or more than `MAX_CLASSES` values, or no row that can be used.
    """
    fits, unfit = signs(root, attributes)
    where = printable(str(root))
    if len(fits) > 1:
        raise DataError(
            f"{where}: several tables fit, {' and '.join(fits)}; give the one to read instead "
            "of the folder"
        )
    if not fits:
        raise DataError("; ".join(unfit) or f"{where}: no {' or '.join(TABLE_SUFFIXES)} file there")
    folder = folder_of(root)
    table = open_table(folder, fits[0])
    further = [_attribute(table, name) for name in attributes]
    further = [attribute for attribute in further if attribute != GENDER]
    gendered = table.find("gender") is not None

    def entry(table: Table, name: str, cells: dict[str, str]) -> Entry:
        return _entry(table, name, cells, further)

    return make_listing(
        NAME,
        root,
        (*([GENDER] if gendered else []), *further),
        gather_tables(root, [(table, path_column(table))], entry),
        image_files(folder),
    )


def signs(root: Path, attributes: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """Tell the tables of a folder that name pictures and label them from those that do not.

    Args:
        root: a table or a folder.
        attributes: columns that count as labels beside age and gender.

    Returns:
        Names of the tables that do, and for the others the reason.
    """
    fits: list[str] = []
    unfit: list[str] = []
    for name in table_names(root) if is_folder(root) else [root.name]:
        try:
            table = open_table(folder_of(root), name)
            path_column(table)
            if not any(table.find(label) for label in ("age", "gender", *attributes)):
                raise DataError(
                    f"{printable(str(table.path))}: no label column, expected age, gender or an "
                    f"attribute that you name, found {shown(', '.join(table.columns))}"
                )
        except DataError as err:
            unfit.append(str(err))
        else:
            fits.append(name)
    return fits, unfit


def path_column(table: Table) -> str:
    """Find the column that names the pictures, the first of `PATH_COLUMNS`.

    Raises:
        DataError: there is none.
    """
    found = (table.find(name) for name in PATH_COLUMNS)
    column = next((name for name in found if name is not None), None)
    if column is None:
        raise DataError(
            f"{printable(str(table.path))}: no column with paths, expected one of "
            f"{', '.join(PATH_COLUMNS)}, found {shown(', '.join(table.columns))}"
        )
    return column


def _attribute(table: Table, name: str) -> Attribute:
    where = printable(str(table.path))
    column = table.find(name)
    if column is None or not column:
        raise DataError(
            f"{where}: no column {shown(name)}, found {shown(', '.join(table.columns))}"
        )
    if column.casefold() == GENDER.name:
        return GENDER
    if column.casefold() in ("age", "split") or column == path_column(table):
        raise DataError(f"{where}: column {shown(column)} is no attribute; name another")
    values: set[str] = set()
    for record in read_records(table):
        try:
            value = cells_by_column(table, record.cells)[column]
        except DataError:  # the row is left out, with this reason, when it is read as an entry
            continue
        if value:
            values.add(value)
        if len(values) > MAX_CLASSES:
            break
    if not 2 <= len(values) <= MAX_CLASSES:
        count = f"more than {MAX_CLASSES}" if len(values) > MAX_CLASSES else len(values)
        raise DataError(
            f"{where}: column {shown(column)} has {count} distinct values, expected 2 to "
            f"{MAX_CLASSES}"
        )
    return Attribute(name=column, classes=tuple(sorted(values)))


def _entry(
    table: Table, name: str, cells: dict[str, str], attributes: Sequence[Attribute]
) -> Entry:
    def cell(column: str) -> str:
        found = table.find(column)
        return cells[found] if found is not None else ""

    classes = {
        attribute.name: attribute.classes.index(cells[attribute.name])
        for attribute in attributes
        if cells[attribute.name]
    }
    gender = parse_gender(cell(GENDER.name))
    if gender is not None:
        classes[GENDER.name] = gender
    return Entry(
        id=name, age=parse_age(cell("age")), classes=classes, split=parse_split(cell("split"))
    )
