"""What a changed file costs, by figures that can be checked by hand."""

from __future__ import annotations

import math

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
