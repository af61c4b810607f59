"""Any labelled face set: the format is found by what is there.

In: a folder or a table. Out: a `Listing` whose `adapter` says which format was taken.

Formats are tried in the order of `ORDER`, the most certain signs first: file names that only one
set has, then a table, then the names of the pictures, then a folder per class. The first step with
a sign is taken; if a step has two, the user must say which is meant.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgeface.data.adapters import celeba, fairface, fer2013, folders, table, utkface
from edgeface.data.adapters.paths import check_folder, printable, shown
from edgeface.data.labels import Listing
from edgeface.errors import DataError

ORDER = (("celeba", "fairface", "fer2013"), ("table",), ("utkface",), ("folders",))
"""Adapters by step."""

ADAPTERS = tuple(name for step in ORDER for name in step)

_LOOKED_FOR = (
    "list_attr_celeba.txt or .csv (celeba); fairface_label_train.csv or _val.csv (fairface); "
    "a CSV with emotion, pixels and Usage, or train/ with a folder per expression (fer2013); "
    "a CSV with path and age, gender or a named attribute (table); "
    "pictures named <age>_<gender>_<race>_<date> (utkface); a folder per class (folders)"
)


def list_dataset(
    root: Path, *, adapter: str | None = None, attribute: str | None = None
) -> Listing:
    """List a labelled face set.

    Args:
        root: a folder; or one table of fairface, fer2013 (CSV) or any other set.
        adapter: one of `ADAPTERS`, where the user knows; None to find it.
        attribute: of celeba and table, further columns to give, separated by commas; of folders,
            what the classes are of. The other formats have all of theirs anyway, and it must be
            one of them.

    Raises:
        DataError: nothing there, no format fits, two fit equally, or what the adapter refuses.
    """
    asked = tuple(name.strip() for name in attribute.split(",")) if attribute is not None else ()
    if not all(asked) or len(set(asked)) < len(asked):
        raise DataError(f"attribute {shown(attribute or '')}: a name is empty or stands twice")
    if adapter is not None and adapter not in ADAPTERS:
        raise DataError(f"adapter {shown(adapter)}, expected one of {', '.join(ADAPTERS)}")
    if not _is_table(root):
        check_folder(root)
    taken = adapter or _found(root, asked)
    listing = _listed(root, taken, asked)
    given = [one.name for one in listing.attributes]
    for name in asked:
        if name not in given and taken != "table":  # a table's columns may be spelled otherwise
            raise DataError(
                f"{printable(str(root))}: {taken} has no attribute {shown(name)}, expected "
                f"{' or '.join(given)}"
            )
    return listing


def _listed(root: Path, adapter: str, asked: Sequence[str]) -> Listing:
    if adapter == "celeba":
        return celeba.list_celeba(root, asked)
    if adapter == "table":
        return table.list_table(root, asked)
    if adapter == "folders":
        if len(asked) > 1:
            raise DataError(f"{printable(str(root))}: folders are classes of one attribute")
        return folders.list_folders(root, *asked)
    listers = {
        "fairface": fairface.list_fairface,
        "fer2013": fer2013.list_fer2013,
        "utkface": utkface.list_utkface,
    }
    return listers[adapter](root)


def _found(root: Path, asked: Sequence[str]) -> str:
    for step in ORDER:
        signs = [(name, sign) for name in step for sign in _signs(root, name, asked)]
        if len(signs) > 1:
            found = " and ".join(f"{sign} ({name})" for name, sign in signs)
            raise DataError(
                f"{printable(str(root))}: several formats fit equally: {found}; say which adapter "
                "to use, or give the one table instead of the folder"
            )
        if signs:
            return signs[0][0]
    unfit = table.signs(root, asked)[1]
    tables = f"; and of the tables there: {'; '.join(unfit)}" if unfit else ""
    raise DataError(
        f"{printable(str(root))}: no labelled face set found; looked for {_LOOKED_FOR}{tables}"
    )


def _signs(root: Path, adapter: str, asked: Sequence[str]) -> list[str]:
    if adapter == "table":
        return table.signs(root, asked)[0]
    if adapter == "fer2013":
        return fer2013.signs(root)
    if adapter == "fairface":  # both tables are one set
        return [" and ".join(names)] if (names := fairface.signs(root)) else []
    if _is_table(root):
        return []
    of_folder = {"celeba": celeba.signs, "utkface": utkface.signs, "folders": folders.signs}
    return of_folder[adapter](root)


def _is_table(root: Path) -> bool:
    return os.path.isfile(root)  # noqa: PTH113  # Path.is_file raises for names that are too long
