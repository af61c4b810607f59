"""CelebA: 40 yes-or-no attributes of an aligned picture, and the official splits.

In: a folder with `list_attr_celeba.txt` (or Kaggle's `.csv`), `list_eval_partition.txt` (or
`.csv`) and the pictures in `img_align_celeba/` or beside them; also as the authors pack it, in
`Anno/`, `Eval/` and `Img/`. Out: a `Listing` with gender (from "Male") and the attributes asked
for, each with the classes no and yes. CelebA knows no ages.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeface.data.adapters.csv_file import bounded_lines, open_table, read_records
from edgeface.data.adapters.listing import GENDER, gather, make_listing, unlisted
from edgeface.data.adapters.paths import (
    check_folder,
    is_folder,
    locate,
    locate_folder,
    normal_name,
    present,
    printable,
    shown,
)
from edgeface.data.labels import Attribute, Entry, Listing
from edgeface.errors import DataError

NAME = "celeba"
# In order of preference. Source: CelebA's own packing (Anno, Eval, Img), torchvision's (all in one
# folder), and Kaggle's jessicali9530/celeba-dataset (CSV, and the image folder twice).
_ATTRIBUTE_FILES = (
    "list_attr_celeba.txt",
    "Anno/list_attr_celeba.txt",
    "list_attr_celeba.csv",
)
_PARTITION_FILES = (
    "list_eval_partition.txt",
    "Eval/list_eval_partition.txt",
    "list_eval_partition.csv",
)
_IMAGE_FOLDERS = (
    "img_align_celeba/img_align_celeba/",
    "img_align_celeba/",
    "Img/img_align_celeba/",
)
_SPLITS = {"0": "train", "1": "validation", "2": "test"}
_VALUES = {"-1": 0, "1": 1}
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_CLASSES = ("no", "yes")
_MALE = "Male"

Rows = Iterator[tuple[str, Sequence[str]]]
"""(where, cells with the image's name first)."""


def list_celeba(root: Path, attributes: Sequence[str] = ()) -> Listing:
    """List CelebA.

    Args:
        root: the folder.
        attributes: which of the 40 to give beside gender, e.g. "Smiling" (all of them would be
            400 MB of entries).

    Returns:
        Entries without ages. Without a partition file they have no split. Pictures that the
        attribute file does not name are left out with that reason.

    Raises:
        DataError: a file is missing or broken, an attribute is not one of the set's, or no image
            can be used.
    """
    check_folder(root)
    where = printable(str(root))
    names = signs(root)
    if not names:
        raise DataError(f"{where}: not a CelebA set, expected {' or '.join(_ATTRIBUTE_FILES)}")
    columns, rows = _open(root, names[0])
    wanted = {
        name: _column(f"{where}/{names[0]}", columns, name)
        for name in attributes
        if name != GENDER.name
    }
    male = _column(f"{where}/{names[0]}", columns, _MALE)
    splits = _splits(root)
    below = _image_folder(root)
    named: set[str] = set()

    def entry(cells: Sequence[str]) -> Entry:
        if len(cells) != len(columns) + 1:
            raise DataError(f"found {len(cells) - 1} values, expected {len(columns)}")
        name = below + normal_name(cells[0])
        named.add(name)
        classes = {GENDER.name: 1 - _value(columns[male], cells[1 + male])}
        classes |= {name: _value(name, cells[1 + i]) for name, i in wanted.items()}
        locate(root, name)
        return Entry(id=name, classes=classes, split=_split(splits, cells[0]))

    entries, left_out = gather(rows, entry)
    left_out += unlisted(root, below, named, names[0])
    given = (GENDER, *(Attribute(name=name, classes=_CLASSES) for name in wanted))
    return make_listing(NAME, root, given, (entries, left_out))


def signs(root: Path) -> list[str]:
    """Give the attribute file that would be read, if there is one."""
    return present(root, _ATTRIBUTE_FILES)[:1]


def _open(root: Path, name: str) -> tuple[tuple[str, ...], Rows]:
    if name.endswith(".csv"):
        columns, rows = _csv_rows(root, name)
        return columns[1:], rows
    lines = _text_rows(root, name)
    announced = next(lines, ("", ("",)))[1]
    columns = tuple(next(lines, ("", ()))[1])
    if len(announced) != 1 or not _COUNT.fullmatch(announced[0]) or not columns:
        raise DataError(
            f"{printable(str(root / name))}: lines 1 and 2 are not a count of images and the names "
            "of the attributes; download it again"
        )
    return columns, _counted(lines, int(announced[0]), printable(str(root / name)))


def _csv_rows(root: Path, name: str) -> tuple[tuple[str, ...], Rows]:
    table = open_table(root, name)
    rows = (
        (f"{name}#{record.row}", [cell.strip() for cell in record.cells])
        for record in read_records(table)
    )
    return table.columns, rows


def _text_rows(root: Path, name: str) -> Rows:
    try:
        path = locate(root, name)
    except DataError as err:
        raise DataError(f"{printable(str(root))}: {err}") from err
    try:
        with path.open("rb") as file:
            for row, line in enumerate(bounded_lines(file, path), 1):
                words = line.split()
                if words:
                    yield f"{name}#{row}", words
    except OSError as err:
        raise DataError(f"{printable(str(path))}: cannot be read: {err.strerror}") from err


def _counted(rows: Rows, announced: int, where: str) -> Rows:
    found = 0
    for row in rows:
        found += 1
        yield row
    if found != announced:
        raise DataError(
            f"{where}: line 1 announces {announced} images, found {found}; download it again"
        )


def _column(where: str, columns: Sequence[str], name: str) -> int:
    if name in columns:
        return columns.index(name)
    near = difflib.get_close_matches(name, columns, n=3, cutoff=0.4) or columns
    raise DataError(f"{where}: no attribute {shown(name)}, expected e.g. {shown(', '.join(near))}")


def _value(column: str, text: str) -> int:
    if text not in _VALUES:
        raise DataError(f"{column} {shown(text)}, expected -1 or 1")
    return _VALUES[text]


def _splits(root: Path) -> dict[str, str] | None:
    found = present(root, _PARTITION_FILES)
    if not found:
        return None
    name = found[0]
    rows = _csv_rows(root, name)[1] if name.endswith(".csv") else _text_rows(root, name)
    splits: dict[str, str] = {}
    for where, cells in rows:
        if len(cells) != 2 or cells[1] not in _SPLITS or cells[0] in splits:
            raise DataError(
                f"{printable(str(root))}: {where}: found {shown(' '.join(cells))}, expected an "
                "image, once, and 0, 1 or 2; download it again"
            )
        splits[cells[0]] = _SPLITS[cells[1]]
    return splits


def _split(splits: dict[str, str] | None, image: str) -> str | None:
    if splits is None:
        return None
    if image not in splits:
        raise DataError(f"{shown(image)} is in no split of the partition file")
    return splits[image]


def _image_folder(root: Path) -> str:
    for name in _IMAGE_FOLDERS:
        if is_folder(root / name):
            try:
                locate_folder(root, name)
            except DataError as err:
                raise DataError(f"{printable(str(root))}: {err}") from err
            return name
    return ""
