"""Losses of the heads, and what a missing label leaves of them, against plain numpy."""

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
from edgeface.data.age_targets import decade_shares, interval_bins
from edgeface.data.faces import Faces
from edgeface.model.heads import (
    AGE_BINS_YEARS,
    DECADES_YEARS,
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
DECADES = head_specs(
    ModelSpec(
        heads=("gender", "age", "mood"),
        classes={"mood": ("happy", "sad", "angry")},
        age_head="decades",
    )
)
SPEC = TrainSpec(label_smoothing_ratio=0.1, age_sigma_years=2.0)
AGE_WEIGHT = 0.5
Arrays = Mapping[str, Any]
MakeFaces = Callable[..., Faces]

AGES = st.one_of(
    st.none(),
    st.integers(0, 120),
    st.tuples(st.integers(0, 120), st.integers(0, 120)).map(lambda pair: (min(pair), max(pair))),
)
Labels = list[tuple[Any, int | None, int | None]]
LABELS = st.lists(
    st.tuples(AGES, st.sampled_from([None, 0, 1]), st.sampled_from([None, 0, 1, 2])),
    min_size=12,
    max_size=12,
).filter(
    lambda faces: all(any(x is not None for x in column) for column in zip(*faces, strict=True))
)


def faces_of(make_faces: MakeFaces, labels: Labels) -> Faces:
    ages, genders, moods = zip(*labels, strict=True)
    return make_faces(list(ages), list(genders), mood=list(moods))


class Scales:
    """A model whose outputs are its inputs, compiled with the heads' losses."""

    def __init__(self, heads: tuple[HeadSpec, ...]) -> None:
        inputs = {head.name: keras.Input((head_width(head),), name=head.name) for head in heads}
        self.heads = heads
        self.model = keras.Model(inputs, {name: x * 1.0 for name, x in inputs.items()})
        self.loss_weights = {head.name: AGE_WEIGHT if head.unit else 1.0 for head in heads}
        self.model.compile(loss=losses(heads), loss_weights=self.loss_weights)

    def loss(self, outputs: Arrays, values: Arrays, weights: Arrays) -> Any:
        """What Keras makes of one batch: the weighted sum of the heads' losses."""
        tensors = [
            {name: tf.convert_to_tensor(array) for name, array in arrays.items()}
            for arrays in (values, outputs, weights)
        ]
        return self.model.compiled_loss(*tensors)

    def random_outputs(self, seed: int, count: int) -> dict[str, NDArray[np.float32]]:
        rng = np.random.default_rng(seed)
        scale = {head.name: 60 if head.kind == "regression" else 3 for head in self.heads}
        return {
            head.name: rng.normal(0, scale[head.name], (count, head_width(head))).astype(np.float32)
            for head in self.heads
        }


@pytest.fixture(
    scope="module",
    params=[EXPECTATION, REGRESSION, DECADES],
    ids=["bins", "regression", "decades and classes"],
)
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
        elif low >= 0 and heads[1].kind == "decades":
            target = decade_shares(np.array([low]), np.array([high]), DECADES_YEARS)[0]
            found["age"].append(cross_entropy(target, outputs["age"][i]))
        elif low >= 0:
            target = interval_bins(np.array([low]), np.array([high]), AGE_BINS_YEARS, sigma)[0]
            found["age"].append(cross_entropy(target, outputs["age"][i]))
        if "mood" in found and faces.classes["mood"][i] >= 0:
            target = np.eye(3)[faces.classes["mood"][i]] * (1 - smooth) + smooth / 3
            found["mood"].append(cross_entropy(target, outputs["mood"][i]))
    return {name: float(np.mean(each)) for name, each in found.items()}


def cross_entropy(target: NDArray[np.float64], logits: NDArray[np.float32]) -> float:
    wide = logits.astype(np.float64)
    return float(target @ (np.log(np.exp(wide).sum()) - wide))


@settings(max_examples=15, deadline=None)
@given(
    labels=LABELS,
    seed=st.integers(0, 1000),
    batch_size=st.sampled_from([1, 3, 12]),  # whether a batch holds one label, all, or none
)
def test_the_loss_is_the_mean_over_labelled_faces_however_they_fall_into_batches(
    scales: Scales,
    make_faces: MakeFaces,
    labels: Labels,
    seed: int,
    batch_size: int,
) -> None:
    faces = faces_of(make_faces, labels)
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
    total = sum(scales.loss_weights[name] * loss for name, loss in expected.items())
    assert np.mean(found) == pytest.approx(total, rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 1000))
def test_no_gradient_comes_from_a_face_without_the_label(
    scales: Scales, make_faces: MakeFaces, labels: Labels, seed: int
) -> None:
    faces = faces_of(make_faces, labels)
    targets = training_targets(faces, scales.heads, SPEC)
    outputs = {name: tf.constant(x) for name, x in scales.random_outputs(seed, 12).items()}
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = scales.loss(outputs, targets.values, targets.weights)
    gradient = {name: x.numpy() for name, x in tape.gradient(loss, outputs).items()}
    unknown = {name: numbers < 0 for name, numbers in faces.classes.items()}
    unknown["age"] = faces.age_low_years < 0
    for name in outputs:
        without = unknown[name]
        assert np.isfinite(gradient[name]).all()
        np.testing.assert_array_equal(gradient[name][without], 0)
        moved = np.any(gradient[name][~without] != 0, axis=1)
        # a regression inside its interval is right already
        assert moved.all() or scales.heads[1].kind == "regression"


@settings(max_examples=40, deadline=None)
@given(labels=LABELS, shares=st.lists(st.floats(0.01, 9), min_size=12, max_size=12))
def test_each_head_counts_one_in_the_mean_draw(
    make_faces: MakeFaces, labels: Labels, shares: list[float]
) -> None:
    faces = faces_of(make_faces, labels)
    drawn = np.zeros(12)
    rows = labelled_rows(faces, DECADES)
    drawn[rows] = np.array(shares)[rows]
    weights = training_targets(faces, DECADES, SPEC, shares=drawn).weights
    for name in ("gender", "age", "mood"):
        assert np.average(weights[name], weights=drawn) == pytest.approx(1, rel=1e-5)
        assert len(set(weights[name].tolist()) - {0.0}) == 1, "one constant"


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
    assert list(losses(DECADES)) == ["gender", "age", "mood"]
    for name, units in (("age", 11), ("mood", 3)):
        one_hot = np.eye(units, dtype=np.float32)[[0, 2, 1, 2]]
        right = np.exp(logits[range(4), [0, 2, 1, 2]])
        expected = -np.log(right / np.exp(logits[:, :units]).sum(axis=1)).mean()
        found_loss = float(losses(DECADES)[name](one_hot, logits[:, :units]))
        assert found_loss == pytest.approx(expected, rel=1e-5)
