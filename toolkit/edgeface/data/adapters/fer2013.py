"""FER2013: 48 x 48 grey faces with one of seven expressions, as folders or as a CSV of pixels.

In: a folder with `train/`, `test/` or `validation/` and a folder per expression in each; or a CSV
with the columns emotion, pixels and Usage (`fer2013.csv`, `icml_face_data.csv`), or its folder.
Out: a `Listing` of the one attribute "expression". Both forms have one order of classes, the CSV's
numbers 0 to 6; an alphabetic order of the folders would put neutral before sad.

The CSV is not held in memory: an entry remembers where its row is and reads it on demand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from edgeface.data.adapters.csv_file import (
    Record,
    Table,
    cells_by_column,
    open_table,
    read_records,
    reread_cells,
    table_names,
)
from edgeface.data.adapters.listing import folder_of, gather, make_listing
from edgeface.data.adapters.paths import is_folder, picture_names, printable, shown
from edgeface.data.adapters.values import MISSING
from edgeface.data.labels import Attribute, Entry, Listing, Pictures
from edgeface.errors import DataError

NAME = "fer2013"
EXPRESSION = Attribute(
    name="expression",
    classes=("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
)
"""Source: FER2013 (Goodfellow et al. 2013, arXiv 1307.0414), emotion 0 to 6 of its CSV."""

SIDE_PX = 48
_COLUMNS = ("emotion", "pixels", "Usage")
# Source: the ICML 2013 challenge validated on its public half and decided on its private one.
_USAGES = {"training": "train", "publictest": "validation", "privatetest": "test"}
_SPLIT_FOLDERS = ("train", "validation", "test")
_GREYS = {str(value): value for value in range(256)}


def list_fer2013(root: Path) -> Listing:
    """List FER2013 in either form.

    Args:
        root: the folder, or the CSV.

    Raises:
        DataError: neither form is there, or both; a CSV that cannot be read; or no image that can
            be used.
    """
    found = signs(root)
    where = printable(str(root))
    if not found:
        raise DataError(
            f"{where}: not a FER2013 set, expected train/ with a folder per expression, or a CSV "
            f"with the columns {', '.join(_COLUMNS)}"
        )
    if len(found) > 1:
        raise DataError(f"{where}: {' and '.join(found)} are there; give the CSV's path for it")
    if found[0].endswith("/"):
        return _list_folders(root)
    return _list_csv(root, open_table(folder_of(root), found[0]))


def signs(root: Path) -> list[str]:
    """Say what of FER2013 is there: names of CSV files, and "train/" with expressions in it."""
    found = []
    for name in table_names(root) if is_folder(root) else [root.name]:
        try:
            table = open_table(folder_of(root), name)
        except DataError:  # not ours; who reads it as another format is told why it cannot be read
            continue
        if all(table.find(column) for column in _COLUMNS):
            found.append(name)
    for split in _SPLIT_FOLDERS:
        present = sum(is_folder(root / split / name) for name in EXPRESSION.classes)
        if present > 1:  # two: one name alone may be any set's
            return [*found, f"{split}/"]
    return found


def _list_folders(root: Path) -> Listing:
    names, left_out = picture_names(root)
    entries, stray = gather([(name, name) for name in names], _folder_entry)
    return make_listing(NAME, root, (EXPRESSION,), (entries, left_out + stray))


def _folder_entry(name: str) -> Entry:
    parts = PurePosixPath(name).parts
    if len(parts) != 3 or parts[0] not in _SPLIT_FOLDERS or parts[1] not in EXPRESSION.classes:
        raise DataError(
            "not in the folder of a split and, in that, of one of the seven expressions"
        )
    return Entry(
        id=name, classes={EXPRESSION.name: EXPRESSION.classes.index(parts[1])}, split=parts[0]
    )


def _list_csv(root: Path, table: Table) -> Listing:
    places: dict[str, tuple[int, int]] = {}

    def rows() -> Iterator[tuple[str, Record]]:
        for record in read_records(table):
            yield f"{table.name}#{record.row}", record

    def entry(record: Record) -> Entry:
        cells = cells_by_column(table, record.cells)
        name = f"{table.name}#{record.row}"
        places[name] = (record.start_byte, record.size_bytes)
        return Entry(id=name, classes=_classes(table, cells), split=_split(table, cells))

    def content(id: str) -> bytes:
        if id not in places:
            raise DataError(f"{printable(str(table.path))}: no row {shown(id)}")
        try:
            return _cell(table, reread_cells(table, *places[id]), "pixels").encode()
        except DataError as err:
            raise DataError(f"{printable(str(root))}: {id}: {err}") from err

    def decode(id: str, content: bytes) -> NDArray[np.uint8]:
        try:
            return _pixels(content.decode())
        except DataError as err:
            raise DataError(f"{printable(str(root))}: {id}: {err}") from err

    return make_listing(
        NAME, root, (EXPRESSION,), gather(rows(), entry), Pictures(content=content, decode=decode)
    )


def _cell(table: Table, cells: dict[str, str], column: str) -> str:
    return cells[table.find(column) or column]


def _classes(table: Table, cells: dict[str, str]) -> dict[str, int]:
    emotion = _cell(table, cells, "emotion")
    if emotion.casefold() in MISSING:
        return {}
    numbers = {str(number): number for number in range(len(EXPRESSION.classes))}
    if emotion not in numbers:
        raise DataError(f"emotion {shown(emotion)}, expected 0 to {len(numbers) - 1}")
    return {EXPRESSION.name: numbers[emotion]}


def _split(table: Table, cells: dict[str, str]) -> str | None:
    usage = _cell(table, cells, "Usage")
    if usage.casefold() in MISSING:
        return None
    if usage.casefold() not in _USAGES:
        raise DataError(f"Usage {shown(usage)}, expected Training, PublicTest or PrivateTest")
    return _USAGES[usage.casefold()]


def _pixels(text: str) -> NDArray[np.uint8]:
    words = text.split()
    if len(words) != SIDE_PX * SIDE_PX:
        raise DataError(f"found {len(words)} pixels, expected {SIDE_PX * SIDE_PX}")
    try:
        grey = np.array([_GREYS[word] for word in words], np.uint8)
    except KeyError as err:
        raise DataError(f"found pixel {shown(err.args[0])}, expected 0 to 255") from err
    return np.repeat(grey.reshape(SIDE_PX, SIDE_PX, 1), 3, axis=2)
