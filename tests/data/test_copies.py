"""`copies`: contradicting copies go, doubtful labels go, and held-out copies stay."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from edgeface.data.copies import leave_out_bad_copies
from edgeface.data.labels import AgeInterval, Attribute
from edgeface.data.manifest import Row, Split

GENDER = Attribute(name="gender", classes=("male", "female"))
RACE = Attribute(name="race", classes=("a", "b", "c"))
MOOD = Attribute(name="mood", classes=("calm", "cross"))
ALL = (GENDER, RACE, MOOD)


def row(
    name: str,
    split: Split | None = None,
    *,
    age: tuple[int, int] | None = (30, 30),
    group: str = "a",
    source: int = 0,
    **classes: int,
) -> Row:
    return Row(
        id=name,
        group=group,
        split=split,
        age=AgeInterval(low_years=age[0], high_years=age[1]) if age else None,
        classes=classes,
        source=source,
    )


def settled(*rows: Row) -> list[tuple[Split | None, str]]:
    return [(one.split, one.left_out) for one in leave_out_bad_copies(rows, ALL)]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([{"age": (30, 30)}, {"age": (31, 31)}], "age 30 and 31"),
        ([{"age": (20, 29)}, {"age": (30, 30)}, {"age": None, "race": 1}], "age 20–29 and 30"),
        ([{"gender": 0}, {"gender": 1}], "gender male and female"),
        ([{"age": (1, 1), "gender": 0}, {"age": (9, 9), "gender": 1}], "age 1 and 9; gender male"),
    ],
)
def test_all_copies_go_if_age_or_gender_contradict(
    labels: list[dict[str, object]], reason: str
) -> None:
    rows = [row(f"{i}.jpg", "test", **facts) for i, facts in enumerate(labels)]  # type: ignore[arg-type]  # by name
    for split, left_out in settled(*rows):
        assert split is None
        assert left_out.startswith(f"copies of one picture disagree: {reason}")


def test_what_is_unknown_or_overlaps_contradicts_nothing() -> None:
    rows = (
        row("1.jpg", age=(20, 29), gender=0),
        row("2.jpg", age=(25, 25)),
        row("3.jpg", age=None, gender=0),
    )
    assert leave_out_bad_copies(rows, ALL) == list(rows)


def test_another_label_that_copies_disagree_about_is_unknown() -> None:
    one, other, third = leave_out_bad_copies(
        [
            row("1.jpg", gender=1, race=0, mood=1),
            row("2.jpg", gender=1, race=2, mood=1),
            row("3.jpg", age=None, race=2),
        ],
        ALL,
    )
    assert one == row("1.jpg", gender=1, mood=1)
    assert other == row("2.jpg", gender=1, mood=1)
    # which has no other label
    assert (third.split, third.classes) == (None, {"race": 2})
    assert third.left_out == "copies of one picture disagree: race"


def test_a_label_whose_numbers_do_not_mean_the_same_is_not_compared() -> None:
    rows = [row("1.jpg", race=0), row("2.jpg", race=2, source=1)]
    assert leave_out_bad_copies(rows, (GENDER,)) == rows


@pytest.mark.parametrize("held", ["train", "validation", "test"])
def test_a_copy_without_labels_left_is_left_out_whatever_split_the_others_have(
    held: Split,
) -> None:
    """It was once given the split of the others beside its reason."""
    found = settled(
        row("1.jpg", held, race=0), row("2.jpg", held, age=None, race=1), row("3.jpg", None)
    )
    assert found == [(held, ""), (None, "copies of one picture disagree: race"), (held, "")]


def test_if_no_copy_has_a_label_left_all_go() -> None:
    found = settled(row("1.jpg", "test", age=None, race=0), row("2.jpg", age=None, race=1))
    assert found == [(None, "copies of one picture disagree: race")] * 2


@pytest.mark.parametrize(
    "splits", [*itertools.product(("train", "validation", "test", None), repeat=3)]
)
def test_only_the_most_held_out_copies_stay(splits: tuple[Split | None, ...]) -> None:
    rows = [row(f"{i}.jpg", split) for i, split in enumerate(splits)]
    order: list[Split] = ["test", "validation", "train"]
    kept = next((split for split in order if split in splits), None)
    for before, (split, left_out) in zip(rows, settled(*rows), strict=True):
        if before.split in (None, kept):
            assert (split, left_out) == (kept, "")
        else:
            keeper = f"{splits.index(kept)}.jpg"
            assert (split, left_out) == (None, f"copy of {keeper}, which is in {kept}")


def test_groups_do_not_touch_each_other_nor_sets_of_the_same_ids() -> None:
    rows = [
        row("1.jpg", "train", group="a", gender=0),
        row("1.jpg", "test", group="b", gender=1, source=1),
        row("2.jpg", "test", group="a", gender=0),
        row("3.jpg", None, group="c", gender=1),
    ]
    assert settled(*rows) == [
        (None, "copy of 2.jpg, which is in test"),
        ("test", ""),
        ("test", ""),
        (None, ""),
    ]
    assert [(one.source, one.id) for one in leave_out_bad_copies(rows, ALL)] == [
        (0, "1.jpg"),
        (1, "1.jpg"),
        (0, "2.jpg"),
        (0, "3.jpg"),
    ]
    assert leave_out_bad_copies([], ALL) == []
    assert leave_out_bad_copies([replace(rows[0], group="z")], ALL) == [replace(rows[0], group="z")]
