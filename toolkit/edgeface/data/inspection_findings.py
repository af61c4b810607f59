"""What is wrong with a set, in plain words: how many images, and what to do next.

In: the counts of an inspection. Out: `InspectionFinding`s, the gravest first; none for a set in
which nothing was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgeface.data.adapters.paths import printable
from edgeface.data.inspection_copies import CopyCounts, SplitCounts
from edgeface.data.inspection_images import ImageCounts
from edgeface.data.inspection_labels import AgeCounts, ClassCounts

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

WHIPPLE_HEAPED = 125.0
"""Whipple's index from which ages are called heaped; and below that, from which they are noted.

Source: United Nations, Demographic Yearbook: under 105 highly accurate, to 110 fairly accurate, to
125 approximate, to 175 rough, above very rough.
"""
WHIPPLE_NOTED = 110.0

WHIPPLE_MIN_COUNT = 400
"""Images below which nothing is said of heaping.

Source: chosen: the index of n evenly spread ages has a standard error of 500 * sqrt(0.2 * 0.8 / n),
10 for 400: the limit of 110 is then one of them away, that of 125 two and a half.
"""

IMBALANCED_RATIO = 10.0
"""Largest : smallest class from which a set is called imbalanced; below that, it is noted from 2.

Source: chosen: at 10 : 1 a model that never answers with the smaller of two classes is right in
91 %.
"""
IMBALANCE_NOTED_RATIO = 2.0


@dataclass(frozen=True, kw_only=True)
class InspectionFinding:
    """One thing that the user should know.

    Attributes:
        severity: "error" if figures measured on the set as it is would be wrong, "warning" if
            images are lost or the model will be worse for some, "note" for what is good to know.
        name: of the kind of finding, e.g. "conflicts".
        what: one line with the figures in it.
        count: images or groups, as `what` says.
        next_step: what to do, one line.
    """

    severity: Severity
    name: str
    what: str
    count: int
    next_step: str


def find(
    images: ImageCounts,
    ages: AgeCounts,
    attributes: Sequence[ClassCounts],
    copies: CopyCounts,
    splits: SplitCounts,
) -> tuple[InspectionFinding, ...]:
    """Say what the counts mean, gravest first."""
    found = [
        *_of_copies(copies, splits),
        *_of_images(images),
        *_of_ages(ages),
        *(finding for counts in attributes for finding in _of_classes(counts)),
    ]
    # stable: within a severity in the order above
    return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))


def plural(count: int, one: str, many: str = "") -> str:
    """Write a count with its noun: "1 image", "2,000 images"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _finding(
    severity: Severity, name: str, count: int, what: str, next_step: str
) -> list[InspectionFinding]:
    if not count:
        return []
    return [
        InspectionFinding(severity=severity, name=name, what=what, count=count, next_step=next_step)
    ]


def _of_copies(copies: CopyCounts, splits: SplitCounts) -> list[InspectionFinding]:
    conflicts = len(copies.conflicts)
    kinds = ", ".join(f"{one.name} {one.count:,}" for one in copies.disagreeing_on)
    near = copies.near_groups
    differ = f"; labels disagree in {copies.exact_conflicts:,}" if copies.exact_conflicts else ""
    return [
        *_finding(
            "error",
            "conflicts",
            conflicts,
            f"{plural(conflicts, 'group')} of copies with labels that disagree ({kinds})",
            "look at the worst and correct the labels; prepare leaves the rest out",
        ),
        *_finding(
            "error",
            "leaks",
            splits.groups_across,
            f"{plural(splits.groups_across, 'group')} of copies in several of the set's own splits;"
            f" {plural(splits.leaked_images, 'held-out image')} with a copy in train",
            "figures on these splits are too good; prepare keeps a copy in one split only",
        ),
        *_finding(
            "warning",
            "exact_copies",
            copies.exact_groups,
            f"{plural(copies.exact_groups, 'group')} of pictures with equal pixels,"
            f" {plural(copies.exact_images, 'image')}{differ}",
            "a random split leaks them; prepare keeps a group in one split",
        ),
        *_finding(
            "warning",
            "near_copies",
            near,
            f"{plural(near, 'group')} of pictures that look nearly the same",
            "a random split leaks them; prepare keeps a group in one split",
        ),
    ]


def _of_images(images: ImageCounts) -> list[InspectionFinding]:
    return [
        *_finding(
            "warning",
            "unreadable",
            images.unreadable,
            f"{plural(images.unreadable, 'picture')} that cannot be read",
            "copy or download them again; prepare leaves them out",
        ),
        *_finding(
            "warning",
            "left_out",
            images.left_out,
            f"{plural(images.left_out, 'image')} left out for its name or its row in a table"
            if images.left_out == 1
            else f"{plural(images.left_out, 'image')} left out for their names or rows in a table",
            "see the reasons; rename them or correct the table to use them",
        ),
        *_finding(
            "warning",
            "unlabelled",
            images.unlabelled,
            f"{plural(images.unlabelled, 'picture')} without any label",
            "label them; prepare leaves them out",
        ),
        *_finding(
            "warning",
            "flat",
            images.flat.count,
            f"{plural(images.flat.count, 'picture')} of one even tone",
            "look at them; there is hardly a face to see",
        ),
        *_finding(
            "warning",
            "tiny",
            images.tiny.count,
            f"{plural(images.tiny.count, 'picture')} with a side under {images.tiny.limit:g} px",
            "leave them out, or use larger originals; most of what a model sees is interpolated",
        ),
        *_finding(
            "note",
            "dark",
            images.dark.count,
            f"{plural(images.dark.count, 'picture')} darker than grey level {images.dark.limit:g}",
            "look at them; keep those in which a person can tell the labels",
        ),
    ]


def _of_ages(ages: AgeCounts) -> list[InspectionFinding]:
    known = ages.exact + ages.interval
    index = ages.whipple_index if ages.whipple_count >= WHIPPLE_MIN_COUNT else None
    heaped = index is not None and index >= WHIPPLE_NOTED
    return [
        *_finding(
            "warning" if index is not None and index >= WHIPPLE_HEAPED else "note",
            "age_heaping",
            ages.whipple_count if heaped else 0,
            f"ages heap on 0 and 5: Whipple's index {index or 0:.0f} of "
            f"{plural(ages.whipple_count, 'image')} (100 is even, 500 all rounded)",
            "many ages are rounded guesses; do not expect errors under two or three years",
        ),
        *_finding(
            "note",
            "age_missing",
            ages.missing if known else 0,
            f"{plural(ages.missing, 'image')} without an age, beside {known:,} with one",
            "they teach and test only their other labels",
        ),
        *_finding(
            "note",
            "rare_groups",
            len(ages.rare),
            f"{plural(len(ages.rare), 'decade')} of one gender with under 1 % of the images each",
            "collect more of them, or do not promise anything for them",
        ),
    ]


def _of_classes(counts: ClassCounts) -> list[InspectionFinding]:
    name = printable(counts.attribute)
    sizes = [one.count for one in counts.classes]
    if not sum(sizes):
        return []
    empty = [printable(one.name) for one in counts.classes if not one.count]
    ratio = counts.imbalance_ratio or 0
    largest = max(counts.classes, key=lambda one: one.count)
    smallest = min(counts.classes, key=lambda one: one.count)
    return [
        *_finding(
            "warning",
            "empty_classes",
            len(empty),
            f"{name}: no image of {', '.join(empty)}",
            "a model cannot learn them; add images or leave the class away",
        ),
        *_finding(
            "warning" if ratio >= IMBALANCED_RATIO else "note",
            "imbalance",
            smallest.count if ratio >= IMBALANCE_NOTED_RATIO else 0,
            f"{name}: {ratio:.1f} times as many {printable(largest.name)} ({largest.count:,}) as "
            f"{printable(smallest.name)} ({smallest.count:,})",
            "look at each class's own figures, not only at accuracy",
        ),
        *_finding(
            "note",
            "class_missing",
            counts.missing,
            f"{plural(counts.missing, 'image')} of unknown {name}",
            "they teach and test only their other labels",
        ),
    ]
