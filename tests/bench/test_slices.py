"""A slice's figures are those of its faces alone, and too few faces are said and not hidden."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.bench import slices
from edgeface.bench.paired_bootstrap import Resampling
from edgeface.bench.slices import SliceQuality
from edgeface.bench.verdict_rule import SMALLEST_GROUPS
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.model.metrics import head_metrics
from edgeface.types import GENDER_CLASSES, HeadSpec

FEW = Resampling(seed=0, resamples=1000)
HEADS = (  # age first, as the heads of a model may come
    HeadSpec(name="age", kind="regression", tensor="age", unit="years"),
    HeadSpec(name="gender", kind="binary", tensor="gender", classes=GENDER_CLASSES),
)


def faces(
    low: list[int], gender: list[int], race: list[int], high: list[int] | None = None
) -> Faces:
    n = len(low)
    return Faces(
        ids=tuple(map(str, range(n))),
        images=np.empty((n, 0, 0, 3), np.uint8),
        age_low_years=np.array(low, np.int64),
        age_high_years=np.array(low if high is None else high, np.int64),
        classes={"gender": np.array(gender, np.int64), "race": np.array(race, np.int64)},
    )


def says(p_female: list[float], age: list[float]) -> dict[str, NDArray[np.float64]]:
    return {"gender": np.array(p_female), "age": np.array(age)}


def sliced_quality(
    predicted: dict[str, NDArray[np.float64]], labels: Faces, **options: Any
) -> tuple[SliceQuality, ...]:
    return slices.sliced_quality(predicted, labels, HEADS, **options)


def by_name(found: tuple[SliceQuality, ...]) -> dict[str, SliceQuality]:
    return {each.name: each for each in found}


def test_values_are_those_of_the_slice_alone() -> None:
    found = by_name(
        sliced_quality(
            says([0.1, 0.9, 0.6, 0.4], [22, 31, 29, 30]),
            faces([20, 29, 30, 35], [0, 0, 1, 1], [0, 1, 0, 7]),
            race_names=("White", "Black"),
        )
    )
    values = {name: tuple(figure.value for figure in each.figures) for name, each in found.items()}
    assert values == {
        "20-29": (1 / 2, (2 + 2) / 2),
        "30-39": (1 / 2, (1 + 5) / 2),
        "male": (1 / 2, (2 + 2) / 2),
        "female": (1 / 2, (1 + 5) / 2),
        "White": (2 / 2, (2 + 1) / 2),
        "Black": (0, 2),
        "race 7": (0, 5),
        "20-29 male": (1 / 2, (2 + 2) / 2),
        "30-39 female": (1 / 2, (1 + 5) / 2),
        "20-29 male, White": (1, 2),
        "20-29 male, Black": (0, 2),
        "30-39 female, White": (1, 1),
        "30-39 female, race 7": (0, 5),
    }
    assert found["White"].by == "race"
    assert found["30-39 female, White"].by == "age, gender and race"


@pytest.mark.parametrize("count", [SMALLEST_GROUPS - 1, SMALLEST_GROUPS])
def test_too_few_images_have_a_value_and_no_interval(count: int) -> None:
    found = sliced_quality(
        says([0.1] * count, [20.0 + at for at in range(count)]),
        faces([20] * count, [0] * count, [0] * count),
    )
    for each in found:
        assert each.n == count
        for figure in each.figures:
            assert figure.n == count
            assert figure.is_too_few == (count < SMALLEST_GROUPS)
            assert (figure.low is None) == (figure.high is None) == figure.is_too_few
    assert found[0].figures[1].value == pytest.approx((count - 1) / 2)


def test_interval_is_near_that_of_the_theory() -> None:
    # the mean of n coin flips: 1.96 standard deviations; 15 % for the noise of 1,000 resamples
    n, right = 400, 0.8
    p_female = [0.0 if at < right * n else 1.0 for at in range(n)]
    found = sliced_quality(says(p_female, [20.0] * n), faces([20] * n, [0] * n, [0] * n))
    accuracy = found[0].figures[0]
    half_width = 1.96 * (right * (1 - right) / n) ** 0.5
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert accuracy.value - accuracy.low == pytest.approx(half_width, rel=0.15)
    assert accuracy.high - accuracy.value == pytest.approx(half_width, rel=0.15)


def test_a_face_without_a_label_is_in_no_slice_of_it() -> None:
    found = sliced_quality(
        says([0.1, 0.9, 0.2], [20, 20, 20]),
        faces([20, 20, UNKNOWN], [UNKNOWN, 1, 0], [0, UNKNOWN, 0], high=[29, 25, UNKNOWN]),
    )
    # an age interval divides, but has no error in years
    assert [(each.by, each.name, each.n) for each in found] == [
        ("age", "20-29", 2),
        ("gender", "male", 1),
        ("gender", "female", 1),
        ("race", "race 0", 2),
        ("age and gender", "20-29 female", 1),
    ]
    assert {figure.name for each in found for figure in each.figures} == {"accuracy"}
    assert by_name(found)["race 0"].figures[0].n == 1


labelled = st.lists(
    st.tuples(
        st.integers(0, 116),
        st.integers(0, 1),
        st.integers(0, 4),
        st.floats(0, 1),
        st.floats(-10, 130),
    ),
    min_size=1,
    max_size=60,
)


@given(rows=labelled)
@settings(max_examples=20)
def test_slices_of_a_kind_are_a_division_of_the_faces(
    rows: list[tuple[int, int, int, float, float]],
) -> None:
    age, gender, race, p_female, years = map(list, zip(*rows, strict=True))
    said, labels = says(p_female, years), faces(age, gender, race)
    found = sliced_quality(said, labels, resampling=FEW)
    whole = {each.name: each.value for each in head_metrics(HEADS, said, labels, resamples=1)}
    kinds = {each.by for each in found}
    assert kinds == {"age", "gender", "race", "age and gender", "age, gender and race"}
    for kind in kinds:
        slices = [each for each in found if each.by == kind]
        assert sum(each.n for each in slices) == len(rows)
        for at, name in enumerate(("accuracy", "mae")):
            mean = sum(each.n * each.figures[at].value for each in slices) / len(rows)
            assert mean == pytest.approx(whole[name])
            for each in slices:
                figure = each.figures[at]
                if figure.low is not None and figure.high is not None:
                    assert figure.low <= figure.high


def test_other_heads_are_sliced_by_the_labels_of_the_faces() -> None:
    """A model of three moods alone: the faces' ages and genders divide them all the same."""
    mood = HeadSpec(name="mood", kind="classes", tensor="mood", classes=("calm", "glad", "sad"))
    labels = faces([25, 25, 35], [0, 1, 1], [0, 0, 0])
    labels = replace(labels, classes=dict(labels.classes) | {"mood": np.array([0, 1, UNKNOWN])})
    said = {"mood": np.array([[0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0.3, 0.3, 0.4]])}
    found = by_name(slices.sliced_quality(said, labels, (mood,), resampling=FEW))
    (figure,) = found["20-29"].figures
    assert (figure.task, figure.name, figure.unit) == ("mood", "accuracy", "ratio")
    assert (figure.value, figure.n) == (1 / 2, 2)  # the second is glad and called calm
    assert [each.value for each in found["20-29 female"].figures] == [0.0]
    assert found["30-39"].figures == ()  # its mood is unknown
