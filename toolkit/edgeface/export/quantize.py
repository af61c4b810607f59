"""Float `.tflite` bytes to quantized bytes, by a plan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import CompressionError
from edgeface.export.bias_correction import correct_biases
from edgeface.export.constants import with_own_constants
from edgeface.export.dead_channels import with_live_channels
from edgeface.export.equalization import equalize
from edgeface.export.flatbuffer import kernel_layers
from edgeface.export.graph_edit import repacked
from edgeface.export.head_refit import refit_heads
from edgeface.export.litert import dynamic_range, float16_weights, static_int8
from edgeface.export.plan import QuantizePlan
from edgeface.export.range_search import HISTOGRAM_IMAGES, least_error_ranges
from edgeface.export.statistics import value_ranges
from edgeface.types import Reporter


def quantize(
    float_content: bytes,
    calibration: NDArray[np.uint8],
    plan: QuantizePlan,
    reporter: Reporter,
) -> bytes:
    """Quantize a float `.tflite` as planned.

    Args:
        float_content: from `to_float_tflite`.
        calibration: uint8 [N, side, side, 3], images of the training split; the schemes "float16"
            and "dynamic" use none.
        plan: what is done; see `QuantizePlan`.
        reporter: shows progress.

    Returns:
        The flatbuffer, with the float file's signature and all weights inside it. "int8": input and
        outputs are int8, and so is everything between but `plan.float_layers`; a head among those
        has a float32 output. The input's scale is 1 and its zero point -128, so that a pixel is
        exact. Else: input and outputs are float32.

    Raises:
        CompressionError: no images, a layer to stay float that is not there, or a scheme that is
            slower than float32 for this network, if the plan does not allow it.
        ExportError: a tensor is float that was not to be.
    """
    if plan.scheme == "float16":
        return repacked(float16_weights(float_content))
    if plan.scheme == "dynamic":
        _refuse_slow(float_content, plan)
        return repacked(dynamic_range(float_content))
    if not len(calibration):
        raise CompressionError(
            "calibration images: found 0, expected 1 or more to measure the ranges of int8 on; "
            "give training images"
        )
    float_content = with_own_constants(float_content)
    if plan.equalize:
        float_content = equalize(float_content, calibration, reporter)
    with reporter.track("ranges of activations", len(calibration)) as advance:
        ranges = value_ranges(float_content, calibration, advance)
    if plan.ranges == "error":
        with reporter.track("least-error ranges", min(len(calibration), HISTOGRAM_IMAGES)) as step:
            ranges = least_error_ranges(float_content, ranges, calibration, step)
    float_content = with_live_channels(float_content, ranges)
    content = static_int8(float_content, ranges, plan.float_layers)
    if plan.correct_biases:
        content = correct_biases(float_content, content, calibration, reporter)
    if plan.refit_heads:
        content = refit_heads(float_content, content, calibration, reporter)
    return repacked(content)


def _refuse_slow(float_content: bytes, plan: QuantizePlan) -> None:
    depthwise = sum(layer.kind == "depthwise" for layer in kernel_layers(float_content))
    if depthwise and not plan.allow_slow:
        raise CompressionError(
            f"scheme dynamic: found {depthwise} depthwise layers, which XNNPACK does not take with "
            "int8 weights and float activations: MobileNetV2 ran 3 to 4 times slower than float32 "
            "(docs/field.md, box B); use scheme int8, float16 for half the bytes, or allow_slow"
        )
