"""What `doctor` works on: pictures with or without labels, and somebody's own predictions of them.

In: paths that the user named. Out: cases that are read one at a time, and values by picture name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.data.adapters.detect import list_dataset
from edgeface.data.adapters.paths import printable, shown
from edgeface.data.labels import AgeInterval, Attribute
from edgeface.data.manifest_file import SUFFIX, read_manifest
from edgeface.errors import DataError
from edgeface.runtime.preprocess import read_content, read_image
from edgeface.types import Contract, HeadSpec, Reporter

Answer = float | tuple[float, ...]
"""What is said of one face: a value; of a binary head the probability of its second class; of a
head of classes the probability of each, in its order."""

Theirs = Mapping[str, Mapping[str, Answer]]
"""File name of a picture to head name to answer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One picture.

    Attributes:
        name: of its file, without folders.
        read: gives uint8 [H, W, 3] RGB; raises `DataError`.
        classes: name of the class by attribute; one that is missing is not known.
        age_years: None where it is not known exactly.
    """

    name: str
    read: Callable[[], NDArray[np.uint8]]
    classes: Mapping[str, str] = field(default_factory=dict)
    age_years: int | None = None


def pictures_of(
    paths: Sequence[Path], names: Collection[str] | None, count: int
) -> tuple[Case, ...]:
    """Make cases of picture files, without labels.

    Args:
        paths: of the pictures.
        names: file names that are wanted; None for all.
        count: of cases, at most; spread evenly over the pictures.

    Raises:
        DataError: none is left.
    """
    cases = [Case(name=path.name, read=partial(read_image, path)) for path in paths]
    return _chosen(cases, names, count)


def labelled_pictures(
    data: Path, names: Collection[str] | None, count: int, reporter: Reporter
) -> tuple[Case, ...]:
    """Make cases of a labelled set; of a manifest, of its validation split.

    Args:
        data: manifest, folder or table.
        names: file names that are wanted; None for all.
        count: of cases, at most; spread evenly over the set.
        reporter: is told which pictures.

    Raises:
        DataError: the set cannot be read, or no picture is left.
    """
    if data.suffix.lower() == SUFFIX and not data.is_dir():
        cases = _of_manifest(data)
        reporter.say(f"{printable(str(data))}: validation split, {len(cases)} pictures")
    else:
        listing = list_dataset(data)
        cases = [
            _case(
                each.id,
                each.age,
                _named(each.classes, listing.attributes),
                partial(listing.read, each),
            )
            for each in listing.entries
        ]
    return _chosen(cases, names, count)


def read_theirs(path: Path, contract: Contract) -> dict[str, dict[str, Answer]]:
    """Read predictions in the form that `edgeface predict --json` prints.

    Of each line the first face counts, because faces are sorted by size. Lines with an error and
    lines without a face are left out, and so are values of heads that the model does not have.

    Args:
        path: of the file, one JSON object a line.
        contract: of the model; a face needs the answer of one head at least. That of a binary head
            is its "p_<class>", of a head of classes its "p_<head>" with a number for each class, of
            others that of its own name.

    Returns:
        File name to head name to answer.

    Raises:
        DataError: the file cannot be read; a line is not of that form; two lines are of pictures
            with one name; or no face is left.
    """
    where = printable(str(path))
    try:
        lines = read_content(path).decode("utf-8").splitlines()
    except UnicodeDecodeError as err:
        raise DataError(f"{where}: not text ({err.reason}); give JSON lines") from err
    theirs: dict[str, dict[str, Answer]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, values = _parsed(line, f"{where}: line {number}", contract)
        if values is None:
            continue
        if name in theirs:
            raise DataError(
                f"{where}: line {number}: a second picture called {shown(name)}; pictures are "
                "told apart by their file names, so give one folder at a time"
            )
        theirs[name] = values
    if not theirs:
        raise DataError(f"{where}: holds no face; give what your pipeline says of these pictures")
    return theirs


def _parsed(line: str, where: str, contract: Contract) -> tuple[str, dict[str, Answer] | None]:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as err:
        raise DataError(f"{where}: not JSON ({err}); give an object a line") from err
    if not isinstance(record, dict) or not isinstance(record.get("image"), str):
        raise DataError(f'{where}: found no "image" with a path, expected one a line')
    name = PurePath(record["image"]).name
    faces = record.get("faces", [])
    if not isinstance(faces, list) or not all(isinstance(face, dict) for face in faces):
        raise DataError(f'{where}: "faces" is not a list of objects')
    if not faces:
        return name, None
    keys = {head.name: _key(head) for head in contract.heads}
    found = [head for head in contract.heads if keys[head.name] in faces[0]]
    if not found:
        raise DataError(f"{where}: the face has none of {', '.join(keys.values())}")
    return name, {
        head.name: _answer(faces[0][keys[head.name]], head, f"{where}: {keys[head.name]}")
        for head in found
    }


def _key(head: HeadSpec) -> str:
    of_kind = {
        "binary": f"p_{head.classes[-1]}" if head.classes else "",
        "classes": f"p_{head.name}",
    }
    return of_kind.get(head.kind, head.name)


def _answer(value: Any, head: HeadSpec, where: str) -> Answer:
    if head.kind != "classes":
        return _number(value, where)
    if not isinstance(value, dict) or set(value) != set(head.classes):
        raise DataError(f"{where} is not an object with a number for {', '.join(head.classes)}")
    return tuple(_number(value[name], f"{where}.{name}") for name in head.classes)


def _number(value: Any, where: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise DataError(f"{where} is {shown(str(value))}, expected a number")
    return float(value)


def _of_manifest(path: Path) -> list[Case]:
    manifest = read_manifest(path)
    listings = [
        list_dataset(Path(source.root), adapter=source.adapter)
        for source in manifest.sources
        if source.kind == "folder"
    ]
    if len(listings) < len(manifest.sources):
        raise DataError(
            f"{printable(str(path))}: of drawn faces, which are in no file; give pictures"
        )
    return [
        _case(
            row.id,
            row.age,
            _named(row.classes, manifest.sources[row.source].attributes),
            partial(listings[row.source].pictures.read, row.id),
        )
        for row in manifest.of_split("validation")
    ]


def _named(numbers: Mapping[str, int], attributes: Sequence[Attribute]) -> dict[str, str]:
    """Name classes: another set may number them otherwise than the model."""
    return {
        each.name: each.classes[numbers[each.name]] for each in attributes if each.name in numbers
    }


def _case(
    id: str,
    age: AgeInterval | None,
    classes: Mapping[str, str],
    read: Callable[[], NDArray[np.uint8]],
) -> Case:
    exact = age is not None and age.low_years == age.high_years
    return Case(
        name=PurePath(id).name,
        read=read,
        classes=classes,
        age_years=age.low_years if age is not None and exact else None,
    )


def _chosen(cases: Sequence[Case], names: Collection[str] | None, count: int) -> tuple[Case, ...]:
    wanted = [case for case in cases if names is None or case.name in names]
    if not wanted:
        reason = (
            "there is no picture" if names is None else "no picture has a name that --theirs names"
        )
        raise DataError(f"doctor: {reason}; give the pictures that the predictions are of")
    at = np.linspace(0, len(wanted) - 1, min(count, len(wanted))).round().astype(int)
    return tuple(wanted[i] for i in at)
