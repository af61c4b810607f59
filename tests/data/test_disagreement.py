"""Labels of copies disagree where two known ones cannot both be right, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.data.disagreement import Disagreement, disagreement
from edgeface.data.labels import AgeInterval, Attribute, Entry

GENDER = Attribute(name="gender", classes=("male", "female"))
MOOD = Attribute(name="mood", classes=("angry", "happy", "sad"))


def entry(low: int | None, high: int | None = None, **classes: int) -> Entry:
    age = None
    if low is not None:
        age = AgeInterval(low_years=low, high_years=low if high is None else high)
    return Entry(id="a", age=age, classes=classes)


@pytest.mark.parametrize(
    ("entries", "attributes", "gap_years", "text"),
    [
        ([entry(26, gender=0), entry(74, gender=0)], (), 48, "age 26 and 74"),
        ([entry(26, gender=1), entry(26, gender=0)], ("gender",), 0, "gender male and female"),
        (
            [entry(74, gender=1), entry(26, gender=0)],
            ("gender",),
            48,
            "age 26 and 74; gender male and female",
        ),
        ([entry(30), entry(26), entry(30), entry(74)], (), 48, "age 26, 30 and 74"),
        ([entry(age) for age in (5, 1, 4, 2, 3)], (), 4, "age 1, 2, 3, … and 5"),
        ([entry(age) for age in (4, 1, 2, 3)], (), 3, "age 1, 2, 3 and 4"),
        # 20 to 29 and 25 to 34 overlap, 25 to 34 and 30 to 39 too, but the first and last do not
        ([entry(20, 29), entry(25, 34), entry(30, 39)], (), 1, "age 20–29, 25–34 and 30–39"),
        ([entry(0, 2), entry(40)], (), 38, "age 0–2 and 40"),
        (
            [entry(None, mood=0), entry(None, mood=2), entry(None, gender=1), entry(3, gender=0)],
            ("gender", "mood"),
            0,
            "gender male and female; mood angry and sad",
        ),
    ],
)
def test_what_disagrees(
    entries: list[Entry], attributes: tuple[str, ...], gap_years: int, text: str
) -> None:
    assert disagreement(entries, (GENDER, MOOD)) == Disagreement(
        attributes=attributes, age_gap_years=gap_years, text=text
    )


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [entry(26, gender=0)],
        [entry(26, gender=0), entry(26, gender=0)],
        [entry(20, 29), entry(29, 40), entry(29)],
        [entry(None), entry(26)],
        [entry(1, gender=1), entry(1, mood=2), entry(1)],
        # an attribute that was not asked for
        [entry(1, race=1), entry(1, race=2)],
    ],
)
def test_what_does_not(entries: list[Entry]) -> None:
    assert disagreement(entries, (GENDER, MOOD)) is None


def test_a_row_of_anything_with_age_and_classes_will_do() -> None:
    @dataclass(frozen=True)
    class Row:
        age: AgeInterval | None = None
        classes: dict[str, int] = field(default_factory=dict)

    found = disagreement([Row(classes={"gender": 0}), Row(classes={"gender": 1})], [GENDER])
    assert found is not None
    assert found.attributes == ("gender",)


def test_untrusted_names_stay_on_one_line() -> None:
    evil = Attribute(name="a\nb", classes=("x\x1b[2J", "y\u2028z"))
    found = disagreement([Entry(id="1", classes={"a\nb": k}) for k in (0, 1)], [evil])
    assert found is not None
    assert found.text == r"a\nb x\x1b[2J and y\u2028z"
    assert found.attributes == ("a\nb",)  # as it is known to the listing


entries_drawn = st.lists(
    st.builds(
        lambda ends, classes: Entry(
            id="a",
            age=None if ends is None else AgeInterval(low_years=min(ends), high_years=max(ends)),
            classes=classes,
        ),
        st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
        st.dictionaries(st.sampled_from(["gender"]), st.integers(0, 1)),
    ),
    max_size=5,
)


@given(entries_drawn)
def test_a_group_disagrees_where_two_of_it_do(entries: list[Entry]) -> None:
    gaps = [0]
    genders = False
    for one, other in combinations(entries, 2):
        if one.age is not None and other.age is not None:
            gaps += [
                one.age.low_years - other.age.high_years,
                other.age.low_years - one.age.high_years,
            ]
        known = {each.classes["gender"] for each in (one, other) if "gender" in each.classes}
        genders = genders or len(known) == 2
    found = disagreement(entries, [GENDER])
    assert (found is not None) == (max(gaps) > 0 or genders)
    if found is not None:
        assert found.age_gap_years == max(gaps)
        assert found.attributes == (("gender",) if genders else ())
    assert disagreement(entries[::-1], [GENDER]) == found
