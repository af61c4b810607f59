"""Several sets as one: what one trains on, another must not measure on.

In: manifests. Out: one manifest with all their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgeface.data.adapters.paths import printable, shown
from edgeface.data.copies import leave_out_bad_copies
from edgeface.data.duplicates import copy_groups
from edgeface.data.labels import Attribute
from edgeface.data.manifest import Manifest, Row, Source, check_manifest, shared_attributes
from edgeface.errors import DataError


def merge(manifests: Sequence[Manifest], attributes: Sequence[str]) -> Manifest:
    """Put the rows of several sets together; each keeps its splits.

    Copies of one picture in two sets become one group; if their labels disagree they are left out,
    and if their splits do, only those in the more held-out split stay.

    Args:
        manifests: one or more, each of one set or of several.
        attributes: that a model is to learn from all of them.

    Raises:
        DataError: a set is given twice, two sets mean different things by one attribute, or what
            `check_manifest` refuses.
    """
    if len(manifests) == 1:
        return manifests[0]
    _check_each_once(manifests)
    sources = tuple(source for manifest in manifests for source in manifest.sources)
    _check_same_meaning(sources, attributes)
    rows = _renumbered(manifests)
    pictured = [row for row in rows if row.sha256]
    links = copy_groups([row.sha256 for row in pictured], [row.perceptual_hash for row in pictured])
    names = _joined(pictured, links)
    rows = [replace(row, group=names.get(row.group, row.group)) for row in rows]
    used = leave_out_bad_copies([row for row in rows if row.split], shared_attributes(sources))
    first = manifests[0]
    merged = Manifest(
        sources=sources,
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


def _check_each_once(manifests: Sequence[Manifest]) -> None:
    """Refuse a set that is there twice: each of its held-out images would count twice."""
    sets = [
        {manifest.sha256} | {_place(source) for source in manifest.sources}
        for manifest in manifests
    ]
    for number, manifest in enumerate(manifests):
        for before in range(number):
            if sets[before] & sets[number]:
                raise DataError(
                    f"{manifests[before].label} and {manifest.label}: the same set twice, expected "
                    "each once, because its test images would count twice; give one of the two"
                )


def _place(source: Source) -> str:
    """Where pictures come from; drawn faces have nothing else that copies could be told by."""
    if source.kind == "drawn":
        return f"drawn {source.version} {source.seed}"
    return f"folder {Path(source.root).resolve()}"


def _renumbered(manifests: Sequence[Manifest]) -> list[Row]:
    rows: list[Row] = []
    before = 0
    for number, manifest in enumerate(manifests):
        rows += [
            # a row that was left out may have no group: it is its own
            replace(row, source=before + row.source, group=f"{number}:{row.group or row.id}")
            for row in manifest.rows
        ]
        before += len(manifest.sources)
    return rows


def _joined(rows: Sequence[Row], links: Sequence[Sequence[int]]) -> dict[str, str]:
    """Names that groups get; copies across sets may also join two groups of one set."""
    renamed: dict[str, str] = {}

    def name(group: str) -> str:
        while group in renamed:
            group = renamed[group]
        return group

    for members in links:
        names = sorted({name(rows[i].group) for i in members})
        renamed.update(dict.fromkeys(names[1:], names[0]))
    return {old: name(old) for old in renamed}


def _check_same_meaning(sources: Sequence[Source], names: Sequence[str]) -> None:
    found: dict[str, tuple[str, Attribute]] = {}
    for source in sources:
        for attribute in source.attributes:
            label, known = found.setdefault(attribute.name, (source.label, attribute))
            if attribute.name in names and known.classes != attribute.classes:
                raise DataError(
                    f"{printable(label)} and {printable(source.label)}: "
                    f"{printable(attribute.name)} is {_listed(known)} in the one and "
                    f"{_listed(attribute)} in the other, expected the same classes; give one of "
                    "the two sets, or rename the attribute"
                )


def _listed(attribute: Attribute) -> str:
    return shown(", ".join(attribute.classes))
