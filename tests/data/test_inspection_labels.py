"""Counts of labels, with the arithmetic in sight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.data.inspection_labels import (
    AgeRow,
    RareGroup,
    count_ages,
    count_classes,
    whipple_index,
)
from edgeface.data.labels import AgeInterval, Attribute, Entry

GENDER = Attribute(name="gender", classes=("male", "female"))
MOOD = Attribute(name="mood", classes=("angry", "happy", "sad"))


def entry(low: int | None, high: int | None = None, **classes: int) -> Entry:
    age = None
    if low is not None:
        age = AgeInterval(low_years=low, high_years=low if high is None else high)
    return Entry(id="a", age=age, classes=classes)


def test_ages_by_decade_and_gender() -> None:
    counts = count_ages(
        [
            entry(9, gender=0),
            entry(10, gender=1),
            entry(31, gender=1),
            entry(31, gender=1),
            entry(12, 19, gender=0),  # a bin within a decade
            entry(25, 34),
            entry(None, gender=0),
        ],
        [MOOD, GENDER],
    )
    assert counts.genders == ("male", "female", "unknown")
    assert (counts.exact, counts.interval, counts.missing) == (4, 2, 1)
    assert counts.decades == (
        AgeRow(low_years=0, high_years=9, counts=(1, 0, 0)),
        AgeRow(low_years=10, high_years=19, counts=(1, 1, 0)),
        AgeRow(low_years=20, high_years=29, counts=(0, 0, 0)),
        AgeRow(low_years=25, high_years=34, counts=(0, 0, 1)),
        AgeRow(low_years=30, high_years=39, counts=(0, 2, 0)),
    )
    assert len(counts.years) == 32  # 0 to 31
    assert counts.years[0] == AgeRow(low_years=0, high_years=0, counts=(0, 0, 0))
    assert counts.years[31] == AgeRow(low_years=31, high_years=31, counts=(0, 2, 0))
    assert sum(sum(row.counts) for row in counts.years) == counts.exact


def test_a_set_without_gender_or_age() -> None:
    counts = count_ages([entry(3), entry(4)], [MOOD])
    assert counts.genders == ("unknown",)
    assert counts.decades == (AgeRow(low_years=0, high_years=9, counts=(2,)),)
    assert counts.rare == ()
    nothing = count_ages([entry(None, gender=0)], [GENDER])
    assert (nothing.decades, nothing.years, nothing.whipple_index) == ((), (), None)
    assert nothing.genders == ("male", "female")


def test_bins_alone_keep_their_ends() -> None:
    counts = count_ages([entry(0, 2), entry(61, 70), entry(70, 120), entry(70, 120)], [])
    assert counts.decades == (
        AgeRow(low_years=0, high_years=9, counts=(1,)),
        AgeRow(low_years=61, high_years=70, counts=(1,)),
        AgeRow(low_years=70, high_years=120, counts=(2,)),
    )
    assert counts.years == ()


def test_whipple_index_by_hand() -> None:
    # one person of every age from 23 to 62: 8 of 40 end in 0 or 5, the index is 500 * 8 / 40 = 100
    even = {(age, age % 2): 1 for age in range(100)}
    assert whipple_index(even) == (100.0, 40)
    # 12 more of 30 and 8 more of 55: 500 * 28 / 60
    heaped = even | {(30, 0): 13, (55, 1): 9}
    index, count = whipple_index(heaped)
    assert index == pytest.approx(233.3333, abs=1e-4)
    assert count == 60
    assert whipple_index({(25, 0): 4, (25, 1): 3}) == (500.0, 7)
    # outside of 23 to 62 nothing counts
    assert whipple_index({(20, 0): 5, (22, 0): 5, (63, 0): 5, (65, 0): 5}) == (None, 0)
    assert whipple_index({(23, 0): 1, (62, 0): 1}) == (0.0, 2)


def test_only_exact_ages_count_for_heaping() -> None:
    counts = count_ages([entry(30), entry(31), entry(30, 31)], [])
    assert (counts.whipple_index, counts.whipple_count) == (250.0, 2)


def test_rare_is_under_one_percent() -> None:
    # 200 in all: 2 are one percent and not rare, 1 is
    entries = [entry(5, gender=0)] * 2 + [entry(5, gender=1)] * 197 + [entry(15, gender=1)]
    counts = count_ages([*entries, entry(5)], [GENDER])
    assert counts.rare == (
        RareGroup(low_years=10, high_years=19, gender="male", count=0, ratio=0.0),
        RareGroup(low_years=10, high_years=19, gender="female", count=1, ratio=0.005),
    )


def test_empty_decades_are_not_called_rare() -> None:
    counts = count_ages([entry(5, gender=0), entry(25, gender=0)] * 5, [GENDER])
    assert [(one.low_years, one.gender) for one in counts.rare] == [(0, "female"), (20, "female")]


def test_classes() -> None:
    entries = [entry(1, mood=0)] * 6 + [entry(1, mood=2)] * 4 + [entry(1, mood=1)] * 3 + [entry(1)]
    counts = count_classes(entries, MOOD)
    assert [(one.name, one.count) for one in counts.classes] == [
        ("angry", 6),
        ("happy", 3),
        ("sad", 4),
    ]
    assert counts.missing == 1
    assert counts.imbalance_ratio == 2.0  # 6 : 3
    assert count_classes(entries[:10], MOOD).imbalance_ratio is None  # nobody happy


@given(
    st.lists(
        st.tuples(
            st.none() | st.tuples(st.integers(0, 120), st.integers(0, 120)),
            st.none() | st.integers(0, 1),
        )
    )
)
def test_every_age_is_in_one_row(faces: list[tuple[tuple[int, int] | None, int | None]]) -> None:
    entries = [
        Entry(
            id="a",
            age=None if ends is None else AgeInterval(low_years=min(ends), high_years=max(ends)),
            classes={} if gender is None else {"gender": gender},
        )
        for ends, gender in faces
    ]
    counts = count_ages(entries, [GENDER])
    assert counts.exact + counts.interval + counts.missing == len(faces)
    assert sum(sum(row.counts) for row in counts.decades) == counts.exact + counts.interval
    assert all(len(row.counts) == len(counts.genders) for row in counts.decades + counts.years)
    ends_of_rows = [(row.low_years, row.high_years) for row in counts.decades]
    assert ends_of_rows == sorted(set(ends_of_rows))
