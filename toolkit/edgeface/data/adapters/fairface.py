"""FairFace: two CSV files, one a split, with ages in nine bins.

In: a folder with `fairface_label_train.csv`, `fairface_label_val.csv` or both, and the pictures in
`train/` and `val/`; or one of the two files. Kaggle's packing is read too: `train_labels.csv` and
`val_labels.csv`, all in a folder `FairFace/`. Out: a `Listing` with age intervals, gender and race,
split as FairFace is. The column `service_test` is not read.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from edgeface.data.adapters.csv_file import Table, open_table
from edgeface.data.adapters.listing import GENDER, folder_of, gather_tables, make_listing
from edgeface.data.adapters.paths import (
    image_files,
    is_folder,
    present,
    printable,
    shown,
)
from edgeface.data.adapters.values import MISSING, parse_gender
from edgeface.data.labels import MAX_AGE_YEARS, AgeInterval, Attribute, Entry, Listing
from edgeface.errors import DataError

NAME = "fairface"
RACE = Attribute(
    name="race",
    classes=(
        "White",
        "Black",
        "Latino_Hispanic",
        "East Asian",
        "Southeast Asian",
        "Indian",
        "Middle Eastern",
    ),
)
"""Source: the order of FairFace's own model (predict.py in its repository)."""

FILES = {
    "fairface_label_train.csv": "train",
    "fairface_label_val.csv": "validation",
    "train_labels.csv": "train",
    "val_labels.csv": "validation",
}
"""Names of the tables, with the split that each stands for. Source: the makers' own; Kaggle's
aibloy/fairface. The latter might be any set's, and are taken only with FairFace's columns."""

_PACKINGS = tuple(
    tuple(folder + name for name in pair)
    for folder in ("", "FairFace/")
    for pair in (tuple(FILES)[:2], tuple(FILES)[2:])
)

_COLUMNS = ("file", "age", "gender", "race")
# Source: FairFace, its nine bins; "70+" is how its own predict.py spells the last.
_BINS = {
    "0-2": (0, 2),
    "3-9": (3, 9),
    "10-19": (10, 19),
    "20-29": (20, 29),
    "30-39": (30, 39),
    "40-49": (40, 49),
    "50-59": (50, 59),
    "60-69": (60, 69),
    "more than 70": (70, MAX_AGE_YEARS),
    "70+": (70, MAX_AGE_YEARS),
}
# A spreadsheet turns a bin into a date where its two numbers can be a day and a month, or a month
# and a year. Of the nine bins that is so of two only (0 is no day, and 20 and above no month), so
# reading back is certain. 3-9 is the 3rd of September or the 9th of March, by the country; 10-19
# is the 19th of October or October 2019. "10-Oct" has the bin's first number for both: only one
# bin has a 10. Written as d-mmm, dd-mmm, mmm-d or mmm-dd, in any case. Whole dates (2019-10-01)
# and other days of these months are refused: they say nothing certain.
_DATES = {
    (3, 9): ("3-sep", "03-sep", "sep-3", "sep-03", "9-mar", "09-mar", "mar-9", "mar-09"),
    (10, 19): ("19-oct", "oct-19", "10-oct", "oct-10"),
}
_AGES = _BINS | {date: years for years, dates in _DATES.items() for date in dates}


def list_fairface(root: Path) -> Listing:
    """List FairFace.

    Args:
        root: the folder, or one of the two CSV files in it.

    Returns:
        Entries with the splits "train" and "validation". Pictures of the folder that no CSV
        mentions are left out with that reason (not where `root` is a file).

    Raises:
        DataError: no such CSV, one that cannot be read or lacks a column, or no row that can be
            used.
    """
    names = signs(root)
    if not names:
        where = printable(str(root))
        own = " or ".join(_PACKINGS[0])
        raise DataError(f"{where}: not a FairFace set, expected {own} there")
    folder = folder_of(root)
    tables = [(_open(folder, name), "file") for name in names]
    return make_listing(
        NAME,
        root,
        (GENDER, RACE),
        gather_tables(root, tables, _entry),
        image_files(folder),
    )


def signs(root: Path) -> list[str]:
    """Give the names of FairFace's tables that are there, all of one packing."""
    packings = _PACKINGS if is_folder(root) else ((root.name,),) if root.name in FILES else ()
    for names in packings:
        found = [
            name
            for name in present(folder_of(root), names)
            if name in _PACKINGS[0] or _has_columns(folder_of(root), name)
        ]
        if found:
            return found
    return []


def parse_bin(text: str) -> AgeInterval | None:
    """Read one of the nine bins, also where a spreadsheet has made a date of it.

    Raises:
        DataError: not a bin.
    """
    if text.casefold() in MISSING:
        return None
    years = _AGES.get(text.casefold())
    if years is None:
        raise DataError(f"age {shown(text)}, expected one of {', '.join(_BINS)}")
    return AgeInterval(low_years=years[0], high_years=years[1])


def _has_columns(folder: Path, name: str) -> bool:
    try:
        _open(folder, name)
    except DataError:  # not ours; who reads it as another format is told why it cannot be read
        return False
    return True


def _open(folder: Path, name: str) -> Table:
    table = open_table(folder, name)
    missing = [column for column in _COLUMNS if column not in table.columns]
    if missing:
        raise DataError(
            f"{printable(str(table.path))}: columns {', '.join(missing)} are missing, "
            f"found {shown(', '.join(table.columns))}"
        )
    return table


def _entry(table: Table, name: str, cells: dict[str, str]) -> Entry:
    classes = {}
    gender = parse_gender(cells["gender"])
    if gender is not None:
        classes[GENDER.name] = gender
    if cells["race"].casefold() not in MISSING:
        if cells["race"] not in RACE.classes:
            raise DataError(
                f"race {shown(cells['race'])}, expected one of {', '.join(RACE.classes)}"
            )
        classes[RACE.name] = RACE.classes.index(cells["race"])
    split = FILES[PurePosixPath(table.name).name]
    return Entry(id=name, age=parse_bin(cells["age"]), classes=classes, split=split)
