"""Targets, masks and decoding of the heads, against plain numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.config import ModelSpec, TrainSpec
from edgeface.data.age_targets import interval_bins
from edgeface.data.faces import Faces
from edgeface.errors import ModelError
from edgeface.model.heads import (
    AGE_BINS_YEARS,
    decode_outputs,
    head_specs,
    head_width,
    labelled_rows,
    training_targets,
)

EXPECTATION = head_specs(ModelSpec(age_head="expectation"))
REGRESSION = head_specs(ModelSpec(age_head="regression"))
DECADES = head_specs(
    ModelSpec(
        heads=("gender", "age", "mood"),
        classes={"mood": ("happy", "sad", "angry")},
        age_head="decades",
    )
)
SPEC = TrainSpec(label_smoothing_ratio=0.1, age_sigma_years=2.0)
MakeFaces = Callable[..., Faces]


def test_heads_name_kinds_bins_and_classes() -> None:
    gender, age = EXPECTATION
    assert (gender.name, gender.kind, gender.classes) == ("gender", "binary", ("male", "female"))
    assert (age.name, age.kind, age.unit) == ("age", "expectation", "years")
    assert age.bins == tuple(range(101))
    assert [head_width(head) for head in EXPECTATION] == [1, 101]
    assert [(head.name, head.kind) for head in REGRESSION] == [
        ("gender", "binary"),
        ("age", "regression"),
    ]
    assert [head_width(head) for head in REGRESSION] == [1, 1]


def test_decades_have_their_middles_and_classes_their_names() -> None:
    _, age, mood = DECADES
    assert (age.name, age.kind, age.unit) == ("age", "decades", "years")
    assert list(age.bins) == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 105]
    assert (mood.name, mood.kind, mood.classes) == ("mood", "classes", ("happy", "sad", "angry"))
    assert (mood.tensor, mood.unit, mood.bins) == ("mood", "", ())
    assert [head_width(head) for head in DECADES] == [1, 11, 3]


def test_gender_targets_are_smoothed_towards_one_half(make_faces: MakeFaces) -> None:
    spec = TrainSpec(label_smoothing_ratio=0.1)
    values = training_targets(make_faces([20, 30], [0, 1]), EXPECTATION, spec).values
    np.testing.assert_allclose(values["gender"], [[0.05], [0.95]], rtol=1e-6)
    assert values["gender"].dtype == np.float32
    assert values["age"].shape == (2, 101)
    assert values["age"].dtype == np.float32
    np.testing.assert_array_equal(values["age"].argmax(axis=1), [20, 30])


def test_age_targets_are_spread_over_bins_or_the_ends_of_the_interval(
    make_faces: MakeFaces,
) -> None:
    faces, spec = make_faces([20, (70, 120), 116], [0, 1, 1]), TrainSpec(age_sigma_years=3.0)
    spread = training_targets(faces, EXPECTATION, spec).values["age"]
    low, high = np.array([20, 70, 116]), np.array([20, 120, 116])
    expected = interval_bins(low, high, AGE_BINS_YEARS, 3.0)
    np.testing.assert_array_equal(spread, expected.astype(np.float32))
    ends = training_targets(faces, REGRESSION, spec).values["age"]
    np.testing.assert_array_equal(ends, np.array([[20, 20], [70, 120], [116, 116]], np.float32))


def test_weights_are_one_where_nothing_is_missing(make_faces: MakeFaces) -> None:
    weights = training_targets(make_faces([20, (3, 9), 5], [0, 1, 1]), EXPECTATION, SPEC).weights
    for name in ("gender", "age"):
        np.testing.assert_array_equal(weights[name], np.ones(3, np.float32))
        assert weights[name].dtype == np.float32


def test_weights_of_missing_labels_are_zero_and_the_others_make_up_for_it(
    make_faces: MakeFaces,
) -> None:
    # five faces, the last without any label: four are shown, one with an age, three with a gender
    faces = make_faces([None, (20, 29), None, None, None], [0, None, 1, 1, None])
    targets = training_targets(faces, EXPECTATION, SPEC)
    np.testing.assert_array_equal(labelled_rows(faces, EXPECTATION), [0, 1, 2, 3])
    np.testing.assert_array_equal(targets.weights["age"], [0, 4 / 1, 0, 0, 0])
    np.testing.assert_allclose(targets.weights["gender"], [4 / 3, 0, 4 / 3, 4 / 3, 0], rtol=1e-6)
    np.testing.assert_array_equal(targets.values["age"][[0, 2, 3, 4]], np.zeros((4, 101)))
    np.testing.assert_array_equal(targets.values["gender"][[1, 4]], np.zeros((2, 1)))


def test_a_label_that_is_drawn_more_often_counts_less(make_faces: MakeFaces) -> None:
    faces = make_faces([30, None, None, None], [None, 0, 1, 0])
    shares = np.array([3.0, 1.0, 1.0, 1.0])  # the age comes in 3 of 6 draws, not in 1 of 4
    weights = training_targets(faces, EXPECTATION, SPEC, shares=shares).weights
    np.testing.assert_array_equal(weights["age"], [6 / 3, 0, 0, 0])
    np.testing.assert_array_equal(weights["gender"], [0, 6 / 3, 6 / 3, 6 / 3])


@pytest.mark.parametrize(
    ("ages", "genders", "text"),
    [
        ([20, (3, 9)], [None, None], "head gender: found no gender among the labels of 2 training"),
        ([None, None], [0, 1], "head age: found no age among the labels of 2 training faces, exp"),
    ],
)
def test_a_head_that_nothing_can_teach_is_an_error(
    make_faces: MakeFaces, ages: list[Any], genders: list[int | None], text: str
) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        training_targets(make_faces(ages, genders), EXPECTATION, SPEC)
    assert "give a data set that has" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("genders", "moods", "says"),
    [
        ([1, 2], [0, 1], "head gender: found class 2, expected 0 to 1 (male, female)"),
        ([1, 0], [3, 1], "head mood: found class 3, expected 0 to 2 (happy, sad, angry)"),
    ],
)
def test_a_label_beyond_the_classes_is_one_clear_line(
    make_faces: MakeFaces, genders: list[int], moods: list[int], says: str
) -> None:
    with pytest.raises(ModelError) as caught:
        training_targets(make_faces([20, 30], genders, mood=moods), DECADES, SPEC)
    assert str(caught.value) == f"{says}; name all classes of the data in the recipe"


def test_class_targets_are_smoothed_towards_all_classes_alike(make_faces: MakeFaces) -> None:
    faces = make_faces([20, 30, 40], [0, 1, 1], mood=[0, None, 2])
    targets = training_targets(faces, DECADES, TrainSpec(label_smoothing_ratio=0.3))
    expected = [[0.8, 0.1, 0.1], [0.0, 0.0, 0.0], [0.1, 0.1, 0.8]]
    np.testing.assert_allclose(targets.values["mood"], expected, rtol=1e-6)
    np.testing.assert_allclose(targets.weights["mood"], [3 / 2, 0, 3 / 2], rtol=1e-6)
    sharp = training_targets(faces, DECADES, TrainSpec(label_smoothing_ratio=0.0)).values["mood"]
    np.testing.assert_array_equal(sharp, [[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    assert sharp.dtype == np.float32


def test_decade_targets_are_the_decade_or_the_shares_of_those_of_an_interval(
    make_faces: MakeFaces,
) -> None:
    faces = make_faces([20, (15, 24), None, 116], [0] * 4, mood=[0] * 4)
    targets = training_targets(faces, DECADES, SPEC)
    expected = np.zeros((4, 11))
    expected[0, 2] = expected[3, 10] = 1
    expected[1, 1] = expected[1, 2] = 1 / 2
    np.testing.assert_array_equal(targets.values["age"], expected)
    assert targets.values["age"].dtype == np.float32
    np.testing.assert_allclose(targets.weights["age"], [4 / 3, 4 / 3, 0, 4 / 3], rtol=1e-6)


def test_any_two_classes_make_a_binary_head(make_faces: MakeFaces) -> None:
    spec = ModelSpec(heads=("glasses",), classes={"glasses": ("without", "with")})
    (glasses,) = heads = head_specs(spec)
    assert (glasses.kind, glasses.classes) == ("binary", ("without", "with"))
    assert head_width(glasses) == 1
    faces = make_faces([None] * 3, [None] * 3, glasses=[1, None, 0])
    targets = training_targets(faces, heads, TrainSpec(label_smoothing_ratio=0.2))
    np.testing.assert_allclose(targets.values["glasses"], [[0.9], [0.0], [0.1]], rtol=1e-6)
    np.testing.assert_array_equal(targets.weights["glasses"], [1, 0, 1])
    decoded = decode_outputs({"glasses": np.array([[0.0], [2.0]], np.float32)}, heads, 32)
    np.testing.assert_allclose(decoded["glasses"], [1 / 2, 1 / (1 + math.exp(-2))], rtol=1e-9)


def test_outputs_are_decoded_by_sigmoid_and_softmax_mean() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, (5, 101)).astype(np.float32)
    gender = rng.normal(0, 4, (5, 1)).astype(np.float32)
    decoded = decode_outputs({"gender": gender, "age": logits}, EXPECTATION, 32)
    weights = np.exp(logits.astype(np.float64))
    years = (weights * np.arange(101)).sum(axis=1) / weights.sum(axis=1)
    np.testing.assert_allclose(decoded["age"], years, rtol=1e-9)
    p_female = 1 / (1 + np.exp(-gender[:, 0].astype(np.float64)))
    np.testing.assert_allclose(decoded["gender"], p_female, rtol=1e-9)


def test_a_regression_output_is_the_years_themselves() -> None:
    raw = {"gender": np.zeros((2, 1), np.float32), "age": np.array([[31.5], [-2]], np.float32)}
    decoded = decode_outputs(raw, REGRESSION, 32)
    np.testing.assert_array_equal(decoded["age"], [31.5, -2])
    np.testing.assert_array_equal(decoded["gender"], [0.5, 0.5])


def test_classes_are_probabilities_and_decades_the_likeliest_middle() -> None:
    rng = np.random.default_rng(3)
    mood, age = (rng.normal(0, 4, (6, units)).astype(np.float32) for units in (3, 11))
    age[0, 10] = 50  # over a hundred
    raw = {"gender": np.zeros((6, 1), np.float32), "age": age, "mood": mood}
    decoded = decode_outputs(raw, DECADES, 32)
    powers = np.exp(mood.astype(np.float64))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(decoded["mood"], expected, rtol=1e-9)
    np.testing.assert_array_equal(decoded["age"], 10 * age.argmax(axis=1) + 5)
    assert decoded["age"][0] == 105
    assert {name: values.dtype for name, values in decoded.items()} == dict.fromkeys(
        raw, np.dtype(np.float64)
    )


@settings(max_examples=30, deadline=None)
@given(age=st.integers(10, 90))
def test_a_perfect_output_is_read_as_the_age(age: int) -> None:
    # log of the target is the output that the loss asks for
    target = interval_bins(np.array([age]), np.array([age]), AGE_BINS_YEARS, 2.0)
    raw = {"gender": np.zeros((1, 1), np.float32), "age": np.log(target + 1e-30, dtype=np.float64)}
    decoded = decode_outputs(
        {name: array.astype(np.float32) for name, array in raw.items()}, EXPECTATION, 32
    )
    assert decoded["age"][0] == pytest.approx(age, abs=1e-3)
