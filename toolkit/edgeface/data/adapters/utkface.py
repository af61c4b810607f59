"""UTKFace: all labels are in the file names, `<age>_<gender>_<race>_<date>.jpg`.

In: a folder (the parts may lie in subfolders). Out: a `Listing` with exact ages, gender and race.
The set has no splits of its own.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from edgeface.data.adapters.listing import GENDER, gather, make_listing
from edgeface.data.adapters.paths import picture_names
from edgeface.data.labels import AgeInterval, Attribute, Entry, Listing
from edgeface.data.utkface import parse_name

NAME = "utkface"
RACE = Attribute(name="race", classes=("White", "Black", "Asian", "Indian", "Others"))
"""Source: UTKFace's own page, in the order of its numbers 0 to 4."""


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


def _entry(name: str) -> Entry:
    file = PurePosixPath(name).name
    age_years, gender = parse_name(file)
    race = int(file.split("_")[2])  # parse_name has made sure that the field is there
    return Entry(
        id=name,
        age=AgeInterval(low_years=age_years, high_years=age_years),
        classes={GENDER.name: gender, RACE.name: race},
    )
