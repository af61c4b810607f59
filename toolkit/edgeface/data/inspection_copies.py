"""Copies in a set: how many, whose labels disagree, and which are in several of its own splits.

In: usable entries with their pictures. Out: `CopyCounts` and `SplitCounts`. Nothing is left out or
corrected here (`prepare` leaves out).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgeface.data.disagreement import Disagreement, disagreement
from edgeface.data.duplicates import copy_groups, exact_groups
from edgeface.data.inspection_images import EXAMPLES
from edgeface.data.labels import Attribute, Entry
from edgeface.data.scan import Picture

CLASS_YEARS = 15
"""Years of age gap that a class that differs counts as, to put conflicts in order.

Source: chosen: what is wrong in both stands first, and large gaps are not buried under all groups
that differ in a class only.
"""

NO_SPLIT = "none"
_TRAIN = "train"


@dataclass(frozen=True, kw_only=True)
class Count:
    """How often a number occurs.

    Attributes:
        value: images in a group, or years.
        count: groups.
    """

    value: int
    count: int


@dataclass(frozen=True, kw_only=True)
class NamedCount:
    """How often something with a name occurs."""

    name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Member:
    """One image of a group of copies.

    Attributes:
        id: of the image.
        labels: one line as in "26 years, male"; "no label" if none is known.
        split: the set's own; None where it has none.
    """

    id: str
    labels: str
    split: str | None


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A group of copies whose labels disagree.

    Attributes:
        attributes: in which classes differ.
        age_gap_years: between the ages furthest apart; 0 where ages do not disagree.
        text: what disagrees, one line.
        same_pixels: whether all of the group are pixel for pixel the same.
        members: in order of id.
    """

    attributes: tuple[str, ...]
    age_gap_years: int
    text: str
    same_pixels: bool
    members: tuple[Member, ...]


@dataclass(frozen=True, kw_only=True)
class CopyCounts:
    """Groups of copies: pictures with equal pixels, or that look nearly the same.

    Attributes:
        groups: of copies of either kind, joined where they share a picture.
        images: in those groups.
        superfluous: of these, all but one of each group.
        exact_groups: of pictures with equal pixels.
        exact_images: in those.
        exact_conflicts: of those, groups whose labels disagree.
        near_groups: of `groups`, those that are not all of equal pixels.
        sizes: number of groups by number of images, in rising order.
        disagreeing_on: groups in conflict by attribute, "age" first; one may be counted in several.
        age_gaps: number of groups by `age_gap_years`, above 0, in rising order.
        conflicts: all of them, worst first: by age gap, to which each attribute that differs adds
            `CLASS_YEARS`.
    """

    groups: int
    images: int
    superfluous: int
    exact_groups: int
    exact_images: int
    exact_conflicts: int
    near_groups: int
    sizes: tuple[Count, ...]
    disagreeing_on: tuple[NamedCount, ...]
    age_gaps: tuple[Count, ...]
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """The set's own splits.

    Attributes:
        images: by split in order of name, "none" last; empty where the set has no splits.
        groups_across: groups of copies that are in more than one split.
        pairs: those by the splits they are in, e.g. "test + train".
        leaked_images: images outside the training split that have a copy in it.
        examples: a leaked image of the first groups, with the copy in the training split.
    """

    images: tuple[NamedCount, ...]
    groups_across: int
    pairs: tuple[NamedCount, ...]
    leaked_images: int
    examples: tuple[tuple[str, str], ...]


def group_copies(pictures: Sequence[Picture]) -> tuple[tuple[int, ...], ...]:
    """Find the groups of copies: indices in rising order, two or more a group."""
    return copy_groups(
        [picture.pixels_sha256 for picture in pictures],
        [picture.perceptual_hash for picture in pictures],
    )


def count_copies(
    entries: Sequence[Entry],
    pictures: Sequence[Picture],
    groups: Sequence[Sequence[int]],
    attributes: Sequence[Attribute],
) -> CopyCounts:
    """Count groups of copies, and find those whose labels disagree.

    Args:
        entries: usable ones, in order of id.
        pictures: of the same.
        groups: as `group_copies` gives them.
        attributes: of the set.
    """
    exact = exact_groups([picture.pixels_sha256 for picture in pictures])
    alike = [len({pictures[i].pixels_sha256 for i in group}) == 1 for group in groups]
    found = [
        _conflict([entries[i] for i in group], differ, attributes, same_pixels=same)
        for group, same in zip(groups, alike, strict=True)
        if (differ := disagreement([entries[i] for i in group], attributes)) is not None
    ]
    conflicts = sorted(found, key=_severity)
    images = sum(len(group) for group in groups)
    return CopyCounts(
        groups=len(groups),
        images=images,
        superfluous=images - len(groups),
        exact_groups=len(exact),
        exact_images=sum(len(group) for group in exact),
        exact_conflicts=sum(
            disagreement([entries[i] for i in group], attributes) is not None for group in exact
        ),
        near_groups=alike.count(False),
        sizes=_counts([len(group) for group in groups]),
        disagreeing_on=_disagreeing_on(conflicts, attributes),
        age_gaps=_counts([one.age_gap_years for one in conflicts if one.age_gap_years]),
        conflicts=tuple(conflicts),
    )


def count_splits(entries: Sequence[Entry], groups: Sequence[Sequence[int]]) -> SplitCounts:
    """Count images by the set's own split, and the copies across splits.

    Args:
        entries: usable ones, in order of id.
        groups: of copies, as `group_copies` gives them.
    """
    own = Counter(entry.split for entry in entries)
    images = [NamedCount(name=split, count=own[split]) for split in sorted(filter(None, own))]
    if images and own[None]:
        images.append(NamedCount(name=NO_SPLIT, count=own[None]))
    pairs: Counter[str] = Counter()
    leaked = 0
    examples = []
    for group in groups:
        members = [entries[i] for i in group if entries[i].split is not None]
        names = sorted({member.split for member in members if member.split is not None})
        if len(names) < 2:
            continue
        pairs[" + ".join(names)] += 1
        trained = next((member.id for member in members if member.split == _TRAIN), None)
        if trained is not None:
            held_out = [member.id for member in members if member.split != _TRAIN]
            leaked += len(held_out)
            examples.append((held_out[0], trained))
    return SplitCounts(
        images=tuple(images),
        groups_across=pairs.total(),
        pairs=tuple(NamedCount(name=name, count=pairs[name]) for name in sorted(pairs)),
        leaked_images=leaked,
        examples=tuple(examples[:EXAMPLES]),
    )


def label_text(entry: Entry, attributes: Sequence[Attribute]) -> str:
    """Write the known labels of an entry on one line, e.g. "26 years, male"."""
    texts = []
    if entry.age is not None:
        low, high = entry.age.low_years, entry.age.high_years
        years = f"{low}" if low == high else f"{low}–{high}"
        texts.append(f"{years} year{'' if years == '1' else 's'}")
    texts += [
        attribute.classes[entry.classes[attribute.name]]
        for attribute in attributes
        if attribute.name in entry.classes
    ]
    return ", ".join(texts) or "no label"


def _conflict(
    entries: Sequence[Entry],
    differ: Disagreement,
    attributes: Sequence[Attribute],
    *,
    same_pixels: bool,
) -> Conflict:
    return Conflict(
        attributes=differ.attributes,
        age_gap_years=differ.age_gap_years,
        text=differ.text,
        same_pixels=same_pixels,
        members=tuple(
            Member(id=entry.id, labels=label_text(entry, attributes), split=entry.split)
            for entry in entries
        ),
    )


def _severity(conflict: Conflict) -> tuple[int, str]:
    first = conflict.members[0].id
    weight_years = conflict.age_gap_years + CLASS_YEARS * len(conflict.attributes)
    return -weight_years, first


def _disagreeing_on(
    conflicts: Sequence[Conflict], attributes: Sequence[Attribute]
) -> tuple[NamedCount, ...]:
    counts = [("age", sum(one.age_gap_years > 0 for one in conflicts))]
    counts += [
        (attribute.name, sum(attribute.name in one.attributes for one in conflicts))
        for attribute in attributes
    ]
    return tuple(NamedCount(name=name, count=count) for name, count in counts if count)


def _counts(values: Sequence[int]) -> tuple[Count, ...]:
    counts = Counter(values)
    return tuple(Count(value=value, count=counts[value]) for value in sorted(counts))
