"""UTKFace: all labels are in the file names, `<age>_<gender>_<race>_<date>.jpg`.

In: a folder (the parts may lie in subfolders). Out: a `Listing` with exact ages, gender and race.
The set has no splits of its own.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from edgeface.data.adapters.listing import GENDER, gather, make_listing
from edgeface.data.adapters.paths import picture_names
from edgeface.data.labels import MAX_AGE_YEARS, AgeInterval, Attribute, Entry, Listing
from edgeface.errors import DataError

NAME = "utkface"
RACE = Attribute(name="race", classes=("White", "Black", "Asian", "Indian", "Others"))
"""Source: UTKFace's own page, in the order of its numbers 0 to 4."""

# Anchored on all four fields: a naive split on "_" reads the date as race where race is missing.
# Source: UTKFace; age 0 to 116, gender 0 or 1, race 0 to 4, date and time in digits.
_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_(?P<date>\d{8,}).*")


def list_utkface(root: Path) -> Listing:
    """List a folder of UTKFace names.

    Raises:
        DataError: no such folder, one that cannot be listed, or no name with every label.
    """
    names, left_out = picture_names(root)
    entries, unnamed = gather([(name, name) for name in names], _entry)
    return make_listing(NAME, root, (GENDER, RACE), (entries, left_out + unnamed))


def signs(root: Path) -> list[str]:
    """Say what in a folder looks like UTKFace: more than half of its pictures have such names.

    Raises:
        DataError: no such folder, or one that cannot be listed.
    """
    names, _ = picture_names(root)
    good, bad = gather([(name, name) for name in names], _entry)
    return [f"{len(good)} UTKFace names"] if len(good) > len(bad) else []


def parse_name(name: str) -> tuple[int, int, int]:
    """Age in years, gender (0 male, 1 female) and race (0 to 4) from a file name.

    Raises:
        DataError: the name has another form, or an age over 120.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise DataError("name is not <age>_<gender 0|1>_<race 0-4>_<date>.jpg")
    age = int(match["age"])
    if age > MAX_AGE_YEARS:
        raise DataError(f"age {age} in the name, expected 0 to {MAX_AGE_YEARS}")
    return age, int(match["gender"]), int(match["race"])


def _entry(name: str) -> Entry:
    age_years, gender, race = parse_name(PurePosixPath(name).name)
    return Entry(
        id=name,
        age=AgeInterval(low_years=age_years, high_years=age_years),
        classes={GENDER.name: gender, RACE.name: race},
    )
