"""What is in a labelled set and what is wrong with it, before anything is trained on it.

In: a `Listing` and its `Scan`. Out: an `Inspection`, which `report` shows and JSON holds. Nothing
is left out, corrected or written here; `prepare` leaves out, for the same reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeface.data.adapters.paths import printable
from edgeface.data.inspection_copies import (
    CopyCounts,
    SplitCounts,
    count_copies,
    count_splits,
    group_copies,
)
from edgeface.data.inspection_findings import InspectionFinding, find
from edgeface.data.inspection_images import ImageCounts, count_images
from edgeface.data.inspection_labels import AgeCounts, ClassCounts, count_ages, count_classes
from edgeface.data.labels import Listing
from edgeface.data.scan import Scan

INSPECTION_SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Everything that was found in a set.

    Attributes:
        schema_version: of this record.
        name: of the set's folder or table.
        adapter: format that its labels were read as.
        findings: what to know and do, gravest first.
        images: counts, and pictures that cannot be used.
        ages: by gender.
        attributes: classes of each, in the order of the listing.
        copies: pictures that are there more than once.
        splits: the set's own.
    """

    schema_version: int
    name: str
    adapter: str
    findings: tuple[InspectionFinding, ...]
    images: ImageCounts
    ages: AgeCounts
    attributes: tuple[ClassCounts, ...]
    copies: CopyCounts
    splits: SplitCounts


def inspect(listing: Listing, scan: Scan) -> Inspection:
    """Count a set and look for defects in it.

    Images that cannot be read or have no label are counted; all else is of the others.

    Args:
        listing: of the set.
        scan: of its pictures.

    Returns:
        The same for the same listing and scan.
    """
    measured = {picture.id: picture for picture in scan.pictures}
    entries = [
        entry
        for entry in listing.entries
        if entry.id in measured and (entry.age is not None or entry.classes)
    ]
    pictures = [measured[entry.id] for entry in entries]
    images = count_images(listing, scan, pictures)
    ages = count_ages(entries, listing.attributes)
    attributes = tuple(count_classes(entries, attribute) for attribute in listing.attributes)
    groups = group_copies(pictures)
    copies = count_copies(entries, pictures, groups, listing.attributes)
    splits = count_splits(entries, groups)
    return Inspection(
        schema_version=INSPECTION_SCHEMA_VERSION,
        name=printable(listing.root.resolve().name),
        adapter=listing.adapter,
        findings=find(images, ages, attributes, copies, splits),
        images=images,
        ages=ages,
        attributes=attributes,
        copies=copies,
        splits=splits,
    )
