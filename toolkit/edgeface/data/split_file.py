"""The user's own splits: which image belongs to which.

In: `--split` values: a CSV with the columns path and split, or `NAME=FILE` with a path a line.
Out: the split of each id.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgeface.data.adapters.csv_file import cells_by_column, open_table, read_records
from edgeface.data.adapters.paths import normal_name, printable, shown
from edgeface.data.adapters.table import path_column
from edgeface.data.adapters.values import parse_split, split_named
from edgeface.data.manifest import SPLITS, Split
from edgeface.errors import DataError


def read_splits(given: Sequence[str]) -> dict[str, Split]:
    """Read the user's own splits.

    Args:
        given: each the path of a CSV with a column for the path (see `table.PATH_COLUMNS`) and
            `split`; or `train=FILE`, `validation=FILE`, `test=FILE` with a path a line. Paths are
            ids: below the set's folder, with forward slashes.

    Returns:
        Split by id.

    Raises:
        DataError: a file that cannot be read, a path that cannot be an id, an unknown split, or
            an image that is given two splits.
    """
    splits: dict[str, Split] = {}
    for value in given:
        name, mark, file = value.partition("=")
        split = split_named(name) if mark else None
        lines = _listed(split, Path(file)) if split else _table(Path(value))
        for where, path, its in lines:
            try:
                id = normal_name(path)
            except DataError as err:
                raise DataError(f"{where}: {err}") from err
            if splits.setdefault(id, its) != its:
                raise DataError(
                    f"{where}: {shown(id)} is in {its}, and in {splits[id]} already; expected "
                    "one split an image"
                )
    return splits


def _listed(split: str, path: Path) -> list[tuple[str, str, Split]]:
    where = printable(str(path))
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"{where}: cannot be read ({err}); expected a path a line") from err
    lines = [line.strip() for line in text.split("\n")]
    return [
        (f"{where}, line {number}", line, _split(split, where))
        for number, line in enumerate(lines, start=1)
        if line
    ]


def _table(path: Path) -> list[tuple[str, str, Split]]:
    # a link that the user names is followed, a link in a set would not be
    real = Path(os.path.realpath(path))
    table = open_table(real.parent, real.name)
    where = printable(str(path))
    column, split = path_column(table), table.find("split")
    if split is None:
        raise DataError(
            f"{where}: no column split, found {shown(', '.join(table.columns))}; expected path "
            "and split, or give train=FILE, validation=FILE and test=FILE"
        )
    lines = []
    for record in read_records(table):
        at = f"{where}, row {record.row}"
        try:
            cells = cells_by_column(table, record.cells)
            value = parse_split(cells[split])
        except DataError as err:
            raise DataError(f"{at}: {err}") from err
        if value is not None:  # an image without a split is left out
            lines.append((at, cells[column], _split(value, at)))
    return lines


def _split(name: str, where: str) -> Split:
    for split in SPLITS:
        if split == name:
            return split
    raise DataError(f"{where}: split {shown(name)}, expected {', '.join(SPLITS)}")
