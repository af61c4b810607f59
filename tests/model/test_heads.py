"""Targets, losses and decoding of the heads, against plain numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.config import ModelSpec, TrainSpec
from edgeface.data.faces import Faces
from edgeface.model.heads import (
    AGE_BINS_YEARS,
    decode_outputs,
    head_specs,
    head_width,
    losses,
    soft_bins,
    training_targets,
)

EXPECTATION = head_specs(ModelSpec(age_head="expectation"))
REGRESSION = head_specs(ModelSpec(age_head="regression"))


def labelled(ages: list[float], genders: list[int]) -> Faces:
    return Faces(
        ids=tuple(str(i) for i in range(len(ages))),
        images=np.zeros((len(ages), 32, 32, 3), np.uint8),
        age_years=np.array(ages, np.float32),
        gender=np.array(genders, np.int64),
    )


@settings(max_examples=100, deadline=None)
@given(
    ages=st.lists(st.floats(-5, 130), min_size=1, max_size=20),
    sigma=st.floats(0.3, 20),
)
def test_soft_bins_are_distributions_whatever_the_age(ages: list[float], sigma: float) -> None:
    target = soft_bins(np.array(ages), AGE_BINS_YEARS, sigma)
    assert target.shape == (len(ages), 101)
    assert (target >= 0).all()
    np.testing.assert_allclose(target.sum(axis=1), 1, rtol=1e-12)


@settings(max_examples=100, deadline=None)
@given(sigma=st.floats(1, 4), share=st.floats(0, 1))
def test_mean_of_soft_bins_is_the_age_where_no_tail_is_cut_off(sigma: float, share: float) -> None:
    # 5σ from either end: what the ends cut off moves the mean by less than 1e-5 σ; and from σ = 1
    # on the sum over whole years is the integral to 1e-7 (Poisson summation)
    age = 5 * sigma + share * (100 - 10 * sigma)
    target = soft_bins(np.array([age]), AGE_BINS_YEARS, sigma)
    assert target[0] @ np.array(AGE_BINS_YEARS) == pytest.approx(age, abs=1e-4)


def test_soft_bins_by_a_plain_loop() -> None:
    ages, sigma = [0.0, 33.0, 99.5, 116.0], 2.0
    expected = []
    for age in ages:
        weights = [math.exp(-((min(age, 100.0) - b) ** 2) / (2 * sigma**2)) for b in range(101)]
        expected.append([weight / sum(weights) for weight in weights])
    np.testing.assert_allclose(soft_bins(np.array(ages), AGE_BINS_YEARS, sigma), expected)


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


def test_gender_targets_are_smoothed_towards_one_half() -> None:
    spec = TrainSpec(label_smoothing_ratio=0.1)
    targets = training_targets(labelled([20, 30], [0, 1]), EXPECTATION, spec)
    np.testing.assert_allclose(targets["gender"], [[0.05], [0.95]], rtol=1e-6)
    assert targets["gender"].dtype == np.float32
    assert targets["age"].shape == (2, 101)
    assert targets["age"].dtype == np.float32
    np.testing.assert_array_equal(targets["age"].argmax(axis=1), [20, 30])


def test_regression_targets_are_the_years() -> None:
    targets = training_targets(labelled([20, 116], [0, 1]), REGRESSION, TrainSpec())
    np.testing.assert_array_equal(targets["age"], np.array([[20], [116]], np.float32))


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
    assert float(losses(REGRESSION)["age"]([[20.0], [30.0]], [[23.0], [29.0]])) == 2.0


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
    target = soft_bins(np.array([float(age)]), AGE_BINS_YEARS, 2.0)
    raw = {"gender": np.zeros((1, 1), np.float32), "age": np.log(target + 1e-30, dtype=np.float64)}
    decoded = decode_outputs(
        {name: array.astype(np.float32) for name, array in raw.items()}, EXPECTATION, 32
    )
    assert decoded["age"][0] == pytest.approx(age, abs=1e-3)
