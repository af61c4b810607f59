"""Activation ranges by least squared error: a few large values may cost less clipped than kept.

In: the float `.tflite`, calibration images, the extremes of each activation. Out: a range of each,
within the extremes. The heads' outputs keep theirs: a clipped logit of an age bin is not a small
error.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgeface.export.flatbuffer import activations, read_signature
from edgeface.export.graph_edit import expose
from edgeface.export.passes import Outputs, run_each
from edgeface.export.statistics import WHERE, Range, evenly
from edgeface.types import Advance

BINS = 2048
"""Of a histogram: 8 to a step of the widest range. Chosen: what a bin hides is a 64th of the error
of a step."""

CLIP_RATIOS = 2.0 ** (-np.arange(25) / 8)
"""What is kept of each end of a range, from all to an eighth. Chosen: neighbours differ by 9 %, and
the error is flat around its least."""

HISTOGRAM_IMAGES = 100
"""Calibration images that values are counted on. Chosen: a tensor has 1e5 to 4e7 values there, and
counting takes most of the time."""

LEVELS = 255
"""Steps between the lowest and the highest int8 value."""


def least_error_ranges(
    float_content: bytes,
    extremes: Mapping[str, Range],
    images: NDArray[np.uint8],
    advance: Advance | None = None,
) -> dict[str, Range]:
    """Choose the range of each activation that int8 stands for with the least squared error.

    Args:
        float_content: a float `.tflite`.
        extremes: (low, high) of each activation over the images, from `value_ranges`.
        images: uint8 [N, side, side, 3], of the training split.
        advance: moves a progress bar of as many steps as images are used.

    Returns:
        (low, high) by tensor name, for each of `extremes`.

    Source:
        Nagel et al. 2021, A White Paper on Neural Network Quantization (arXiv 2106.08295), section
        3.1, range setting by mean squared error with a grid search.
    """
    outputs = {spec.name for spec in read_signature(float_content).outputs.values()}
    inner = {
        name: index
        for name, index in activations(float_content).items()
        if name not in outputs and extremes[name][0] < extremes[name][1]
    }
    chosen = dict(extremes)
    some = evenly(images, HISTOGRAM_IMAGES)
    for name, counts in _histograms(float_content, inner, extremes, some, advance).items():
        chosen[name] = least_error_range(np.linspace(*extremes[name], BINS), counts)
    return chosen


def least_error_range(values: NDArray[np.float64], counts: NDArray[np.int64]) -> Range:
    """Choose the range with the least squared error for values that come in known numbers.

    Args:
        values: float64 [V], rising.
        counts: int64 [V], how often each comes, 0 or more.

    Returns:
        The lowest and the highest value times one of `CLIP_RATIOS` each; 0 is within.
    """
    there = counts > 0
    values, counts = values[there], counts[there]
    low, high = min(values[0], 0.0), max(values[-1], 0.0)
    lows = low * CLIP_RATIOS if low else np.zeros(1)
    highs = high * CLIP_RATIOS if high else np.zeros(1)
    pairs = [(each_low, each_high) for each_low in lows for each_high in highs]
    errors = [squared_error(values, counts, pair) for pair in pairs]
    chosen_low, chosen_high = pairs[int(np.argmin(errors))]
    return float(chosen_low), float(chosen_high)


def squared_error(values: NDArray[np.float64], counts: NDArray[np.int64], limits: Range) -> float:
    """Sum of squared differences between values and what int8 makes of them.

    Args:
        values: float64 [V].
        counts: int64 [V], how often each comes.
        limits: low, at most 0, and high, at least 0, of the int8 tensor.

    Source:
        TFLite 8-bit quantization specification: real = scale * (q - zero_point), asymmetric, with
        a zero point that is an integer.
    """
    low, high = limits
    scale = (high - low) / LEVELS
    if scale <= 0:  # the values are all 0, which int8 holds exactly
        return float((counts * values**2).sum())
    zero_point = np.round(-low / scale)
    steps = np.clip(np.round(values / scale) + zero_point, 0, LEVELS)
    return float((counts * (scale * (steps - zero_point) - values) ** 2).sum())


def _histograms(
    content: bytes,
    tensors: Mapping[str, int],
    extremes: Mapping[str, Range],
    images: NDArray[np.uint8],
    advance: Advance | None,
) -> dict[str, NDArray[np.int64]]:
    def measure(outputs: Outputs) -> dict[str, NDArray[np.int64]]:
        counts = {}
        for name, (value, _) in outputs.items():
            low, high = extremes[name]
            # half a bin added and cut off: the nearest bin, so that both ends are bins themselves
            at = ((value - np.float32(low)) * np.float32((BINS - 1) / (high - low)) + 0.5).ravel()
            at = np.clip(at.astype(np.int32), 0, BINS - 1)
            counts[name] = np.bincount(at, minlength=BINS)
        return counts

    if not tensors:
        return {}
    totals = {name: np.zeros(BINS, np.int64) for name in tensors}
    exposed = expose(content, list(tensors.values()))
    for found in run_each(exposed, images, measure, where=WHERE, advance=advance):
        for name, counts in found.items():
            totals[name] += counts
    return totals
