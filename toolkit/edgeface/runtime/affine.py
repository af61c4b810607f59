"""Real numbers to the integers of a quantized tensor, and back.

In: real values with the tensor's scale and zero point. Out: integers of its dtype, or float64.
Per-tensor only: inputs and outputs of a `.tflite` have one scale each.

Source: TensorFlow Lite 8-bit quantization specification, real = scale * (q - zero_point).
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import ArtifactError
from edgeface.types import TensorSpec


def quantize(values: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """Quantize real values the way the runtime's own QUANTIZE kernel does.

    Args:
        values: finite real numbers, any shape.
        spec: an integer tensor with a scale and a zero point.

    Returns:
        Same shape, the tensor's dtype: rounded half away from zero, clipped to the dtype's range.

    Raises:
        ArtifactError: the tensor is not an integer tensor with one scale.

    Source:
        Rounding: TfLiteRound (std::round) in tensorflow/lite/kernels/internal/reference/quantize.h.
    """
    scale, zero_point = _scale_and_zero_point(spec)
    ratio = np.asarray(values, dtype=np.float64) / scale
    steps = np.trunc(ratio + np.copysign(0.5, ratio)) + zero_point
    limits = np.iinfo(spec.dtype)
    return np.asarray(np.clip(steps, limits.min, limits.max), dtype=spec.dtype)


def dequantize(raw: NDArray[Any], spec: TensorSpec) -> NDArray[np.float64]:
    """Turn a raw tensor into the real numbers it stands for.

    Args:
        raw: values of the tensor's dtype, any shape.
        spec: the tensor; a float tensor's values are returned as they are.

    Returns:
        Float64, same shape.

    Raises:
        ArtifactError: the dtype is not the tensor's, or an integer tensor has no scale.
    """
    if raw.dtype != np.dtype(spec.dtype):
        raise ArtifactError(f"tensor {spec.name}: found {raw.dtype} values, expected {spec.dtype}")
    if spec.dtype.startswith("float"):
        return raw.astype(np.float64)
    scale, zero_point = _scale_and_zero_point(spec)
    return (raw.astype(np.float64) - zero_point) * scale


def _scale_and_zero_point(spec: TensorSpec) -> Tuple[float, int]:
    if not np.issubdtype(np.dtype(spec.dtype), np.integer) or not spec.scale:
        raise ArtifactError(
            f"tensor {spec.name}: found {spec.dtype} with scale {spec.scale}, "
            "expected integers with one scale above 0"
        )
    return spec.scale, spec.zero_point or 0
