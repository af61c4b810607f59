"""What the tensors of a `.tflite` hold while it runs on calibration images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from edgeface.export.flatbuffer import activations, expose
from edgeface.runtime.affine import dequantize
from edgeface.runtime.interpreter import open_model, run
from edgeface.types import TensorSpec


def value_ranges(content: bytes, images: NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of every activation of a float model over the images.

    Args:
        content: a float `.tflite`.
        images: uint8 [N, side, side, 3], of the training split.

    Returns:
        (low, high) by tensor name; the input has none, its range is in the contract.
    """
    ranges: dict[str, tuple[float, float]] = {}
    for values in _each(content, activations(content), images):
        for name, value in values.items():
            low, high = ranges.get(name, (np.inf, -np.inf))
            ranges[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return ranges


def channel_means(
    content: bytes, tensors: Mapping[str, int], images: NDArray[np.uint8]
) -> dict[str, NDArray[np.float64]]:
    """Mean of each channel of some tensors over images and positions, in real units.

    Args:
        content: a float or int8 `.tflite`.
        tensors: by name, their indices.
        images: uint8 [N, side, side, 3].

    Returns:
        float64 [C] by tensor name.
    """
    totals: dict[str, NDArray[np.float64]] = {}
    for values in _each(content, tensors, images):
        for name, value in values.items():
            mean = value.reshape(-1, value.shape[-1]).mean(axis=0)
            totals[name] = totals[name] + mean if name in totals else mean
    return {name: total / len(images) for name, total in totals.items()}


def _each(
    content: bytes, tensors: Mapping[str, int], images: NDArray[np.uint8]
) -> Iterator[dict[str, NDArray[np.float64]]]:
    model = open_model(expose(content, list(tensors.values())), where="calibration")
    outputs: tuple[TensorSpec, ...] = model.outputs
    for image in images:
        raw = run(model, image)
        yield {spec.name: dequantize(value, spec) for spec, value in zip(outputs, raw, strict=True)}
