"""What the tensors of a `.tflite` hold while it runs on calibration images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.export.flatbuffer import activations
from edgeface.export.graph_edit import expose
from edgeface.export.passes import Outputs, run_each
from edgeface.runtime.affine import dequantize
from edgeface.types import Advance

Range = tuple[float, float]
WHERE = "calibration"


@dataclass(frozen=True, kw_only=True)
class ChannelStatistics:
    """How large the values of each channel of one tensor are.

    Attributes:
        largest: largest absolute value, float64 [C].
        high: largest value, float64 [C].
        root_mean_square: over images and positions, float64 [C].
    """

    largest: NDArray[np.float64]
    high: NDArray[np.float64]
    root_mean_square: NDArray[np.float64]


def evenly(images: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """At most so many of the images, evenly spaced, because they come in order of their strata."""
    at = np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(np.int64)
    return np.asarray(images[at])


def value_ranges(
    content: bytes, images: NDArray[np.uint8], advance: Advance | None = None
) -> dict[str, Range]:
    """Smallest and largest value of every activation of a float model over the images.

    Args:
        content: a float `.tflite`.
        images: uint8 [N, side, side, 3], of the training split.
        advance: moves a progress bar of N steps.

    Returns:
        (low, high) by tensor name; the input has none, its range is in the contract.
    """

    def measure(outputs: Outputs) -> dict[str, Range]:
        return {
            name: (float(value.min()), float(value.max())) for name, (value, _) in outputs.items()
        }

    exposed = expose(content, list(activations(content).values()))
    ranges: dict[str, Range] = {}
    for found in run_each(exposed, images, measure, where=WHERE, advance=advance):
        for name, (low, high) in found.items():
            so_far = ranges.get(name, (np.inf, -np.inf))
            ranges[name] = (min(so_far[0], low), max(so_far[1], high))
    return ranges


def channel_means(
    content: bytes,
    tensors: Mapping[str, int],
    images: NDArray[np.uint8],
    advance: Advance | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Mean of each channel of some tensors over images and positions, in real units.

    Args:
        content: a float or int8 `.tflite`.
        tensors: by name, their indices.
        images: uint8 [N, side, side, 3].
        advance: moves a progress bar of N steps.

    Returns:
        float64 [C] by tensor name; none for no tensors.
    """
    if not tensors:
        return {}
    exposed = expose(content, list(tensors.values()))
    totals: dict[str, NDArray[np.float64]] = {}
    for found in run_each(exposed, images, means_of_channels, where=WHERE, advance=advance):
        for name, mean in found.items():
            totals[name] = totals[name] + mean if name in totals else mean
    return {name: total / len(images) for name, total in totals.items()}


def means_of_channels(outputs: Outputs) -> dict[str, NDArray[np.float64]]:
    """Mean of each channel of one run's outputs over positions, in real units, float64 [C]."""
    return {
        name: dequantize(value, spec).reshape(-1, value.shape[-1]).mean(axis=0)
        for name, (value, spec) in outputs.items()
    }


def channel_statistics(
    content: bytes,
    tensors: Mapping[str, int],
    images: NDArray[np.uint8],
    advance: Advance | None = None,
) -> dict[str, ChannelStatistics]:
    """How large the values of each channel of some tensors get over images and positions.

    Args:
        content: a float `.tflite`.
        tensors: by name, their indices; one or more.
        images: uint8 [N, side, side, 3].
        advance: moves a progress bar of N steps.
    """
    exposed = expose(content, list(tensors.values()))
    low: dict[str, NDArray[Any]] = {}
    high: dict[str, NDArray[Any]] = {}
    square: dict[str, NDArray[np.float64]] = {}
    for found in run_each(exposed, images, _extremes_and_square, where=WHERE, advance=advance):
        for name, (least, most, mean_square) in found.items():
            low[name] = np.minimum(low.get(name, least), least)
            high[name] = np.maximum(high.get(name, most), most)
            square[name] = square.get(name, 0.0) + mean_square.astype(np.float64)
    return {
        name: ChannelStatistics(
            largest=np.maximum(-low[name], high[name]).astype(np.float64),
            high=high[name].astype(np.float64),
            root_mean_square=np.sqrt(square[name] / len(images)),
        )
        for name in tensors
    }


def _extremes_and_square(
    outputs: Outputs,
) -> dict[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    rows = {name: value.reshape(-1, value.shape[-1]) for name, (value, _) in outputs.items()}
    return {
        name: (row.min(axis=0), row.max(axis=0), np.einsum("nc,nc->c", row, row) / len(row))
        for name, row in rows.items()
    }
