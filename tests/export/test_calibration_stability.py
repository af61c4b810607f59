"""The two-half test on a tiny network, with halves made equal, unlike and exchanged on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.errors import DataError, ExportError
from edgeface.export.calibration_stability import (
    AGE_SHIFT_TOLERANCE_YEARS,
    SHARE_SHIFT_TOLERANCE_RATIO,
    CalibrationStability,
    calibration_stability,
    images_wanted,
    stability_line,
)
from edgeface.export.convert import to_int8_tflite
from edgeface.export.flatbuffer import read_signature
from edgeface.export.plan import QuantizePlan
from edgeface.runtime.affine import dequantize
from edgeface.runtime.interpreter import open_model, run
from edgeface.types import GENDER_CLASSES, HeadSpec, SilentReporter

HEADS = (
    HeadSpec(name="gender", kind="binary", tensor="gender", classes=GENDER_CLASSES),
    HeadSpec(
        name="age",
        kind="expectation",
        tensor="age",
        bins=tuple(float(age) for age in range(101)),
        unit="years",
    ),
)

FOUND = CalibrationStability(
    images=100,
    probe_images=500,
    age_shift_years=-0.15,
    age_shift_tolerance_years=0.1,
    share_shift_ratio={"gender": 0.003},
    share_shift_tolerance_ratio=0.006,
    age_difference_years=0.4,
    stable=False,
    images_wanted=250,
)


def compare(
    float_content: bytes, calibration: NDArray[np.uint8], probe: NDArray[np.uint8]
) -> CalibrationStability:
    return calibration_stability(
        float_content, calibration, probe, HEADS, SilentReporter(), QuantizePlan()
    )


def interleaved(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([a, b], axis=1).reshape(-1, *a.shape[1:])


@pytest.fixture(scope="module")
def probe(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return faces[32:]


@pytest.fixture(scope="module")
def unlike(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half A nearly black, half B nearly white."""
    return interleaved(faces[:8] // 8, 255 - faces[:8] // 8)


@pytest.fixture(scope="module")
def of_unlike(
    float_content: bytes, unlike: NDArray[np.uint8], probe: NDArray[np.uint8]
) -> CalibrationStability:
    return compare(float_content, unlike, probe)


def test_the_same_images_in_both_halves_give_no_shift(
    float_content: bytes, faces: NDArray[np.uint8], probe: NDArray[np.uint8]
) -> None:
    found = compare(float_content, interleaved(faces[:8], faces[:8]), probe)
    assert found == CalibrationStability(
        images=16,
        probe_images=16,
        age_shift_years=0.0,
        age_shift_tolerance_years=AGE_SHIFT_TOLERANCE_YEARS,
        share_shift_ratio={"gender": 0.0},
        share_shift_tolerance_ratio=SHARE_SHIFT_TOLERANCE_RATIO,
        age_difference_years=0.0,
        stable=True,
        images_wanted=16,
    )


def test_a_dark_and_a_bright_half_are_not_stable(of_unlike: CalibrationStability) -> None:
    assert not of_unlike.stable
    assert of_unlike.images_wanted > of_unlike.images == 16
    assert of_unlike.age_shift_years is not None
    assert of_unlike.age_difference_years is not None
    assert of_unlike.age_difference_years >= abs(of_unlike.age_shift_years) > 0


def test_figures_are_those_of_the_two_halves_read_by_hand(
    float_content: bytes,
    unlike: NDArray[np.uint8],
    probe: NDArray[np.uint8],
    of_unlike: CalibrationStability,
) -> None:
    """Sigmoid and expectation written out, tensors found by the signature's names."""
    ages, shares = [], []
    assert of_unlike.age_shift_years is not None
    assert of_unlike.age_difference_years is not None
    for half in (unlike[0::2], unlike[1::2]):
        content = to_int8_tflite(float_content, half, SilentReporter())
        outputs = read_signature(content).outputs
        model = open_model(content, where="test")
        raw = [run(model, image, (outputs["gender"], outputs["age"])) for image in probe]
        logit = np.array([dequantize(gender, outputs["gender"])[0, 0] for gender, _ in raw])
        bins = np.exp([dequantize(age, outputs["age"])[0] for _, age in raw])
        ages.append((bins * np.arange(101)).sum(axis=1) / bins.sum(axis=1))
        shares.append(1 / (1 + np.exp(-logit)))
    np.testing.assert_allclose(of_unlike.age_shift_years, np.mean(ages[0] - ages[1]), rtol=1e-9)
    np.testing.assert_allclose(
        of_unlike.age_difference_years, np.mean(np.abs(ages[0] - ages[1])), rtol=1e-9
    )
    np.testing.assert_allclose(
        of_unlike.share_shift_ratio["gender"], np.mean(shares[0] - shares[1]), rtol=1e-9
    )
    excess = max(
        abs(of_unlike.age_shift_years) / 0.1, abs(of_unlike.share_shift_ratio["gender"]) / 0.006
    )
    assert of_unlike.images_wanted == images_wanted(16, excess)


def test_exchanged_halves_turn_the_sign_and_not_the_verdict(
    float_content: bytes,
    unlike: NDArray[np.uint8],
    probe: NDArray[np.uint8],
    of_unlike: CalibrationStability,
) -> None:
    assert of_unlike.age_shift_years is not None
    exchanged = compare(float_content, interleaved(unlike[1::2], unlike[0::2]), probe)
    shift = {name: -ratio for name, ratio in of_unlike.share_shift_ratio.items()}
    assert exchanged == replace(
        of_unlike, age_shift_years=-of_unlike.age_shift_years, share_shift_ratio=shift
    )


def test_an_odd_image_goes_to_half_a(
    float_content: bytes, faces: NDArray[np.uint8], probe: NDArray[np.uint8]
) -> None:
    """Of a, b, a the half {a, a} is as {a}, and {b} is alone."""
    a, b = faces[0], faces[1]
    three = compare(float_content, np.stack([a, b, a]), probe)
    two = compare(float_content, np.stack([a, b]), probe)
    assert three == replace(two, images=3, images_wanted=three.images_wanted)


@pytest.mark.parametrize("tolerance", ["AGE_SHIFT_TOLERANCE_YEARS", "SHARE_SHIFT_TOLERANCE_RATIO"])
def test_each_tolerance_alone_decides(
    float_content: bytes,
    unlike: NDArray[np.uint8],
    probe: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
    tolerance: str,
) -> None:
    module = "edgeface.export.calibration_stability"
    for name in ("AGE_SHIFT_TOLERANCE_YEARS", "SHARE_SHIFT_TOLERANCE_RATIO"):
        monkeypatch.setattr(f"{module}.{name}", 1e3)
    assert compare(float_content, unlike[:4], probe[:4]).stable
    monkeypatch.setattr(f"{module}.{tolerance}", 1e-9)
    assert not compare(float_content, unlike[:4], probe[:4]).stable


@pytest.mark.parametrize(
    ("images", "excess_ratio", "expected"),
    [
        (300, 0.0, 300),
        (300, 1.0, 300),  # at the tolerance is within it
        (300, 2.0, 300 * 4),  # half the shift takes four times the images
        (300, 1.01, 350),  # 300 * 1.0201 = 306.03
        (20, 3.0, 200),  # 20 * 9 = 180
        (25, 2.0, 100),  # 25 * 4 = 100 is a multiple already
        (17, 0.5, 17),  # not rounded: it is enough as it is
        (17, 1.0, 17),
    ],
)
def test_images_wanted(images: int, excess_ratio: float, expected: int) -> None:
    assert images_wanted(images, excess_ratio) == expected


def test_tolerances_are_twice_what_int8_may_be_off_the_float_model() -> None:
    """0.05 years and 0.3 points; halves are 2σ/√n apart, the whole set σ/√n off endless images."""
    found = (AGE_SHIFT_TOLERANCE_YEARS, SHARE_SHIFT_TOLERANCE_RATIO)
    np.testing.assert_allclose(found, (2 * 0.05, 2 * 0.3 / 100), rtol=1e-12)


@given(st.integers(2, 5000), st.floats(1, 20, exclude_min=True))
def test_images_wanted_are_more_and_just_enough(images: int, excess_ratio: float) -> None:
    wanted = images_wanted(images, excess_ratio)
    assert wanted > images
    assert wanted % 50 == 0
    # with σ/√n, the shift that was r times the tolerance is within it now, and 50 fewer are not
    assert excess_ratio * (images / wanted) ** 0.5 <= 1 + 1e-9
    if wanted > 50:
        assert excess_ratio * (images / (wanted - 50)) ** 0.5 > 1 - 1e-9


def test_line_of_an_unstable_set_says_how_many_images() -> None:
    assert stability_line(FOUND) == (
        "calibration NOT stable: between the halves of 100 images, mean age -0.15 years (limit "
        "0.10), share of gender +0.30 points (limit 0.60), on 500 validation images; about 250 "
        "images would be enough: set quantize.calibration_images = 250"
    )


def test_line_of_a_stable_set_gives_no_advice() -> None:
    found = replace(FOUND, age_shift_years=0.04, stable=True, images_wanted=100)
    assert stability_line(found) == (
        "calibration stable: between the halves of 100 images, mean age +0.04 years (limit 0.10), "
        "share of gender +0.30 points (limit 0.60), on 500 validation images"
    )


def test_without_an_age_the_line_says_shares_alone() -> None:
    found = replace(FOUND, age_shift_years=None, age_difference_years=None, stable=True)
    assert stability_line(found) == (
        "calibration stable: between the halves of 100 images, share of gender +0.30 points (limit "
        "0.60), on 500 validation images"
    )


def test_of_several_classes_the_one_counts_that_moves_furthest(
    float_content: bytes, unlike: NDArray[np.uint8], probe: NDArray[np.uint8]
) -> None:
    """The 101 logits of the age, read as those of 101 classes: softmax written out."""
    classes = tuple(f"c{number}" for number in range(101))
    moods = (HeadSpec(name="age", kind="classes", tensor="age", classes=classes),)
    found = calibration_stability(
        float_content, unlike, probe, moods, SilentReporter(), QuantizePlan()
    )
    means = []
    for half in (unlike[0::2], unlike[1::2]):
        content = to_int8_tflite(float_content, half, SilentReporter())
        spec = read_signature(content).outputs["age"]
        model = open_model(content, where="test")
        logits = np.array([dequantize(run(model, image, (spec,))[0], spec)[0] for image in probe])
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        means.append(shares.mean(axis=0))
    moved = means[0] - means[1]
    expected = moved[np.abs(moved).argmax()]
    np.testing.assert_allclose(found.share_shift_ratio["age"], expected, rtol=1e-9)
    assert (found.age_shift_years, found.age_difference_years) == (None, None)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_calibration_images_are_refused(
    float_content: bytes, faces: NDArray[np.uint8], probe: NDArray[np.uint8], count: int
) -> None:
    with pytest.raises(ExportError, match=f"images: found {count}, expected 2 or more") as caught:
        compare(float_content, faces[:count], probe)
    assert "\n" not in str(caught.value)


def test_no_probe_image_is_refused(float_content: bytes, faces: NDArray[np.uint8]) -> None:
    with pytest.raises(ExportError, match="probe images: found 0, expected 1 or more"):
        compare(float_content, faces[:2], faces[:0])


def test_probe_images_of_another_size_are_refused(
    float_content: bytes, faces: NDArray[np.uint8]
) -> None:
    with pytest.raises(DataError, match=r"half A: found uint8 \[31, 32, 3\]"):
        compare(float_content, faces[:2], faces[:2, :31])


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ((), "found none, expected at most one in years"),
        ((*HEADS, HEADS[1]), "expected at most one in years and else classes"),
        (
            (*HEADS, HeadSpec(name="yaw", kind="regression", tensor="yaw", unit="degrees")),
            r"yaw \(regression, degrees\)",
        ),
        ((*HEADS, replace(HEADS[0], name="smile")), "no output for smile; it has"),
    ],
)
def test_heads_that_cannot_be_compared_are_refused(
    float_content: bytes, faces: NDArray[np.uint8], heads: tuple[HeadSpec, ...], message: str
) -> None:
    with pytest.raises(ExportError, match=message) as caught:
        calibration_stability(
            float_content, faces[:2], faces[:1], heads, SilentReporter(), QuantizePlan()
        )
    assert "\n" not in str(caught.value)
