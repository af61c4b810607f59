"""From what a set lists and what its pixels are to a manifest with splits that do not leak.

In: a `Listing` and its `Scan`. Out: a `Manifest`, the same for the same images, labels and seed,
whatever the file order and the machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgeface.data.adapters.paths import printable, shown
from edgeface.data.copies import leave_out_bad_copies
from edgeface.data.duplicates import copy_groups
from edgeface.data.labels import Entry, Listing
from edgeface.data.manifest import (
    Manifest,
    Row,
    Source,
    Split,
    check_manifest,
    file_of,
)
from edgeface.data.scan import Scan
from edgeface.data.split import divide
from edgeface.errors import DataError

_NOT_GIVEN = "no split in the files given with --split"


def prepare(
    listing: Listing,
    scan: Scan,
    *,
    seed: int,
    validation_ratio: float,
    test_ratio: float,
    given: Mapping[str, Split] | None = None,
) -> Manifest:
    """Group the copies, leave out what cannot be used, and divide the rest.

    Splits that the set has, or the user gives, are kept; of them the ones that are missing are cut
    out of the training split. Copies across two such splits stay only in the more held-out one.

    Args:
        listing: of the set.
        scan: of its pictures.
        seed: of the division.
        validation_ratio: share of the images that are divided here, above 0, below 1.
        test_ratio: the same.
        given: the user's own split of each id; an image that it does not name is left out.

    Raises:
        DataError: `given` names images that the set does not have, or none for training; a split
            would be empty; or what `check_manifest` refuses.
    """
    source = folder_source(listing)
    if given is not None:
        _check_given(given, listing)
    unread = {finding.id: finding.reason for finding in scan.unreadable}
    out = [Row(id=id, path=file_of(id), left_out=reason) for id, reason in listing.left_out]
    out += [
        replace(_row(entry), split=None, left_out=unread[entry.id])
        for entry in listing.entries
        if entry.id in unread
    ]
    rows = _pictured([entry for entry in listing.entries if entry.id not in unread], scan, given)
    out += [row for row in rows if row.left_out]
    rows = leave_out_bad_copies([row for row in rows if not row.left_out], listing.attributes)
    out += [row for row in rows if row.left_out]
    ratios = {"validation": validation_ratio, "test": test_ratio}
    used = divide([row for row in rows if not row.left_out], ratios, seed)
    manifest = Manifest(
        sources=(source,),
        seed=seed,
        validation_ratio=validation_ratio,
        test_ratio=test_ratio,
        rows=tuple(sorted(out + used, key=lambda row: row.id)),
    )
    check_manifest(manifest, source.label)
    return manifest


def grouped(rows: Sequence[Row], groups: Sequence[Sequence[int]]) -> list[Row]:
    """Name the group of each row after its first member; a row without copies is its own."""
    named = [replace(row, group=row.id) for row in rows]
    for members in groups:
        first = min(rows[i].id for i in members)
        for i in members:
            named[i] = replace(named[i], group=first)
    return named


def folder_source(listing: Listing) -> Source:
    """Say where the pixels of a listing come from."""
    return Source(
        kind="folder",
        label=printable(listing.root.resolve().name),
        root=str(listing.root),
        adapter=listing.adapter,
        attributes=listing.attributes,
    )


def _check_given(given: Mapping[str, Split], listing: Listing) -> None:
    known = {entry.id for entry in listing.entries} | {id for id, _ in listing.left_out}
    strangers = sorted(given.keys() - known)
    if strangers:
        raise DataError(
            f"--split: {len(strangers)} of {len(given)} images are not in "
            f"{printable(str(listing.root))}, e.g. {shown(strangers[0])}; expected paths below it "
            f"such as {shown(listing.entries[0].id)}"
        )
    if "train" not in given.values():
        raise DataError(
            f"--split: none of the {len(given)} images that it names is in train, expected some, "
            "because images that it does not name are left out; name the training images too"
        )


def _pictured(entries: Sequence[Entry], scan: Scan, given: Mapping[str, Split] | None) -> list[Row]:
    """Rows of the pictures that could be read, in order of id, with their groups."""
    pictures = {picture.id: picture for picture in scan.pictures}
    rows: list[Row] = []
    for entry in sorted(entries, key=lambda entry: entry.id):
        picture = pictures[entry.id]
        row = replace(
            _row(entry),
            sha256=picture.content_sha256,
            perceptual_hash=picture.perceptual_hash,
        )
        if given is not None:
            row = replace(row, split=given.get(entry.id))
        if entry.age is None and not entry.classes:
            row = replace(row, split=None, left_out="no label")
        elif given is not None and entry.id not in given:
            row = replace(row, left_out=_NOT_GIVEN)
        rows.append(row)
    digests = [pictures[row.id].pixels_sha256 for row in rows]
    return grouped(rows, copy_groups(digests, [row.perceptual_hash for row in rows]))


def _row(entry: Entry) -> Row:
    return Row(
        id=entry.id,
        path=file_of(entry.id),
        age=entry.age,
        classes=dict(entry.classes),
        split=entry.split,  # type: ignore[arg-type]  # adapters give one of SPLITS
    )
