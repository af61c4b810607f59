"""Targets, masks, losses and decoding of the heads, against plain numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.config import ModelSpec, TrainSpec
from edgeface.data.age_targets import interval_bins
from edgeface.data.faces import Faces
from edgeface.errors import ModelError
from edgeface.model.heads import (
    AGE_BINS_YEARS,
    decode_outputs,
    distance_to_interval,
    head_specs,
    head_width,
    labelled_rows,
    losses,
    training_targets,
)
from edgeface.types import HeadSpec

EXPECTATION = head_specs(ModelSpec(age_head="expectation"))
REGRESSION = head_specs(ModelSpec(age_head="regression"))
SPEC = TrainSpec(label_smoothing_ratio=0.1, age_sigma_years=2.0)
AGE_WEIGHT = 0.5
Arrays = Mapping[str, Any]
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


AGES = st.one_of(
    st.none(),
    st.integers(0, 120),
    st.tuples(st.integers(0, 120), st.integers(0, 120)).map(lambda pair: (min(pair), max(pair))),
)
LABELS = st.lists(st.tuples(AGES, st.sampled_from([None, 0, 1])), min_size=12, max_size=12).filter(
    lambda faces: any(a is not None for a, _ in faces) and any(g is not None for _, g in faces)
)


class Scales:
    """A model whose outputs are its inputs, compiled with the heads' losses."""

    def __init__(self, heads: tuple[HeadSpec, ...]) -> None:
        inputs = {head.name: keras.Input((head_width(head),), name=head.name) for head in heads}
        self.heads = heads
        self.model = keras.Model(inputs, {name: x * 1.0 for name, x in inputs.items()})
        self.model.compile(loss=losses(heads), loss_weights={"gender": 1.0, "age": AGE_WEIGHT})

    def loss(self, outputs: Arrays, values: Arrays, weights: Arrays) -> Any:
        """What Keras makes of one batch: the weighted sum of the heads' losses."""
        tensors = [
            {name: tf.convert_to_tensor(array) for name, array in arrays.items()}
            for arrays in (values, outputs, weights)
        ]
        return self.model.compiled_loss(*tensors)

    def random_outputs(self, seed: int, count: int) -> dict[str, NDArray[np.float32]]:
        rng = np.random.default_rng(seed)
        scale = {"binary": 3, "expectation": 3, "regression": 60}
        return {
            head.name: rng.normal(0, scale[head.kind], (count, head_width(head))).astype(np.float32)
            for head in self.heads
        }


@pytest.fixture(scope="module", params=[EXPECTATION, REGRESSION], ids=["bins", "regression"])
def scales(request: pytest.FixtureRequest) -> Scales:
    return Scales(request.param)


def textbook_losses(
    heads: tuple[HeadSpec, ...], outputs: dict[str, NDArray[np.float32]], faces: Faces
) -> dict[str, float]:
    """Oracle: each head's mean loss, face by face, over the faces that have its label."""
    found: dict[str, list[float]] = {head.name: [] for head in heads}
    smooth, sigma = SPEC.label_smoothing_ratio, SPEC.age_sigma_years
    for i, gender in enumerate(faces.classes["gender"]):
        low, high = int(faces.age_low_years[i]), int(faces.age_high_years[i])
        if gender >= 0:
            p = 1 / (1 + math.exp(-float(outputs["gender"][i, 0])))
            truth = gender * (1 - smooth) + smooth / 2
            found["gender"].append(-truth * math.log(p) - (1 - truth) * math.log(1 - p))
        if low >= 0 and heads[1].kind == "regression":
            years = float(outputs["age"][i, 0])
            found["age"].append(max(low - years, 0, years - high))
        elif low >= 0:
            target = interval_bins(np.array([low]), np.array([high]), AGE_BINS_YEARS, sigma)[0]
            logits = outputs["age"][i].astype(np.float64)
            found["age"].append(float(target @ (np.log(np.exp(logits).sum()) - logits)))
    return {name: float(np.mean(each)) for name, each in found.items()}


@settings(max_examples=25, deadline=None)
@given(
    labels=LABELS,
    seed=st.integers(0, 1000),
    batch_size=st.sampled_from([1, 3, 12]),  # whether a batch holds one label, all, or none
)
def test_the_loss_is_the_mean_over_labelled_faces_however_they_fall_into_batches(
    scales: Scales,
    make_faces: MakeFaces,
    labels: list[tuple[Any, int | None]],
    seed: int,
    batch_size: int,
) -> None:
    faces = make_faces([age for age, _ in labels], [gender for _, gender in labels])
    targets = training_targets(faces, scales.heads, SPEC)
    outputs = scales.random_outputs(seed, len(faces))
    # the labelled faces, so often that every batch is full
    order = np.tile(labelled_rows(faces, scales.heads), batch_size).reshape(-1, batch_size)
    found = [
        scales.loss(
            {name: outputs[name][rows] for name in outputs},
            {name: targets.values[name][rows] for name in outputs},
            {name: targets.weights[name][rows] for name in outputs},
        )
        for rows in order
    ]
    expected = textbook_losses(scales.heads, outputs, faces)
    total = expected["gender"] + AGE_WEIGHT * expected["age"]
    assert np.mean(found) == pytest.approx(total, rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 1000))
def test_no_gradient_comes_from_a_face_without_the_label(
    scales: Scales, make_faces: MakeFaces, labels: list[tuple[Any, int | None]], seed: int
) -> None:
    faces = make_faces([age for age, _ in labels], [gender for _, gender in labels])
    targets = training_targets(faces, scales.heads, SPEC)
    outputs = {name: tf.constant(x) for name, x in scales.random_outputs(seed, 12).items()}
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = scales.loss(outputs, targets.values, targets.weights)
    gradient = {name: x.numpy() for name, x in tape.gradient(loss, outputs).items()}
    unknown = {"gender": faces.classes["gender"] < 0, "age": faces.age_low_years < 0}
    for name, without in unknown.items():
        assert np.isfinite(gradient[name]).all()
        np.testing.assert_array_equal(gradient[name][without], 0)
        moved = np.any(gradient[name][~without] != 0, axis=1)
        # a regression inside its interval is right already
        assert moved.all() or scales.heads[1].kind == "regression"


@settings(max_examples=40, deadline=None)
@given(labels=LABELS, shares=st.lists(st.floats(0.01, 9), min_size=12, max_size=12))
def test_each_head_counts_one_in_the_mean_draw(
    make_faces: MakeFaces, labels: list[tuple[Any, int | None]], shares: list[float]
) -> None:
    faces = make_faces([age for age, _ in labels], [gender for _, gender in labels])
    drawn = np.zeros(12)
    rows = labelled_rows(faces, EXPECTATION)
    drawn[rows] = np.array(shares)[rows]
    weights = training_targets(faces, EXPECTATION, SPEC, shares=drawn).weights
    for name in ("gender", "age"):
        assert np.average(weights[name], weights=drawn) == pytest.approx(1, rel=1e-5)
        assert len(set(weights[name].tolist()) - {0.0}) == 1, "one constant"


@pytest.mark.parametrize(
    ("ages", "genders", "text"),
    [
        ([20, (3, 9)], [None, None], "head gender: found no gender among the labels of 2 training"),
        ([None, None], [0, 1], "head age: found no age among the labels of 2 training faces, exp"),
        ([20, 30], [1, 2], "head gender: found class 2, expected 0 or 1"),
    ],
)
def test_a_head_that_nothing_can_teach_is_an_error(
    make_faces: MakeFaces, ages: list[Any], genders: list[int | None], text: str
) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        training_targets(make_faces(ages, genders), EXPECTATION, SPEC)
    assert "give a data set that has" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_loss_of_an_interval_is_the_distance_to_it() -> None:
    # below, at the low end, inside, at the high end, above; then an exact age from either side
    interval = tf.constant([[20.0, 29.0]] * 5 + [[40.0, 40.0]] * 3)
    predicted = tf.constant([[17.5], [20.0], [24.0], [29.0], [33.0], [38.0], [40.0], [41.5]])
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        loss = distance_to_interval(interval, predicted)
    np.testing.assert_array_equal(loss, [2.5, 0, 0, 0, 4, 2, 0, 1.5])
    np.testing.assert_array_equal(tape.gradient(loss, predicted)[:, 0], [-1, 0, 0, 0, 1, -1, 0, 1])


def test_loss_of_exact_ages_is_the_absolute_error() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 117, (200, 1)).astype(np.float32)
    predicted = rng.normal(40, 30, (200, 1)).astype(np.float32)
    found = distance_to_interval(tf.constant(np.tile(truth, 2)), tf.constant(predicted))
    np.testing.assert_array_equal(found, np.abs(predicted - truth)[:, 0])
    assert np.isnan(distance_to_interval(tf.constant([[1.0, 2.0]]), tf.constant([[math.nan]])))


def test_losses_are_the_textbook_formulas_on_logits() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (4, 101)).astype(np.float32)
    target = rng.dirichlet(np.ones(101), 4).astype(np.float32)
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -(target * log_softmax).sum(axis=1).mean()
    found = losses(EXPECTATION)
    assert float(found["age"](target, logits)) == pytest.approx(expected, rel=1e-5)
    logit, truth = logits[:, :1], target[:, :1]
    p = 1 / (1 + np.exp(-logit))
    expected = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean()
    assert float(found["gender"](truth, logit)) == pytest.approx(expected, rel=1e-5)
    assert losses(REGRESSION)["age"] is distance_to_interval


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
