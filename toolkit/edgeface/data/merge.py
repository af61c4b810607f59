"""Several sets as one: what one trains on, another must not measure on.

In: manifests. Out: one manifest with all their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgeface.data.copies import leave_out_bad_copies
from edgeface.data.duplicates import copy_groups
from edgeface.data.labels import Attribute
from edgeface.data.manifest import Manifest, Row, check_manifest
from edgeface.errors import DataError


def merge(manifests: Sequence[Manifest], attributes: Sequence[str]) -> Manifest:
    """Put the rows of several sets together; each keeps its splits.

    Copies of one picture in two sets become one group; if their labels disagree they are left out,
    and if their splits do, only those in the more held-out split stay.

    Args:
        manifests: one a set, one or more.
        attributes: that a model is to learn from all of them.

    Raises:
        DataError: two sets mean different things by one attribute, or what `check_manifest`
            refuses.
    """
    if len(manifests) == 1:
        return manifests[0]
    shared = _shared(manifests, attributes)
    rows = [
        replace(row, source=number, group=f"{number}:{row.group}" if row.group else "")
        for number, manifest in enumerate(manifests)
        for row in manifest.rows
    ]
    used = [row for row in rows if row.split]
    links = copy_groups([row.sha256 for row in used], [row.perceptual_hash for row in used])
    used = leave_out_bad_copies(_joined(used, links), shared)
    first = manifests[0]
    merged = Manifest(
        sources=tuple(source for manifest in manifests for source in manifest.sources),
        seed=first.seed,
        validation_ratio=first.validation_ratio,
        test_ratio=first.test_ratio,
        rows=tuple(
            sorted(
                [row for row in rows if not row.split] + used,
                key=lambda row: (row.source, row.id),
            )
        ),
    )
    check_manifest(merged, merged.label)
    return merged


def _joined(rows: Sequence[Row], links: Sequence[Sequence[int]]) -> list[Row]:
    # copies across sets may also join two groups of one set, all of whose rows must follow
    renamed: dict[str, str] = {}

    def name(group: str) -> str:
        while group in renamed:
            group = renamed[group]
        return group

    for members in links:
        names = sorted({name(rows[i].group) for i in members})
        renamed.update(dict.fromkeys(names[1:], names[0]))
    return [replace(row, group=name(row.group)) for row in rows]


def _shared(manifests: Sequence[Manifest], names: Sequence[str]) -> list[Attribute]:
    found: dict[str, tuple[str, Attribute]] = {}
    for manifest in manifests:
        for source in manifest.sources:
            for attribute in source.attributes:
                if attribute.name not in names:
                    continue
                label, known = found.setdefault(attribute.name, (source.label, attribute))
                if known.classes != attribute.classes:
                    raise DataError(
                        f"{label} and {source.label}: {attribute.name} is {known.classes} in the "
                        f"one and {attribute.classes} in the other, expected the same classes; "
                        "give one of the two sets, or rename the attribute"
                    )
    return [attribute for _, attribute in found.values()]
