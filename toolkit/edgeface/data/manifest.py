"""The list of images with their labels, copies and splits, and of those left out, with the reason.

In: nothing. Out: the values that `prepare` makes, `manifest_file` keeps and every later stage takes
its rows from; and the check that nothing leaks from one split into another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from edgeface.data.duplicates import copy_groups
from edgeface.data.labels import AgeInterval, Attribute
from edgeface.errors import DataError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the pixels of a set come from.

    Attributes:
        kind: "folder" for files or a table of them, "drawn" for faces drawn on demand, whose rows
            have ids `drawn-<version>-<seed>-<index>`.
        label: what tables call the data, e.g. the folder's name.
        root: folder or table (folder only).
        adapter: format that the labels were read as (folder only).
        attributes: that rows may have classes of.
        seed: of the drawn faces.
        side_px: of the drawn faces.
        version: of the generator of drawn faces.
    """

    kind: Literal["folder", "drawn"]
    label: str
    root: str = ""
    adapter: str = ""
    attributes: tuple[Attribute, ...] = ()
    seed: int = 0
    side_px: int = 0
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One image.

    Attributes:
        id: unique in its set: the path below the root with forward slashes, or `FILE.csv#ROW`.
        path: of the file that holds it, below the root; empty for a drawn face.
        sha256: of the file, or of the text of the CSV cell; empty for a drawn face and for an
            image that was left out before it was read.
        perceptual_hash: 64 hexadecimal digits as `scan` makes them; None if there is nothing to
            hash.
        age: None where the set does not say.
        classes: class number by attribute; an attribute that is missing is unknown.
        group: rows of one group are copies of one photograph.
        split: None if the image is not used.
        left_out: why it is not used; empty if it is.
        source: which of the manifest's sources it is from.
    """

    id: str
    path: str = ""
    sha256: str = ""
    perceptual_hash: str | None = None
    age: AgeInterval | None = None
    classes: dict[str, int] = field(default_factory=dict)
    group: str = ""
    split: Split | None = None
    left_out: str = ""
    source: int = 0


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is used, for what, and what is not used.

    Attributes:
        sources: where the pixels come from, one a set.
        seed: of the division.
        validation_ratio: share that was asked for, 0 to 1.
        test_ratio: share that was asked for, 0 to 1.
        rows: sorted by source and id.
    """

    sources: tuple[Source, ...]
    seed: int
    validation_ratio: float
    test_ratio: float
    rows: tuple[Row, ...]

    @property
    def label(self) -> str:
        """Name of the data as tables show it."""
        return " + ".join(source.label for source in self.sources)

    @property
    def drawn(self) -> bool:
        """Whether no image is of a real face."""
        return all(source.kind == "drawn" for source in self.sources)

    @property
    def left_out(self) -> tuple[Row, ...]:
        """Rows that are not used, in order."""
        return tuple(row for row in self.rows if row.left_out)

    def of_split(self, split: Split) -> tuple[Row, ...]:
        """Rows of one split, in order."""
        return tuple(row for row in self.rows if row.split == split)

    def key(self, row: Row) -> str:
        """Name a row so that it is unique among several sets; its id where there is one set."""
        return row.id if len(self.sources) == 1 else f"{row.source}:{row.id}"

    @cached_property
    def sha256(self) -> str:
        """Digest of all that figures depend on in the rows used; not of where the files lie."""
        return rows_sha256(self.rows)


def rows_sha256(rows: Sequence[Row]) -> str:
    """Digest of source, id, content, labels, group and split of the rows that are used."""
    facts = [
        [
            row.source,
            row.id,
            row.sha256,
            [row.age.low_years, row.age.high_years] if row.age else None,
            sorted(row.classes.items()),
            row.group,
            row.split,
        ]
        for row in rows
        if row.split
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def check_manifest(manifest: Manifest, where: str) -> None:
    """Refuse a manifest that measures on what it trains on, or that contradicts itself.

    Copies are looked for anew, by content and by perceptual hash: what the column `group` says is
    held to it and not believed.

    Args:
        manifest: made just now, or read from a file that anybody may have edited.
        where: the data, for the message.

    Raises:
        DataError: an id stands twice; a row is used and left out, or neither; a group or copies of
            one picture are in two splits; a class that its attribute does not have; a split is
            empty.
    """
    for check in (_each_row_once, _labels_exist, _groups_in_one_split, _copies_in_one_split):
        problem = check(manifest)
        if problem:
            raise DataError(f"{where}: {problem}; make it anew with: edgeface data prepare")
    for split in SPLITS:
        if not manifest.of_split(split):
            used = sum(row.split is not None for row in manifest.rows)
            raise DataError(
                f"{where}: {used} usable images leave the {split} split empty, expected some in "
                f"each; give more images ({len(manifest.left_out)} were left out)"
            )


def _each_row_once(manifest: Manifest) -> str:
    seen = set()
    for row in manifest.rows:
        if not 0 <= row.source < len(manifest.sources):
            return f"{row.id!r} is of set {row.source}, expected 0 to {len(manifest.sources) - 1}"
        if (row.source, row.id) in seen:
            return f"the id {row.id!r} stands twice, expected unique ids"
        seen.add((row.source, row.id))
        if (row.split is None) == (not row.left_out):
            state = "in neither" if row.split is None else f"left out and in {row.split}"
            return f"{row.id!r} is {state}, expected either a split or a reason why left out"
    return ""


def _labels_exist(manifest: Manifest) -> str:
    counts = [
        {attribute.name: len(attribute.classes) for attribute in source.attributes}
        for source in manifest.sources
    ]
    for row in manifest.rows:
        for name, number in row.classes.items():
            if not 0 <= number < counts[row.source].get(name, 0):
                return f"{row.id!r} has class {number} of {name!r}, which the set does not have"
    return ""


def _groups_in_one_split(manifest: Manifest) -> str:
    first: dict[str, Row] = {}
    for row in manifest.rows:
        if row.split:
            other = first.setdefault(row.group, row)
            if other.split != row.split:
                return _leak(other, row, f"both in group {row.group!r}")
    return ""


def _copies_in_one_split(manifest: Manifest) -> str:
    rows = [row for row in manifest.rows if row.split and row.sha256]
    groups = copy_groups([row.sha256 for row in rows], [row.perceptual_hash for row in rows])
    for group in groups:
        one = rows[group[0]]
        for other in (rows[i] for i in group):
            if other.split != one.split:
                return _leak(one, other, "copies of one picture")
    return ""


def _leak(one: Row, other: Row, reason: str) -> str:
    return f"{one.id!r} is in {one.split} and {other.id!r} in {other.split}, {reason}: a leak"
