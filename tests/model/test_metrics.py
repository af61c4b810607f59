"""`head_metrics`: each head on the faces that have its label, as if there were no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.config import ModelSpec
from edgeface.data.faces import Faces
from edgeface.errors import DataError
from edgeface.model.age_metrics import age_metrics
from edgeface.model.class_metrics import class_metrics
from edgeface.model.heads import head_specs
from edgeface.model.metrics import has_truth, head_metrics
from edgeface.types import Metric

MakeFaces = Callable[..., Faces]

HEADS = head_specs(
    ModelSpec(heads=("mood", "age", "gender"), classes={"mood": ("happy", "sad", "angry")})
)
MOOD, AGE, GENDER = HEADS
# four faces: one of each mood, one without; ages exact, in a bin, unknown, exact
PREDICTED = {
    "mood": np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3]]),
    "age": np.array([33.0, 25.0, 40.0, 52.0]),
    "gender": np.array([0.1, 0.9, 0.8, 0.7]),
}


def four(make_faces: MakeFaces) -> Faces:
    return make_faces([30, (20, 29), None, 50], [None, 1, 0, None], mood=[0, 1, None, 2])


def values(metrics: tuple[Metric, ...]) -> dict[tuple[str, str], float]:
    return {(metric.task, metric.name): metric.value for metric in metrics}


def test_each_head_has_the_figures_of_the_faces_with_its_label(make_faces: MakeFaces) -> None:
    metrics = head_metrics(HEADS, PREDICTED, four(make_faces), resamples=5)
    found = values(metrics)
    assert found["mood", "accuracy"] == 1 / 3
    assert found["mood", "true_sad_said_happy"] == 1
    assert found["mood", "balanced_accuracy"] == pytest.approx((1 + 0 + 0) / 3)
    assert found["age", "mae"] == (3 + 2) / 2  # a bin has no exact age to be off from
    assert found["age", "within_5_years"] == 1.0
    assert found["gender", "accuracy"] == 1 / 2
    assert {metric.task: metric.n for metric in metrics if metric.name in ("accuracy", "mae")} == {
        "mood": 3,
        "age": 2,
        "gender": 2,
    }
    assert list(dict.fromkeys(metric.task for metric in metrics)) == ["mood", "age", "gender"]


def test_a_head_that_no_face_has_a_label_of_is_left_out(make_faces: MakeFaces) -> None:
    faces = make_faces([(20, 29)] * 4, [None, 1, 0, None])  # no mood, no exact age
    metrics = head_metrics(HEADS, PREDICTED, faces, resamples=5)
    assert {metric.task for metric in metrics} == {"gender"}
    assert metrics == tuple(
        class_metrics(GENDER, PREDICTED["gender"], faces.class_of("gender"), resamples=5)
    )


def test_faces_without_any_label_of_the_heads_are_refused(make_faces: MakeFaces) -> None:
    faces = make_faces([(20, 29), None, None, None], [None] * 4, hat=[0, 1, 0, 1])
    with pytest.raises(DataError) as caught:
        head_metrics(HEADS, PREDICTED, faces)
    assert str(caught.value) == (
        "metrics: none of 4 faces has a label of mood, age, gender, expected at least one; measure "
        "on a data set that has it"
    )
    with pytest.raises(DataError, match="none of 0 faces"):
        head_metrics(HEADS, PREDICTED, make_faces([], []))


@pytest.mark.parametrize("name", ["mood", "age", "gender"])
def test_predictions_of_other_faces_are_refused(make_faces: MakeFaces, name: str) -> None:
    predicted = {**PREDICTED, name: PREDICTED[name][:3]}
    with pytest.raises(DataError, match=f"metrics of {name}: predictions have shape"):
        head_metrics(HEADS, predicted, four(make_faces))


def test_a_label_beyond_the_classes_is_refused(make_faces: MakeFaces) -> None:
    faces = make_faces([30] * 4, [1] * 4, mood=[0, 1, 2, 3])
    with pytest.raises(DataError, match=r"metrics of mood: the label of image 3 is 3, expected 0"):
        head_metrics(HEADS, PREDICTED, faces)


def test_every_metric_names_its_unit(make_faces: MakeFaces) -> None:
    for metric in head_metrics(HEADS, PREDICTED, four(make_faces), resamples=5):
        counts = metric.name.startswith("true_")
        years = metric.name == "rmse" or metric.name.startswith("mae")
        assert metric.unit == ("images" if counts else "years" if years else "ratio")
        assert not years or metric.task == "age"


def test_the_truth_of_an_age_is_an_exact_one(make_faces: MakeFaces) -> None:
    faces = four(make_faces)
    np.testing.assert_array_equal(has_truth(faces, AGE), [True, False, False, True])
    np.testing.assert_array_equal(has_truth(faces, MOOD), [True, True, False, True])
    np.testing.assert_array_equal(has_truth(faces, GENDER), [False, True, True, False])


LABELS = st.lists(
    st.tuples(
        st.sampled_from([None, 0, 18, 55, 110, (20, 29)]),
        st.sampled_from([None, 0, 1]),
        st.sampled_from([None, 0, 1, 2]),
    ),
    min_size=1,
    max_size=15,
).filter(lambda labels: any(gender is not None for _, gender, _ in labels))


@given(labels=LABELS, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_figures_are_those_of_the_labelled_faces_alone(
    make_faces: MakeFaces, labels: list[tuple[Any, Any, Any]], seed: int
) -> None:
    ages, genders, moods = zip(*labels, strict=True)
    faces, rng = make_faces(list(ages), list(genders), mood=list(moods)), np.random.default_rng(2)
    predicted = {
        "mood": rng.dirichlet(np.ones(3), len(labels)),
        "age": rng.uniform(0, 100, len(labels)),
        "gender": rng.random(len(labels)),
    }
    found = head_metrics(HEADS, predicted, faces, seed=seed, resamples=20)
    expected: list[Metric] = []
    options = {"seed": seed, "resamples": 20}
    for head, of in ((MOOD, moods), (AGE, ages), (GENDER, genders)):
        at = [i for i, label in enumerate(of) if isinstance(label, int)]
        known, said = [of[i] for i in at], predicted[head.name][at]
        if not at:
            continue
        if head is AGE:
            expected += age_metrics("age", said, known, **options)
        else:
            expected += class_metrics(head, said, known, **options)
    assert found == tuple(expected)
