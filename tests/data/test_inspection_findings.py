"""Each finding comes when its limit is passed, and not a moment earlier."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgeface.data.inspection_copies import Conflict, CopyCounts, NamedCount, SplitCounts
from edgeface.data.inspection_findings import InspectionFinding, find, plural
from edgeface.data.inspection_images import ImageCounts, OddPictures
from edgeface.data.inspection_labels import AgeCounts, ClassCount, ClassCounts, RareGroup

GOOD = OddPictures(limit=32, count=0, examples=())
BAD = OddPictures(limit=32, count=2, examples=())
IMAGES = ImageCounts(
    listed=1000,
    usable=1000,
    not_usable=(),
    left_out=0,
    unreadable=0,
    unlabelled=0,
    sizes=None,
    tiny=GOOD,
    dark=GOOD,
    flat=GOOD,
)
AGES = AgeCounts(
    exact=1000,
    interval=0,
    missing=0,
    genders=("male", "female"),
    decades=(),
    years=(),
    whipple_index=109.9,
    whipple_count=1000,
    rare=(),
)
COPIES = CopyCounts(
    groups=0,
    images=0,
    superfluous=0,
    exact_groups=0,
    exact_images=0,
    exact_conflicts=0,
    near_groups=0,
    sizes=(),
    disagreeing_on=(),
    age_gaps=(),
    conflicts=(),
)
SPLITS = SplitCounts(images=(), groups_across=0, pairs=(), leaked_images=0, examples=())
CONFLICT = Conflict(
    attributes=(), age_gap_years=3, text="age 1 and 4", same_pixels=True, members=()
)
RARE = RareGroup(low_years=0, high_years=9, gender="male", count=0, ratio=0.0)


def classes(*counts: int, missing: int = 0) -> ClassCounts:
    return ClassCounts(
        attribute="mood",
        classes=tuple(
            ClassCount(name=name, count=count) for name, count in zip("abc", counts, strict=False)
        ),
        missing=missing,
        imbalance_ratio=max(counts) / min(counts) if all(counts) else None,
    )


def found(
    images: Any = None, ages: Any = None, mood: Any = None, copies: Any = None, splits: Any = None
) -> tuple[InspectionFinding, ...]:
    return find(
        replace(IMAGES, **images or {}),
        replace(AGES, **ages or {}),
        [classes(500, 500) if mood is None else mood],
        replace(COPIES, **copies or {}),
        replace(SPLITS, **splits or {}),
    )


def test_a_good_set_has_none() -> None:
    assert found() == ()


@pytest.mark.parametrize(
    ("changes", "severity", "name", "count"),
    [
        ({"copies": {"conflicts": (CONFLICT,) * 3}}, "error", "conflicts", 3),
        ({"splits": {"groups_across": 4, "leaked_images": 5}}, "error", "leaks", 4),
        ({"copies": {"exact_groups": 2, "exact_images": 5}}, "warning", "exact_copies", 2),
        ({"copies": {"near_groups": 6}}, "warning", "near_copies", 6),
        ({"images": {"unreadable": 1}}, "warning", "unreadable", 1),
        ({"images": {"left_out": 3}}, "warning", "left_out", 3),
        ({"images": {"unlabelled": 3}}, "warning", "unlabelled", 3),
        ({"images": {"flat": BAD}}, "warning", "flat", 2),
        ({"images": {"tiny": BAD}}, "warning", "tiny", 2),
        ({"images": {"dark": BAD}}, "note", "dark", 2),
        ({"ages": {"whipple_index": 125.0}}, "warning", "age_heaping", 1000),
        ({"ages": {"whipple_index": 124.9}}, "note", "age_heaping", 1000),
        ({"ages": {"whipple_index": 110.0}}, "note", "age_heaping", 1000),
        ({"ages": {"whipple_index": 125.0, "whipple_count": 400}}, "warning", "age_heaping", 400),
        ({"ages": {"missing": 7}}, "note", "age_missing", 7),
        ({"ages": {"rare": (RARE, RARE)}}, "note", "rare_groups", 2),
        ({"mood": classes(100, 10)}, "warning", "imbalance", 10),
        ({"mood": classes(99, 10)}, "note", "imbalance", 10),
        ({"mood": classes(10, 20)}, "note", "imbalance", 10),
        ({"mood": classes(10, 0, 0)}, "warning", "empty_classes", 2),
        ({"mood": classes(5, 5, missing=1)}, "note", "class_missing", 1),
    ],
)
def test_one_thing_is_wrong(changes: Any, severity: str, name: str, count: int) -> None:
    (finding,) = found(**changes)
    assert (finding.severity, finding.name, finding.count) == (severity, name, count)
    assert finding.what
    assert finding.next_step
    assert "\n" not in finding.what + finding.next_step


@pytest.mark.parametrize(
    "changes",
    [
        {"ages": {"whipple_index": 300.0, "whipple_count": 399}},  # too few to say
        {"ages": {"whipple_index": None, "whipple_count": 0}},
        # no age at all: a set of something else
        {"ages": {"exact": 0, "missing": 1000, "whipple_index": None, "whipple_count": 0}},
        {"mood": classes(199, 100)},
        {"mood": classes(0, 0, missing=1000)},
    ],
)
def test_nothing_is_wrong(changes: Any) -> None:
    assert found(**changes) == ()


def test_the_gravest_stand_first() -> None:
    names = [
        finding.name
        for finding in found(
            images={"dark": BAD, "unreadable": 1},
            copies={"conflicts": (CONFLICT,), "near_groups": 1},
            mood=classes(100, 10),
        )
    ]
    assert names == ["conflicts", "near_copies", "unreadable", "imbalance", "dark"]


def test_what_is_said() -> None:
    kinds = (NamedCount(name="age", count=1200), NamedCount(name="gender", count=1))
    first, second, third = found(
        copies={
            "conflicts": (CONFLICT,) * 1201,
            "disagreeing_on": kinds,
            "exact_groups": 1,
            "exact_images": 2,
            "exact_conflicts": 1,
        },
        mood=classes(1024, 100),
    )
    assert first.what == ("1,201 groups of copies with labels that disagree (age 1,200, gender 1)")
    assert second.what == ("1 group of pictures with equal pixels, 2 images; labels disagree in 1")
    assert third.what == "mood: 10.2 times as many a (1,024) as b (100)"


def test_names_of_classes_stay_on_one_line() -> None:
    evil = ClassCounts(
        attribute="m\nood",
        classes=(ClassCount(name="a\x1b[31m", count=9), ClassCount(name="b\r", count=0)),
        missing=0,
        imbalance_ratio=None,
    )
    (finding,) = found(mood=evil)
    assert finding.what == r"m\nood: no image of b\r"


def test_plural() -> None:
    assert [plural(n, "image") for n in (0, 1, 2000)] == ["0 images", "1 image", "2,000 images"]
    assert plural(2, "class", "classes") == "2 classes"
