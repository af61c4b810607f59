"""The list of usable images with their labels and splits, and of those left out, with the reason.

In: labelled images of any source. Out: a `Manifest`; every later stage takes its rows from here.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from edgeface.data.split import assign_splits
from edgeface.errors import DataError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """Images under a folder; a row's id is its path below it, with forward slashes."""

    root: Path

    @property
    def label(self) -> str:
        """Name the data as tables show it."""
        return self.root.resolve().name.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, kw_only=True)
class DrawnSource:
    """Faces drawn on demand from a seed; a row's id is `drawn-<version>-<seed>-<index>`."""

    seed: int
    side_px: int
    version: str

    @property
    def label(self) -> str:
        """Name the data as tables show it."""
        return "drawn faces"


Source = FolderSource | DrawnSource


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """One usable image before it has a split.

    Attributes:
        id: unique in its source.
        age_years: 0 to 120.
        gender: 0 male, 1 female.
        group: images with the same group are copies of one picture.
    """

    id: str
    age_years: int
    gender: int
    group: str


@dataclass(frozen=True, kw_only=True)
class Row(LabelledImage):
    """One usable image and the split it belongs to."""

    split: Split


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """One image that is not used, and why."""

    id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is used, for what, and what is not used.

    Attributes:
        source: where the pixels come from.
        rows: sorted by id.
        left_out: sorted by id.
    """

    source: Source
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]

    def of_split(self, split: Split) -> tuple[Row, ...]:
        """Rows of one split, sorted by id."""
        return tuple(row for row in self.rows if row.split == split)

    @cached_property
    def sha256(self) -> str:
        """Digest of ids, labels, groups and splits: equal manifests give equal figures."""
        lines = [[r.id, r.age_years, r.gender, r.group, r.split] for r in self.rows]
        return hashlib.sha256(json.dumps(lines).encode("utf-8")).hexdigest()


def make_manifest(
    source: Source,
    images: Sequence[LabelledImage],
    left_out: Sequence[LeftOut],
    *,
    seed: int,
    validation_ratio: float,
    test_ratio: float,
) -> Manifest:
    """Drop copies that contradict each other, then divide the rest.

    Args:
        source: where the pixels come from.
        images: usable images in any order.
        left_out: images the reader could not use.
        seed: of the division.
        validation_ratio: share of images, 0 to 1.
        test_ratio: share of images, 0 to 1.

    Returns:
        The manifest; the same for the same images and seed, whatever their order.

    Raises:
        DataError: an id stands twice, or a split would be empty.
    """
    if len({image.id for image in images}) != len(images):
        raise DataError(f"{source.label}: an image id stands twice, expected unique ids")
    groups: dict[str, list[LabelledImage]] = {}
    for image in sorted(images, key=lambda i: i.id):
        groups.setdefault(image.group, []).append(image)
    dropped = list(left_out)
    kept: dict[str, list[LabelledImage]] = {}
    for group, members in groups.items():
        if len({(m.age_years, m.gender) for m in members}) == 1:
            kept[group] = members
        else:
            dropped += [_contradiction(member, members) for member in members]
    split_of = assign_splits(
        [(group, _stratum(members[0]), len(members)) for group, members in kept.items()],
        ratios={
            "train": 1 - validation_ratio - test_ratio,
            "validation": validation_ratio,
            "test": test_ratio,
        },
        seed=seed,
    )
    rows = [
        Row(
            id=m.id,
            age_years=m.age_years,
            gender=m.gender,
            group=m.group,
            split=split_of[m.group],  # type: ignore[arg-type]  # keys of `ratios`
        )
        for members in kept.values()
        for m in members
    ]
    manifest = Manifest(
        source=source,
        rows=tuple(sorted(rows, key=lambda r: r.id)),
        left_out=tuple(sorted(dropped, key=lambda r: r.id)),
    )
    for split in SPLITS:
        if not manifest.of_split(split):
            raise DataError(
                f"{source.label}: {len(rows)} usable images leave the {split} split empty, "
                f"expected some in each; give more images ({len(dropped)} were left out)"
            )
    return manifest


def left_out_csv(manifest: Manifest) -> str:
    """List what is not used and why, as CSV with the columns id and reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "reason"])
    writer.writerows([row.id, row.reason] for row in manifest.left_out)
    return text.getvalue()


def _stratum(image: LabelledImage) -> tuple[int, int]:
    return (image.gender, image.age_years // 10)


def _contradiction(image: LabelledImage, members: Sequence[LabelledImage]) -> LeftOut:
    labels = sorted({f"age {m.age_years} gender {m.gender}" for m in members})
    return LeftOut(id=image.id, reason=f"same picture labelled {' and '.join(labels)}")
