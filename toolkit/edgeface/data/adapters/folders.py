"""A folder per class.

In: a folder whose folders are named for the classes; or for the splits, with the classes in them.
Out: a `Listing` with one attribute.
"""

from __future__ import annotations

from pathlib import Path

from edgeface.data.adapters.listing import GENDER, make_listing
from edgeface.data.adapters.paths import picture_names, printable, shown
from edgeface.data.adapters.values import split_named
from edgeface.data.labels import Attribute, Entry, Listing
from edgeface.errors import DataError

NAME = "folders"
DEFAULT_ATTRIBUTE = "class"


def list_folders(root: Path, attribute: str | None = None) -> Listing:
    """List a folder per class.

    Where all folders are named for splits (train, val, test and the like), they are the set's
    splits, and the classes are the folders in them. Deeper folders belong to their class.

    Args:
        root: of the set.
        attribute: what the classes are of; without it "class". Two classes male and female, in
            any case, have edgeface's order (male 0, female 1), and without a name are "gender".

    Raises:
        DataError: no such folder, fewer than two classes, folders of splits beside folders of
            classes, or an attribute "gender" whose classes are not male and female.
    """
    names, left_out = picture_names(root)
    depth = 1 if _has_splits(root, names) else 0
    faults = {name: _fault(name, depth) for name in names}
    usable = [name for name in names if not faults[name]]
    folders = sorted({name.split("/")[depth] for name in usable})
    if len(folders) < 2:
        raise DataError(
            f"{printable(str(root))}: pictures in {len(folders)} folders, expected a folder per "
            "class, two or more"
        )
    kind = _attribute(root, folders, attribute)
    # folders are in order, and male comes after female
    number = {folder: i for i, folder in enumerate(folders)}
    if kind.classes == GENDER.classes:
        number = {folder: GENDER.classes.index(folder.casefold()) for folder in folders}
    entries = [
        Entry(
            id=name,
            classes={kind.name: number[name.split("/")[depth]]},
            split=split_named(name.split("/")[0]) if depth else None,
        )
        for name in usable
    ]
    left_out += [(name, fault) for name, fault in faults.items() if fault]
    return make_listing(NAME, root, (kind,), (entries, left_out))


def signs(root: Path) -> list[str]:
    """Say what in a folder looks like a folder per class: two or more with pictures.

    Raises:
        DataError: no such folder, or one that cannot be listed.
    """
    names, _ = picture_names(root)
    folders = {name.split("/")[0] for name in names if not _fault(name, 0)}
    return [f"{len(folders)} folders of pictures"] if len(folders) > 1 else []


def _has_splits(root: Path, names: list[str]) -> bool:
    folders = sorted({name.split("/")[0] for name in names if not _fault(name, 0)})
    splits = [folder for folder in folders if split_named(folder)]
    if splits and len(splits) < len(folders):
        other = next(folder for folder in folders if folder not in splits)
        raise DataError(
            f"{printable(str(root))}: {shown(splits[0])} is named for a split and {shown(other)} "
            "is not; give a folder that has only splits or only classes in it"
        )
    return bool(splits)


def _fault(name: str, depth: int) -> str:
    parts = name.split("/")
    if len(parts) < depth + 2:
        return "not in the folder of a class"
    # what tools leave behind (.ipynb_checkpoints, __MACOSX) would be learned as any other class
    hidden = next((p for p in parts[:-1] if p.startswith(".") or p == "__MACOSX"), "")
    return f"in the hidden folder {shown(hidden)}" if hidden else ""


def _attribute(root: Path, folders: list[str], name: str | None) -> Attribute:
    if len(folders) == 2 and {folder.casefold() for folder in folders} == set(GENDER.classes):
        return Attribute(name=name or GENDER.name, classes=GENDER.classes)
    if name == GENDER.name:
        found = shown(", ".join(folders))
        raise DataError(
            f"{printable(str(root))}: gender has the classes male and female, found {found}; "
            "rename the folders or name another attribute"
        )
    return Attribute(name=name or DEFAULT_ATTRIBUTE, classes=tuple(folders))
