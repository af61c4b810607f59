"""Copies, whether their labels disagree, and whether they are in several splits."""

from __future__ import annotations

from edgeface.data.inspection_copies import (
    Conflict,
    Count,
    Member,
    NamedCount,
    count_copies,
    count_splits,
    group_copies,
    label_text,
)
from edgeface.data.labels import AgeInterval, Attribute, Entry
from edgeface.data.scan import Picture

GENDER = Attribute(name="gender", classes=("male", "female"))
RACE = Attribute(name="race", classes=("a", "b", "c"))
NEAR_HASH = "0f" * 32


def entry(
    id: str, age_years: int, gender: int = 0, race: int = 0, split: str | None = None
) -> Entry:
    return Entry(
        id=id,
        age=AgeInterval(low_years=age_years, high_years=age_years),
        classes={"gender": gender, "race": race},
        split=split,
    )


def picture(id: str, pixels: str, perceptual_hash: str | None = None) -> Picture:
    return Picture(
        id=id,
        content_sha256=id,
        pixels_sha256=pixels,
        width_px=9,
        height_px=9,
        brightness=99.0,
        contrast=9.0,
        perceptual_hash=perceptual_hash,
    )


def test_groups_and_conflicts() -> None:
    entries = [
        entry("a", 20),
        entry("b", 20),  # equal pixels with a, labels agree
        entry("c", 20),
        entry("d", 27, gender=1),  # looks like c
        entry("e", 20),
        entry("f", 50),  # equal pixels with e
        entry("g", 90),
        entry("h", 20),  # equal pixels with e and f
    ]
    pictures = [
        picture("a", "ab"),
        picture("b", "ab"),
        picture("c", "c", NEAR_HASH),
        picture("d", "d", "1f" + NEAR_HASH[2:]),
        picture("e", "efh"),
        picture("f", "efh"),
        picture("g", "g"),
        picture("h", "efh"),
    ]
    groups = group_copies(pictures)
    assert groups == ((0, 1), (2, 3), (4, 5, 7))
    counts = count_copies(entries, pictures, groups, [GENDER, RACE])
    assert (counts.groups, counts.images, counts.superfluous) == (3, 7, 4)
    assert (counts.exact_groups, counts.exact_images, counts.exact_conflicts) == (2, 5, 1)
    assert counts.near_groups == 1
    assert counts.sizes == (Count(value=2, count=2), Count(value=3, count=1))
    assert counts.disagreeing_on == (
        NamedCount(name="age", count=2),
        NamedCount(name="gender", count=1),
    )
    assert counts.age_gaps == (Count(value=7, count=1), Count(value=30, count=1))
    assert counts.conflicts[1] == Conflict(
        attributes=("gender",),
        age_gap_years=7,
        text="age 20 and 27; gender male and female",
        same_pixels=False,
        members=(
            Member(id="c", labels="20 years, male, a", split=None),
            Member(id="d", labels="27 years, female, a", split=None),
        ),
    )
    assert [member.id for member in counts.conflicts[0].members] == ["e", "f", "h"]
    assert counts.conflicts[0].same_pixels


def test_the_worst_stand_first() -> None:
    pairs = [
        # years of age gap, plus 15 for every class that differs
        (entry("gap 14", 20), entry("", 34)),  # 14
        (entry("gender", 20), entry("", 20, gender=1)),  # 15
        (entry("gap 16", 20), entry("", 36)),  # 16
        (entry("gender too", 20), entry("", 20, gender=1)),  # 15
        (entry("both", 20), entry("", 20, gender=1, race=1)),  # 30
        (entry("all", 20), entry("", 36, gender=1, race=2)),  # 46
    ]
    entries = [one for pair in pairs for one in pair]
    pictures = [picture(str(i), str(i // 2)) for i in range(len(entries))]
    counts = count_copies(entries, pictures, group_copies(pictures), [GENDER, RACE])
    assert [conflict.members[0].id for conflict in counts.conflicts] == [
        "all",
        "both",
        "gap 16",
        "gender",
        "gender too",
        "gap 14",
    ]
    # those that differ in a class only have no gap
    assert counts.age_gaps == (Count(value=14, count=1), Count(value=16, count=2))


def test_no_copies() -> None:
    counts = count_copies([entry("a", 1)], [picture("a", "a")], (), [GENDER])
    assert (counts.groups, counts.images, counts.superfluous) == (0, 0, 0)
    assert (counts.sizes, counts.conflicts, counts.disagreeing_on) == ((), (), ())


def test_copies_across_splits() -> None:
    entries = [
        entry("a", 1, split="train"),
        entry("b", 1, split="test"),
        entry("c", 1, split="test"),  # a, b, c: two held-out copies of a training image
        entry("d", 1, split="validation"),
        entry("e", 1, split="test"),  # d, e: across, but not in train
        entry("f", 1, split="train"),
        entry("g", 1, split="train"),  # f, g: in one split
        entry("h", 1, split="test"),
        entry("i", 1),  # h, i: one has no split
    ]
    counts = count_splits(entries, [(0, 1, 2), (3, 4), (5, 6), (7, 8)])
    assert counts.images == (
        NamedCount(name="test", count=4),
        NamedCount(name="train", count=3),
        NamedCount(name="validation", count=1),
        NamedCount(name="none", count=1),
    )
    assert counts.groups_across == 2
    assert counts.pairs == (
        NamedCount(name="test + train", count=1),
        NamedCount(name="test + validation", count=1),
    )
    assert counts.leaked_images == 2
    assert counts.examples == (("b", "a"),)


def test_a_set_without_splits() -> None:
    counts = count_splits([entry("a", 1), entry("b", 1)], [(0, 1)])
    assert counts.images == ()
    assert counts.groups_across == 0


def test_labels_in_words() -> None:
    assert label_text(entry("a", 26, gender=1), [GENDER]) == "26 years, female"
    assert label_text(entry("a", 1, race=2), [RACE]) == "1 year, c"
    binned = Entry(id="a", age=AgeInterval(low_years=70, high_years=120))
    assert label_text(binned, [GENDER, RACE]) == "70–120 years"
    assert label_text(Entry(id="a"), [GENDER]) == "no label"
