"""The list of images with their labels, copies and splits, and of those left out, with the reason.

In: nothing. Out: the values that `prepare` makes, `manifest_file` keeps and every later stage takes
its rows from; and the check that nothing leaks from one split into another.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from edgeface.data.adapters.csv_file import TABLE_SUFFIXES
from edgeface.data.adapters.paths import printable, shown
from edgeface.data.duplicates import copy_groups
from edgeface.data.labels import AgeInterval, Attribute
from edgeface.errors import DataError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_SHA256 = re.compile("[0-9a-f]{64}")  # a perceptual hash has this form too


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
        path: `file_of` the id; empty for a drawn face.
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
        """Name of the data as tables and messages show it: one printable line."""
        return printable(" + ".join(source.label for source in self.sources))

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
        """Digest of all that figures depend on.

        Of each row that is used: source, id, content, labels, group and split. Of each source: what
        the class numbers mean, and how faces are drawn; not where the files lie, nor their label.
        """
        sources = [
            [
                source.kind,
                [[attribute.name, attribute.classes] for attribute in source.attributes],
                [source.seed, source.side_px, source.version],
            ]
            for source in self.sources
        ]
        rows = [
            [
                row.source,
                row.id,
                row.sha256,
                row.perceptual_hash,
                [row.age.low_years, row.age.high_years] if row.age else None,
                sorted(row.classes.items()),
                row.group,
                row.split,
            ]
            for row in self.rows
            if row.split
        ]
        return hashlib.sha256(json.dumps([sources, rows]).encode()).hexdigest()

    def covers(self, sha256: str) -> bool:
        """Whether a manifest of that digest divides as this one does the images it has.

        It is this one, or one of this one's sets alone, of which merging changed no row: none was
        left out for a copy in another set, and no two groups became one. Then a model that was
        trained by it has seen nothing that is held out here: the images of that set are divided
        alike, and the others have no copy in it across splits. Two of three sets together are not
        recognised.
        """
        if sha256 == self.sha256:
            return True
        return len(self.sources) > 1 and any(
            sha256 == self._part(number).sha256 for number in range(len(self.sources))
        )

    def _part(self, number: int) -> Manifest:
        """One of the sets, as it was before it was merged."""
        rows = [row for row in self.rows if row.source == number]
        first: dict[str, str] = {}
        for row in rows:  # in order of id: groups had the name of their first member
            first.setdefault(row.group, row.id)
        return replace(
            self,
            sources=(self.sources[number],),
            rows=tuple(replace(row, source=0, group=first[row.group]) for row in rows),
        )


def shared_attributes(sources: Iterable[Source]) -> tuple[Attribute, ...]:
    """Attributes whose numbers mean the same in every set that has them, in order of finding."""
    found: dict[str, Attribute] = {}
    unlike: set[str] = set()
    for attribute in (attribute for source in sources for attribute in source.attributes):
        if found.setdefault(attribute.name, attribute).classes != attribute.classes:
            unlike.add(attribute.name)
    return tuple(attribute for name, attribute in found.items() if name not in unlike)


def file_of(id: str) -> str:
    """Name the file that holds an image: the id itself, or the table of `FILE.csv#ROW`."""
    file, mark, row = id.rpartition("#")
    is_row = mark and row.isdecimal() and Path(file).suffix.lower() in TABLE_SUFFIXES
    return file if is_row else id


def check_manifest(manifest: Manifest, where: str) -> None:
    """Refuse a manifest that measures on what it trains on, or that contradicts itself.

    Copies are looked for anew, by content and by perceptual hash: what the column `group` says is
    held to it and not believed.

    Args:
        manifest: made just now, or read from a file that anybody may have edited.
        where: the data, for the message.

    Raises:
        DataError: no set, or shares that cannot be; an id stands twice; a row is used and left out,
            or neither; a path, digest, hash or drawn face that the row cannot have; a class that
            its attribute does not have; a group or copies of one picture are in two splits; a split
            is empty.
    """
    checks = (
        _shares_are_shares,
        _each_row_once,
        _each_row_whole,
        _labels_exist,
        _groups_in_one_split,
        _copies_in_one_split,
    )
    for check in checks:
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


def _shares_are_shares(manifest: Manifest) -> str:
    if not manifest.sources:
        return "no sources, expected one or more"
    validation, test = manifest.validation_ratio, manifest.test_ratio
    if not (validation > 0 and test > 0 and validation + test < 1):  # so that NaN is refused too
        return (
            f"validation_ratio {validation:g} and test_ratio {test:g}, expected each above 0 and "
            "their sum below 1"
        )
    return ""


def _each_row_once(manifest: Manifest) -> str:
    seen = set()
    for row in manifest.rows:
        if not 0 <= row.source < len(manifest.sources):
            return f"{shown(row.id)} is of set {row.source}, expected below {len(manifest.sources)}"
        if (row.source, row.id) in seen:
            return f"the id {shown(row.id)} stands twice, expected unique ids"
        seen.add((row.source, row.id))
        if (row.split is None) == (not row.left_out):
            state = "neither used nor left out" if row.split is None else "used and left out"
            return f"{shown(row.id)} is {state}, expected either a split or a reason in left_out"
    return ""


def _each_row_whole(manifest: Manifest) -> str:
    for row in manifest.rows:
        source = manifest.sources[row.source]
        fault = _drawn_fault(row, source) if source.kind == "drawn" else _folder_fault(row)
        if row.split and not row.group:
            fault = "has no group, expected one"
        if fault:
            return f"{shown(row.id)} {fault}"
    return ""


def _drawn_fault(row: Row, source: Source) -> str:
    # the number picks the face: one face must not have two names, nor one name two faces
    number = row.id.rpartition("-")[2]
    index = int(number) if number.isdecimal() and len(number) < 19 else 0
    name = f"drawn-{source.version}-{source.seed}-{index:06d}"
    if row.id != name:
        return f"is no drawn face of this set, expected an id such as {shown(name)}"
    if row.path or row.sha256 or row.perceptual_hash is not None:
        return "is drawn and has a path, sha256 or perceptual_hash, expected none"
    return ""


def _folder_fault(row: Row) -> str:
    if row.path != file_of(row.id):
        return f"has the path {shown(row.path)}, expected {shown(file_of(row.id))}"
    if not _SHA256.fullmatch(row.sha256) and (row.split or row.sha256):
        return f"has the sha256 {shown(row.sha256)}, expected 64 digits of 0-9 and a-f"
    if row.perceptual_hash is not None and not _SHA256.fullmatch(row.perceptual_hash):
        return (
            f"has the perceptual_hash {shown(row.perceptual_hash)}, expected 64 digits of 0-9 and "
            "a-f, or null"
        )
    return ""


def _labels_exist(manifest: Manifest) -> str:
    counts = [
        {attribute.name: len(attribute.classes) for attribute in source.attributes}
        for source in manifest.sources
    ]
    for row in manifest.rows:
        for name, number in row.classes.items():
            if not 0 <= number < counts[row.source].get(name, 0):
                return (
                    f"{shown(row.id)} has class {shown(str(number))} of {shown(name)}, expected one"
                    f" of the {counts[row.source].get(name, 0)} that the set has"
                )
    return ""


def _groups_in_one_split(manifest: Manifest) -> str:
    first: dict[str, Row] = {}
    for row in manifest.rows:
        if row.split:
            other = first.setdefault(row.group, row)
            if other.split != row.split:
                return _leak(other, row, f"both in group {shown(row.group)}")
    return ""


def _copies_in_one_split(manifest: Manifest) -> str:
    # also of rows left out: which pairs of hashes are found depends a little on the other hashes,
    # and so those found here are those that `prepare` and `merge` found
    rows = [row for row in manifest.rows if row.sha256]
    groups = copy_groups([row.sha256 for row in rows], [row.perceptual_hash for row in rows])
    for group in groups:
        used = [rows[i] for i in group if rows[i].split]
        for other in used:
            if other.split != used[0].split:
                return _leak(used[0], other, "copies of one picture")
    return ""


def _leak(one: Row, other: Row, reason: str) -> str:
    return (
        f"{shown(one.id)} is in {one.split} and {shown(other.id)} in {other.split}, {reason}: "
        "a leak"
    )
