"""Differences are counted in steps of int8 without wrapping round, and figures must agree."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.bench.device_outputs import measure_outputs, predictions_of, unpack_outputs
from edgeface.bench.parity import (
    PARITY_FLOAT,
    MetricAgreement,
    Parity,
    TensorParity,
    compare_figures,
    compare_outputs,
)
from edgeface.errors import BenchmarkError
from edgeface.types import Contract, HeadSpec, ImageSpec, Metric, Quality, TensorSpec

CONTRACT = Contract(
    image=ImageSpec(side_px=32),
    input=TensorSpec(name="image", shape=(1, 32, 32, 3), dtype="uint8", scale=1.0, zero_point=0),
    outputs=(
        TensorSpec(name="age", shape=(1, 2), dtype="int8", scale=1.0, zero_point=0),
        TensorSpec(name="gender", shape=(1, 1), dtype="float32"),
    ),
    heads=(
        HeadSpec(name="gender", kind="binary", tensor="gender", classes=("male", "female")),
        HeadSpec(name="age", kind="expectation", tensor="age", bins=(20.0, 40.0), unit="years"),
    ),
)
AGE = np.array([[0, 0], [100, -100], [-128, 127]], np.int8)
GENDER = np.array([[0.0], [2.0], [-2.0]], np.float32)


def packed(array: NDArray[Any], **changes: Any) -> dict[str, Any]:
    """As the device sends it."""
    made = {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "base64": base64.b64encode(array.tobytes()).decode(),
    }
    return made | changes


def reply(**changes: Any) -> dict[str, Any]:
    made = {
        "runtime": "tflite-runtime",
        "runtime_version": "2.14.0",
        "threads": 2,
        "images": 3,
        "outputs": {"gender": packed(GENDER), "age": packed(AGE)},
    }
    return made | changes


def measured(answer: dict[str, Any]) -> Any:
    asked = []

    def worker(arguments: tuple[str, ...], timeout_s: float) -> dict[str, Any]:
        asked.append(arguments)
        assert timeout_s > 60
        return answer

    paths = (Path("m.tflite"), Path("faces.npz"))
    found = measure_outputs(*paths, CONTRACT, images=3, threads=2, worker=worker, where="rpi, m")
    assert asked == [("outputs", "m.tflite", "faces.npz", "--threads", "2")]
    return found


def test_what_the_device_sends_becomes_the_same_arrays() -> None:
    found = measured(reply())
    assert list(found.outputs) == ["age", "gender"]  # the contract's order
    np.testing.assert_array_equal(found.outputs["age"], AGE)
    np.testing.assert_array_equal(found.outputs["gender"], GENDER)
    assert found.outputs["age"].dtype == np.int8
    assert (found.runtime.name, found.runtime.version) == ("tflite-runtime", "2.14.0")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"images": 2}, "ran 2 images with 2 threads, expected 3 with 2"),
        ({"threads": 1}, "ran 3 images with 1 threads"),
        ({"outputs": {"age": packed(AGE)}}, "found outputs age, expected age, gender"),
        ({"outputs": {"age": packed(AGE), "gender": 1}}, "gender: is not as agreed"),
        ({"runtime": 3}, "the runner's answer is not as agreed: runtime"),
    ],
)
def test_an_answer_that_is_not_as_agreed_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(BenchmarkError, match=text) as caught:
        measured(reply(**changes))
    assert "rpi, m" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"dtype": "uint8"}, r"age: found uint8 \[3, 2\], expected int8 \[3, 2\]"),
        ({"shape": [2, 3]}, r"found int8 \[2, 3\]"),
        ({"base64": "AAAA"}, "found 3 bytes, expected 6"),
        ({"base64": "?"}, "is not as agreed"),
        ({"more": 1}, "more: unknown key"),
    ],
)
def test_a_tensor_that_is_not_the_contracts_is_refused(changes: dict[str, Any], text: str) -> None:
    outputs = {"age": packed(AGE, **changes), "gender": packed(GENDER)}
    with pytest.raises(BenchmarkError, match=text):
        unpack_outputs(outputs, CONTRACT.outputs, images=3, where="rpi")


def test_outputs_that_are_no_table_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="found outputs list, expected age, gender"):
        unpack_outputs([], CONTRACT.outputs, images=3, where="rpi")


def test_the_device_s_outputs_are_decoded_here() -> None:
    found = predictions_of({"gender": GENDER, "age": AGE}, CONTRACT, where="rpi")
    np.testing.assert_allclose(found["gender"], 1 / (1 + np.exp(-GENDER[:, 0].astype(float))))
    # equal logits: the middle; 200 or more apart: the one bin
    np.testing.assert_allclose(found["age"], [30.0, 20.0, 40.0])
    with pytest.raises(BenchmarkError, match="rpi: no output tensor 'gender'"):
        predictions_of({"age": AGE}, CONTRACT, where="rpi")
    with pytest.raises(BenchmarkError, match="rpi: tensor gender: found values that are not fin"):
        predictions_of({"gender": GENDER * np.float32(np.nan), "age": AGE}, CONTRACT, where="rpi")


def test_steps_are_counted_without_wrapping_round() -> None:
    here = {"age": np.array([[-128, 127, 0, 5]], np.int8)}
    there = {"age": np.array([[127, -128, 1, 5]], np.int8)}
    (found,) = compare_outputs(here, there, where="rpi")
    assert found == TensorParity(
        tensor="age",
        unit="steps",
        values=4,
        largest=255.0,
        mean=(255 + 255 + 1 + 0) / 4,
        share_equal_ratio=0.25,
    )
    assert not found.holds


@given(
    values=st.lists(st.tuples(*[st.integers(-128, 127)] * 2), min_size=1, max_size=8),
)
@settings(max_examples=20, deadline=None)
def test_steps_are_those_of_plain_integers(values: list[tuple[int, int]]) -> None:
    here, there = (np.array([side], np.int8) for side in zip(*values, strict=True))
    (found,) = compare_outputs({"t": here}, {"t": there}, where="rpi")
    differences = [abs(a - b) for a, b in values]
    assert found.largest == max(differences)
    assert found.mean == pytest.approx(sum(differences) / len(values))
    assert found.share_equal_ratio == differences.count(0) / len(values)
    assert found.holds == (max(differences) <= 1)


def test_one_step_holds_and_two_do_not() -> None:
    for steps, holds in ((0, True), (1, True), (2, False)):
        (found,) = compare_outputs({"t": AGE[:1]}, {"t": AGE[:1] + np.int8(steps)}, where="rpi")
        assert found.holds is holds


@pytest.mark.parametrize(("by", "holds"), [(PARITY_FLOAT / 2, True), (PARITY_FLOAT * 2, False)])
def test_floats_are_compared_absolutely(by: float, holds: bool) -> None:
    (found,) = compare_outputs({"t": GENDER}, {"t": GENDER + np.float32(by)}, where="rpi")
    assert found.unit == "absolute"
    assert found.largest == pytest.approx(by, rel=1e-3)
    assert found.holds is holds


@pytest.mark.parametrize(
    ("there", "text"),
    [
        ({"u": AGE}, "expected those here"),
        ({"t": AGE.astype(np.int16)}, "expected those here"),
        ({"t": AGE[:2]}, "expected those here"),
    ],
)
def test_unlike_outputs_are_refused(there: dict[str, NDArray[Any]], text: str) -> None:
    with pytest.raises(BenchmarkError, match=text):
        compare_outputs({"t": AGE}, there, where="rpi")


def test_no_image_and_no_number_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="at least one image"):
        compare_outputs({"t": AGE[:0]}, {"t": AGE[:0]}, where="rpi")
    with pytest.raises(BenchmarkError, match="t holds a value that is not finite"):
        compare_outputs({"t": GENDER}, {"t": GENDER + np.float32(np.inf)}, where="rpi")


def quality(accuracy: float, mae: float, **changes: Any) -> Quality:
    metrics = tuple(
        Metric(task=task, name=name, value=value, low=0.0, high=9.0, unit=unit, n=200)
        for task, name, value, unit in (
            ("gender", "accuracy", accuracy, "ratio"),
            ("gender", "roc_auc", 0.9, "ratio"),
            ("age", "mae", mae, "years"),
        )
    )
    made = Quality(data="utkface", split="test", manifest_sha256="ab", n=200, metrics=metrics)
    return replace(made, **changes)


def test_accuracy_and_mae_agree_within_their_tolerances() -> None:
    # 1 of 200 images is 0.5 points, more than int8's own 0.3
    accuracy, mae = compare_figures(quality(0.94, 4.5), quality(0.935, 4.54), where="rpi")
    assert (accuracy.task, accuracy.name, mae.name) == ("gender", "accuracy", "mae")
    assert accuracy.tolerance == 1 / 200
    assert (accuracy.holds, mae.holds) == (True, True)
    accuracy, mae = compare_figures(quality(0.94, 4.5), quality(0.93, 4.56), where="rpi")
    assert (accuracy.holds, mae.holds) == (False, False)
    assert mae.difference == pytest.approx(0.06)


def test_of_many_images_the_margin_of_int8_counts() -> None:
    made = MetricAgreement(
        task="gender", name="accuracy", unit="ratio", n=4073, here=0.94, there=0.9365
    )
    assert made.tolerance == pytest.approx(0.003)
    assert not made.holds


def test_figures_of_other_images_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="expected of the images here"):
        compare_figures(quality(0.9, 4), quality(0.9, 4, split="validation"), where="rpi")
    with pytest.raises(BenchmarkError, match="neither accuracy nor MAE"):
        compare_figures(quality(0.9, 4), quality(0.9, 4, metrics=()), where="rpi")


def test_parity_holds_if_every_tensor_and_figure_does() -> None:
    tensors = compare_outputs({"t": AGE}, {"t": AGE}, where="rpi")
    figures = compare_figures(quality(0.9, 4), quality(0.9, 4), where="rpi")
    made = Parity(
        reference_device="local", reference_runtime="x 1", n=3, tensors=tensors, metrics=figures
    )
    assert made.holds
    assert not replace(made, metrics=(replace(figures[0], there=0.8), figures[1])).holds
    assert not replace(made, tensors=(replace(tensors[0], largest=2.0),)).holds
    with pytest.raises(ValueError, match="0 tensors, expected some"):
        replace(made, tensors=())
