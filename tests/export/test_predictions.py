"""What a changed file costs, by figures that can be checked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import ExportError
from edgeface.export.predictions import head_costs, predict
from edgeface.types import HeadSpec

HEADS = (
    HeadSpec(name="gender", kind="binary", tensor="gender", classes=("male", "female")),
    HeadSpec(name="age", kind="regression", tensor="age", unit="years"),
)


def faces(ages: list[int], genders: list[int]) -> Faces:
    count = len(ages)
    return Faces(
        ids=tuple(map(str, range(count))),
        images=np.zeros((count, 0, 0, 3), np.uint8),
        age_low_years=np.array(ages),
        age_high_years=np.array(ages),
        classes={"gender": np.array(genders)},
    )


def test_costs_by_hand() -> None:
    original = {"gender": np.array([0.9, 0.2, 0.6, 0.4]), "age": np.array([30.0, 40, 50, 60])}
    changed = {"gender": np.array([0.8, 0.6, 0.6, 0.4]), "age": np.array([31.0, 41, 49, 60])}
    # gender: right are 3 of 3 labelled, then 2; age: errors 0 0 1 of 3 labelled, then 1 1 2
    costs = head_costs(original, changed, faces([30, 40, 51, UNKNOWN], [1, 0, UNKNOWN, 0]), HEADS)
    gender, age = costs
    assert (gender.head, gender.unit, gender.labelled) == ("gender", "ratio", 3)
    assert (age.head, age.unit, age.labelled) == ("age", "years", 3)
    np.testing.assert_allclose(
        [gender.loss, gender.difference, gender.shift], [1 / 3, 0.5 / 4, 0.3 / 4]
    )
    np.testing.assert_allclose([age.loss, age.difference, age.shift], [1.0, 3 / 4, 1 / 4])


def test_costs_of_three_classes_by_hand() -> None:
    mood = HeadSpec(name="mood", kind="classes", tensor="mood", classes=("calm", "glad", "sad"))
    original = {"mood": np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]])}
    changed = {"mood": np.array([[0.4, 0.4, 0.2], [0.1, 0.3, 0.6], [0.2, 0.2, 0.6]])}
    labels = replace(faces([30] * 3, [0] * 3), classes={"mood": np.array([0, 1, UNKNOWN])})
    (cost,) = head_costs(original, changed, labels, (mood,))
    assert (cost.head, cost.unit, cost.labelled) == ("mood", "ratio", 2)
    # right before: both; after: the first, where two are equal and the first of them is named
    np.testing.assert_allclose(cost.loss, 1 / 2)
    # total variation: (0.1 + 0.1) / 2 and (0.3 + 0.3) / 2; named were calm, glad and sad
    np.testing.assert_allclose(cost.difference, (0.1 + 0.3 + 0.0) / 3)
    np.testing.assert_allclose(cost.shift, (-0.1 - 0.3 + 0.0) / 3)


def test_of_two_classes_the_difference_is_that_of_one_probability() -> None:
    pair = HeadSpec(name="gender", kind="classes", tensor="gender", classes=("male", "female"))
    before, after = np.array([0.9, 0.2, 0.6]), np.array([0.7, 0.3, 0.4])
    both = [np.stack([1 - each, each], axis=1) for each in (before, after)]
    labels = faces([30] * 3, [1, 0, 1])
    (one,) = head_costs({"gender": before}, {"gender": after}, labels, HEADS[:1])
    (two,) = head_costs({"gender": both[0]}, {"gender": both[1]}, labels, (pair,))
    assert (one.loss, one.labelled) == (two.loss, two.labelled)
    assert one.difference == pytest.approx(two.difference)


def test_an_unchanged_file_costs_nothing() -> None:
    same = {"gender": np.array([0.9, 0.2]), "age": np.array([30.0, 40.0])}
    for cost in head_costs(same, same, faces([29, 44], [1, 1]), HEADS):
        assert (cost.loss, cost.difference, cost.shift) == (0.0, 0.0, 0.0)


def test_without_labels_there_is_a_difference_but_no_loss() -> None:
    original = {"gender": np.array([0.9]), "age": np.array([30.0])}
    changed = {"gender": np.array([0.7]), "age": np.array([32.0])}
    for cost in head_costs(original, changed, faces([UNKNOWN], [UNKNOWN]), HEADS):
        assert cost.labelled == 0
        assert math.isnan(cost.loss)
        assert cost.difference > 0


def test_a_file_without_a_head_is_refused(small: bytes, colours: NDArray[np.uint8]) -> None:
    mood = HeadSpec(name="mood", kind="binary", tensor="mood", classes=("low", "high"))
    with pytest.raises(ExportError, match="no output for mood; it has age, gender"):
        predict(small, colours, (mood,), where="test")
