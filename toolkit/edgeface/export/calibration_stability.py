"""Two-half stability test: are there enough calibration images?

In: a float `.tflite`, the calibration images, and probe images that neither training nor the final
figures use. Out: how far the int8 models of the two halves of the calibration images are apart on
the probe, whether that is within tolerance, and if not, about how many images would be needed. The
choice of the images is not made here (`data.calibration`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import ExportError
from edgeface.export.plan import QuantizePlan
from edgeface.export.predictions import predict
from edgeface.export.quantize import quantize
from edgeface.types import HeadSpec, Reporter

AGE_SHIFT_TOLERANCE_YEARS = 0.1
"""Largest shift of the mean predicted age between the halves.

Source: twice the 0.05 years that int8 may be off the float model. The average over n images is
σ/√n off that over endlessly many, and the halves, of n/2 images each, are 2σ/√n apart: halves
within twice the limit speak for a whole set within the limit. Measured on real faces, 300 images:
0.05 years (root mean square) for a pruned and 0.04 for an uncut MobileNetV2, within 0.1 for 23 of
24 sets (benchmarks/LOG.md).
"""

SHARE_SHIFT_TOLERANCE_RATIO = 0.006
"""Largest shift of the share predicted to be of a class between the halves.

Source: twice the 0.3 points that int8 may be off the float model, as above. Measured on real faces,
300 images: 0.1 points, at most 0.24 in 24 sets (benchmarks/LOG.md).
"""

IMAGES_STEP = 50
"""`images_wanted` is a multiple of this. Chosen: the estimate is no finer."""


@dataclass(frozen=True, kw_only=True)
class CalibrationStability:
    """How far the int8 models of the two halves of a calibration set are apart.

    Attributes:
        images: calibration images, both halves together.
        probe_images: images that the two models were compared on.
        age_shift_years: mean of (age by half A - age by half B); None without an age head. Of a
            head of decades it moves by whole images, 10 years each.
        age_shift_tolerance_years: `age_shift_years` is held to it, either way.
        share_shift_ratio: by head of classes: mean probability of class 1 of two by half A minus
            that by half B; of several classes that of the class which moved furthest. This is the
            share that is expected to be of the class; the share above one half jumps by whole
            images, and at 500 of them by more than it is to measure.
        share_shift_tolerance_ratio: each of `share_shift_ratio` is held to it, either way.
        age_difference_years: mean of |age by half A - age by half B|; None without an age head.
            Not held to a tolerance: other scales round each face another way, and that does not
            become less with more images (0.4 years from 50 to 1,000 images; benchmarks/LOG.md).
        stable: all shifts are within tolerance.
        images_wanted: `images` if stable, else the estimate of `images_wanted`.
    """

    images: int
    probe_images: int
    age_shift_years: float | None
    age_shift_tolerance_years: float
    share_shift_ratio: dict[str, float]
    share_shift_tolerance_ratio: float
    age_difference_years: float | None
    stable: bool
    images_wanted: int


def calibration_stability(
    float_content: bytes,
    calibration_images: NDArray[np.uint8],
    probe_images: NDArray[np.uint8],
    heads: tuple[HeadSpec, ...],
    reporter: Reporter,
    plan: QuantizePlan,
) -> CalibrationStability:
    """Quantize with each half of the calibration images, and compare the two on other images.

    Half A is the first, third, ... image and half B the others: where the images come in order of
    their strata, both halves are stratified. What both halves have in common, such as rounding of
    the weights, does not show here: that is for the comparison with the float model.

    Args:
        float_content: from `to_float_tflite`.
        calibration_images: uint8 [C, side, side, 3], of the training split, 2 or more.
        probe_images: uint8 [P, side, side, 3], of the validation split, 1 or more.
        heads: of the model, as `head_specs` gives them: at most one in years, the others of
            classes.
        reporter: shows progress.
        plan: how both are quantized.

    Raises:
        ExportError: too few images, other heads, no output for a head, or a tensor of the int8
            model is float.
        DataError: an image is not of the model's size.
        ArtifactError: a model gives values that are not finite.

    Source:
        Issue "Datasets": "both halves give the same int8 model within the stated tolerance". One
        comparison of two halves is one draw: a shift of twice its usual size comes 1 time in 20,
        and too few images can be found stable by luck.
    """
    if len(calibration_images) < 2:
        raise ExportError(
            f"calibration images: found {len(calibration_images)}, expected 2 or more, one for "
            "each half; give more training images or raise quantize.calibration_images"
        )
    if not len(probe_images):
        raise ExportError(
            "probe images: found 0, expected 1 or more to compare the halves on; give a data set "
            "with a validation split"
        )
    in_years = [head.name for head in heads if head.unit == "years"]
    of_classes = [head for head in heads if head.has_classes]
    if not heads or len(in_years) > 1 or len(in_years) + len(of_classes) != len(heads):
        found = ", ".join(f"{head.name} ({head.kind}, {head.unit or 'no unit'})" for head in heads)
        raise ExportError(
            f"heads: found {found or 'none'}, expected at most one in years and else classes; "
            "other heads have no tolerance here yet"
        )
    halves = []
    for start, name in ((0, "A"), (1, "B")):
        content = quantize(float_content, calibration_images[start::2], plan, reporter)
        with reporter.track(f"stability of calibration, half {name}", len(probe_images)) as advance:
            halves.append(
                predict(
                    content,
                    probe_images,
                    heads,
                    where=f"int8 model of half {name}",
                    advance=advance,
                )
            )
    a, b = halves
    age = a[in_years[0]] - b[in_years[0]] if in_years else None
    age_shift = None if age is None else float(age.mean())
    share_shift = {head.name: _share_shift(a[head.name] - b[head.name]) for head in of_classes}
    excesses = [abs(shift) / SHARE_SHIFT_TOLERANCE_RATIO for shift in share_shift.values()]
    if age_shift is not None:
        excesses.append(abs(age_shift) / AGE_SHIFT_TOLERANCE_YEARS)
    excess = max(excesses)
    wanted = images_wanted(len(calibration_images), excess)
    return CalibrationStability(
        images=len(calibration_images),
        probe_images=len(probe_images),
        age_shift_years=age_shift,
        age_shift_tolerance_years=AGE_SHIFT_TOLERANCE_YEARS,
        share_shift_ratio=share_shift,
        share_shift_tolerance_ratio=SHARE_SHIFT_TOLERANCE_RATIO,
        age_difference_years=None if age is None else float(np.abs(age).mean()),
        stable=wanted == len(calibration_images),
        images_wanted=wanted,
    )


def _share_shift(difference: NDArray[np.float64]) -> float:
    """Mean of each class's probability, then the one furthest from 0."""
    means = np.atleast_1d(difference.mean(axis=0))
    return float(means[np.abs(means).argmax()])


def images_wanted(images: int, excess_ratio: float) -> int:
    """Estimate how many calibration images bring the shift within tolerance.

    An estimate of the order of size, from one comparison of two halves.

    Args:
        images: calibration images, both halves together.
        excess_ratio: the shift found over its tolerance, 0 or more.

    Returns:
        `images` if the shift is within tolerance, else more, a multiple of `IMAGES_STEP`.

    Source:
        The standard error of an average over n independent images is σ/√n, so that a shift r times
        the tolerance takes r² times the images. Measured on 2,124 probe images: the shift of the
        mean age times √n is 0.9 to 1.1 years for a pruned MobileNetV2 and 0.4 for an uncut one,
        from 20 to 300 images (benchmarks/LOG.md).
    """
    if excess_ratio <= 1:
        return images
    return math.ceil(images * excess_ratio**2 / IMAGES_STEP) * IMAGES_STEP


def stability_line(stability: CalibrationStability) -> str:
    """Say in one line what the test found and what to do."""
    shifts = [
        f"share of {name} {100 * shift:+.2f} points "
        f"(limit {100 * stability.share_shift_tolerance_ratio:.2f})"
        for name, shift in stability.share_shift_ratio.items()
    ]
    if stability.age_shift_years is not None:
        shifts.insert(
            0,
            f"mean age {stability.age_shift_years:+.2f} years "
            f"(limit {stability.age_shift_tolerance_years:.2f})",
        )
    verdict = "stable" if stability.stable else "NOT stable"
    advice = (
        ""
        if stability.stable
        else f"; about {stability.images_wanted} images would be enough: set "
        f"quantize.calibration_images = {stability.images_wanted}"
    )
    return (
        f"calibration {verdict}: between the halves of {stability.images} images, "
        f"{', '.join(shifts)}, on {stability.probe_images} validation images{advice}"
    )
