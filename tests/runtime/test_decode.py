"""`decode` against softmax and sigmoid written out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, List, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.errors import ArtifactError
from edgeface.runtime.decode import (
    class_numbers,
    decode,
    expectation,
    median,
    output_units,
    sigmoid,
    softmax,
)
from edgeface.types import Contract, HeadSpec, ImageSpec, TensorSpec

INPUT = TensorSpec("image", (1, 8, 8, 3), "float32")
AGE = HeadSpec(name="age", kind="expectation", tensor="a", bins=(0.0, 10.0, 30.0), unit="years")
GENDER = HeadSpec(name="gender", kind="binary", tensor="g", classes=("male", "female"))
SMILE = HeadSpec(name="smile", kind="regression", tensor="s", unit="ratio")
MOOD = HeadSpec(name="mood", kind="classes", tensor="m", classes=("sad", "calm", "happy"))
DECADE = HeadSpec(name="decade", kind="decades", tensor="d", bins=(5.0, 15.0, 25.0), unit="years")


def contract_of(outputs: Sequence[TensorSpec], heads: Sequence[HeadSpec]) -> Contract:
    return Contract(ImageSpec(8), INPUT, tuple(outputs), tuple(heads))


def softmax_mean(logits: Sequence[float], bins: Sequence[float]) -> float:
    weights = [math.exp(logit) for logit in logits]
    mean = sum(weight * value for weight, value in zip(weights, bins))  # noqa: B905
    return mean / sum(weights)


def test_three_kinds_of_heads_in_a_batch() -> None:
    outputs = [
        TensorSpec("g", (1, 1), "int8", 0.1, 10),
        TensorSpec("s", (1, 1), "float32"),
        TensorSpec("a", (1, 3), "uint8", 0.5, 128),
    ]
    raw: List[NDArray[Any]] = [
        np.array([[10], [30]], np.int8),
        np.array([[0.25], [-1.0]], np.float32),
        np.array([[128, 130, 132], [255, 0, 0]], np.uint8),
    ]
    values = decode(raw, contract_of(outputs, [AGE, GENDER, SMILE]))
    assert list(values) == ["age", "gender", "smile"]
    # (10 - 10) * 0.1 = 0 and (30 - 10) * 0.1 = 2
    np.testing.assert_allclose(values["gender"], [0.5, 1 / (1 + math.exp(-2.0))], rtol=1e-12)
    # (128, 130, 132 - 128) * 0.5 = 0, 1, 2; (255 - 128) * 0.5 = 63.5 against -64
    expected = [softmax_mean([0, 1, 2], AGE.bins), 0.0]
    np.testing.assert_allclose(values["age"], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(values["smile"], [0.25, -1.0])
    assert all(array.dtype == np.float64 for array in values.values())


def test_classes_and_decades_in_a_batch() -> None:
    outputs = [
        TensorSpec("m", (1, 3), "int8", 0.5, -10),
        TensorSpec("d", (1, 3), "uint8", 0.25, 128),
    ]
    raw: List[NDArray[Any]] = [
        np.array([[-10, -8, -6], [127, -128, -128]], np.int8),
        np.array([[0, 200, 199], [130, 130, 129]], np.uint8),
    ]
    values = decode(raw, contract_of(outputs, [DECADE, MOOD]))
    assert list(values) == ["decade", "mood"]
    # the likeliest bin, and the first of two that are equally likely
    np.testing.assert_array_equal(values["decade"], [15.0, 5.0])
    # (-10, -8, -6 + 10) * 0.5 = 0, 1, 2; (127 + 10) * 0.5 = 68.5 against -59
    sum_of_three = 1 + math.e + math.e**2
    first = np.array([1.0, math.e, math.e**2]) / sum_of_three
    expected = np.stack([first, np.array([1.0, 0.0, 0.0])])
    np.testing.assert_allclose(values["mood"], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(class_numbers(values["mood"], MOOD), [2, 0])
    assert all(array.dtype == np.float64 for array in values.values())


def test_half_of_the_probability_lies_below_the_median() -> None:
    bins = (0.0, 10.0, 30.0)  # bin by bin from -5 to 5, to 20, to 40
    shares = np.array(
        [
            [0.25, 0.5, 0.25],  # half of the middle one is left to reach a half: 5 + 15 / 2
            [0.2, 0.2, 0.6],  # a sixth of the last: 20 + 20 / 6
            [0.8, 0.1, 0.1],  # five eighths of the first: -5 + 10 * 5 / 8
            [1.0, 0.0, 0.0],
            [0.0, 0.0, 1.0],
        ]
    )
    expected = [12.5, 20 + 20 / 6, 1.25, 0.0, 30.0]
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(shares), -800.0)
    np.testing.assert_allclose(median(logits, bins), expected, rtol=1e-12, atol=1e-12)
    (decoded,) = decode(
        [logits[:, ::-1].astype(np.float32)],
        contract_of(
            [TensorSpec("a", (1, 3), "float32")], [replace(AGE, kind="median", bins=(5, 15, 25))]
        ),
    ).values()
    np.testing.assert_allclose(decoded[:2], [15.0, 10 - 10 / 6], rtol=1e-6)


@given(logits=st.lists(st.floats(-6, 6), min_size=4, max_size=4), at=st.floats(-1, 1))
def test_no_value_has_a_smaller_expected_error_than_the_median(
    logits: List[float], at: float
) -> None:
    bins = np.array([0.0, 10.0, 20.0, 30.0])
    # 1,000 evenly spread values of each bin stand for its share; what lies beyond the ends counts
    spread = (np.arange(1000) + 0.5) / 100 - 5
    values, weights = bins[:, None] + spread, softmax(np.array([logits]))[0][:, None] / 1000

    def error(guess: float) -> float:
        return float((weights * np.abs(values - guess)).sum())

    found = float(median(np.array([logits]), bins.tolist())[0])
    assert 0.0 <= found <= 30.0
    other = min(max(found + 10 * at, 0.0), 30.0)
    assert error(found) <= error(other) + 1e-3


def test_the_class_that_is_named() -> None:
    np.testing.assert_array_equal(
        class_numbers(np.array([0.0, 0.49999, 0.5, 1.0]), GENDER), [0, 0, 1, 1]
    )
    probabilities = np.array([[0.2, 0.4, 0.4], [0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])
    named = class_numbers(probabilities, MOOD)
    np.testing.assert_array_equal(named, [1, 0, 2])
    assert named.dtype == np.int64


@pytest.mark.parametrize(
    ("head", "units"),
    [
        (AGE, 3),
        (replace(AGE, kind="median"), 3),
        (GENDER, 1),
        (SMILE, 1),
        (MOOD, 3),
        (DECADE, 3),
    ],
)
def test_units_of_each_kind(head: HeadSpec, units: int) -> None:
    assert output_units(head) == units


@given(logits=st.lists(st.floats(-700, 700), min_size=2, max_size=7))
def test_a_softmax_adds_up_and_keeps_the_order(logits: List[float]) -> None:
    (probabilities,) = softmax(np.array([logits]))
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-12)
    assert (probabilities >= 0).all()
    assert probabilities[int(np.argmax(logits))] == probabilities.max()


@given(logits=st.lists(st.floats(-50, 50), min_size=3, max_size=3))
def test_expectation_is_the_softmax_mean_and_stays_within_the_bins(logits: List[float]) -> None:
    value = float(expectation(np.array([logits]), AGE.bins)[0])
    assert value == pytest.approx(softmax_mean(logits, AGE.bins), rel=1e-9, abs=1e-12)
    assert 0.0 <= value <= 30.0 + 1e-9


@given(shift=st.floats(-1e4, 1e4))
def test_expectation_does_not_depend_on_a_shift(shift: float) -> None:
    logits = np.array([[0.5, -1.0, 2.0]])
    np.testing.assert_allclose(
        expectation(logits + shift, AGE.bins), expectation(logits, AGE.bins), rtol=1e-9
    )


@given(x=st.floats(-30, 30))
def test_sigmoid_is_the_logistic_function_and_symmetric(x: float) -> None:
    p, q = sigmoid(np.array([x, -x]))
    assert p == pytest.approx(1 / (1 + math.exp(-x)), rel=1e-12)
    assert p + q == pytest.approx(1.0, abs=1e-15)


def test_extreme_logits_do_not_overflow() -> None:  # a warning would be an error
    np.testing.assert_array_equal(sigmoid(np.array([-1e4, 0.0, 1e4])), [0.0, 0.5, 1.0])
    extreme = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, 1e4]])
    np.testing.assert_array_equal(expectation(extreme, AGE.bins), [0.0, 30.0])


def test_an_empty_batch_gives_empty_values() -> None:
    widths = {"a": 3, "g": 1, "m": 3, "d": 3}
    outputs = [TensorSpec(name, (1, width), "float32") for name, width in widths.items()]
    raw = [np.empty((0, width), np.float32) for width in widths.values()]
    values = decode(raw, contract_of(outputs, [AGE, GENDER, MOOD, DECADE]))
    assert values["age"].shape == values["gender"].shape == values["decade"].shape == (0,)
    assert values["mood"].shape == (0, 3)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ([], "found 0 outputs, expected 1"),
        ([np.zeros((2, 4), np.float32)], r"head age: found values of shape \[2, 4\], expected"),
        ([np.zeros(3, np.float32)], r"head age: found values of shape \[3\], expected \[B, 3\]"),
        ([np.zeros((1, 3), np.int8)], "tensor a: found int8 values, expected float32"),
        ([np.full((1, 3), np.nan, np.float32)], "tensor a: found values that are not finite"),
        ([np.full((1, 3), np.inf, np.float32)], "tensor a: found values that are not finite"),
    ],
)
def test_outputs_that_are_not_the_contracts_are_refused(raw: List[NDArray[Any]], text: str) -> None:
    contract = contract_of([TensorSpec("a", (1, 3), "float32")], [AGE])
    with pytest.raises(ArtifactError, match=text):
        decode(raw, contract)
