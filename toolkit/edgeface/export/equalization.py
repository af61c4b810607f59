"""Equalization: channels of one tensor get like ranges, so that one step of int8 suits them all.

In: the bytes of a float `.tflite` and calibration images. Out: bytes of the same length with other
weights and biases, which compute the same. Channel i of a tensor is divided by s_i in the layers
that make it, and multiplied by s_i in the weights of those that read it. ReLU6 stays ReLU6: a
channel that reaches 6 is not scaled, and the others stay below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.export.channel_groups import ChannelGroup, channel_groups
from edgeface.export.constants import read_constant, with_constants
from edgeface.export.flatbuffer import KernelLayer, read_graph
from edgeface.export.statistics import ChannelStatistics, channel_statistics
from edgeface.types import Reporter

CLIP = 6.0  # of ReLU6

MARGIN_RATIO = 1.5
"""How much larger a channel may get on other images than on the calibration images before it is
cut off. Chosen: of MobileNetV2's channels 1 in 10 exceeded 1.25 times what 300 images showed, on
other 510; the float ages of others moved by 0.10, 0.04, 0.02 and 0.01 years at 1, 1.25, 1.5 and 2,
and the gain of int8 was the same for all (benchmarks/LOG.md)."""

LARGEST_FACTOR = 32.0
"""Largest s_i and 1 / s_i. Chosen: a channel that hardly moves on the calibration images says
little about its range, and blowing it up further buys nothing that 8 bits can hold."""

ACTIVATION_LEVELS, WEIGHT_LEVELS = 255, 127  # Source: TFLite 8-bit quantization specification


def equalize(float_content: bytes, images: NDArray[np.uint8], reporter: Reporter) -> bytes:
    """Scale channels between layers so that their rounding to int8 costs less.

    Args:
        float_content: from `to_float_tflite`.
        images: uint8 [N, side, side, 3], of the training split.
        reporter: shows progress.

    Returns:
        A float `.tflite` that gives the same outputs up to float32 rounding on the calibration
        images, and on others while no channel exceeds what it reached there by `MARGIN_RATIO`.

    Source:
        The rewriting: Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and
        Bias Correction (arXiv 1906.04721), section 4.1. There s_i balances the ranges of two
        layers' weights, for one scale a layer. Here weights have a scale a channel, and what has
        one scale is the activation, so s_i balances that with the weights that read it, as Xiao et
        al. 2023, SmoothQuant (arXiv 2211.10438), equation 4; see `channel_factors`.
    """
    groups = channel_groups(float_content)
    if not groups:
        return float_content
    tensors = read_graph(float_content).tensors
    names = {i: tensors[i].name.decode() for group in groups for i in group.tensors}
    tensors_of = {name: i for i, name in names.items()}
    with reporter.track("sizes of channels", len(images)) as advance:
        found = channel_statistics(float_content, tensors_of, images, advance)
    statistics = {i: found[name] for i, name in names.items()}
    constants = _Constants(float_content)
    with reporter.track("equalization", len(groups)) as advance:
        for group in groups:
            kernels = [constants.kernel_by_input(layer) for layer in group.consumers]
            factors = channel_factors(group, statistics, kernels)
            for layer in group.producers:
                constants.scale_outputs(layer, 1 / factors)
            for layer in group.consumers:
                constants.scale_inputs(layer, factors)
            advance(1)
    return with_constants(float_content, constants.changed)


def channel_factors(
    group: ChannelGroup,
    statistics: Mapping[int, ChannelStatistics],
    kernels: Sequence[NDArray[np.float32] | None],
) -> NDArray[np.float64]:
    """Choose s_i of each channel of a group.

    With x_i the root mean square of channel i, W_i the norm of the weights that read it, a the step
    of the activation and b_o that of row o of the weights, rounding costs the outputs that read
    channel i, in squares and up to a constant,

        (s_i W_i a)^2 + (x_i / s_i)^2 sum over o of b_o^2

    which is least at s_i^2 = x_i |b| / (W_i a). s_i is then held where it makes no step coarser:
    no channel grows beyond the tensor's largest value, and no weight beyond its row's. So the cost
    falls or stays. A depthwise layer has a step a channel: its second term is 0, and its channels
    grow until they fill the range.

    Args:
        group: whose channels.
        statistics: of each of the group's tensors.
        kernels: weights of each consumer, [K, window, C], K outputs; None for a depthwise layer.

    Returns:
        s, float64 [C], 1 / `LARGEST_FACTOR` to `LARGEST_FACTOR`; 1 for channels that a ReLU6 cuts
        off and for those that are always 0.

    Source:
        The two terms: rounding error is uniform, of variance step^2 / 12, and independent of the
        values (Nagel et al. 2021, arXiv 2106.08295, section 2).
    """
    largest = np.stack([statistics[i].largest for i in group.tensors])
    square = np.mean([statistics[i].root_mean_square ** 2 for i in group.tensors], axis=0)
    steps = largest.max(axis=1) / ACTIVATION_LEVELS
    weights = [kernel for kernel in kernels if kernel is not None]
    low, high = _limits(group, statistics, largest, weights)
    if weights:
        norm = np.sqrt(sum((kernel.astype(np.float64) ** 2).sum(axis=(0, 1)) for kernel in weights))
        rows = np.concatenate([np.abs(kernel).max(axis=(1, 2)) for kernel in weights])
        cost_of_step = norm * np.sqrt((steps**2).mean())
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.sqrt(np.sqrt(square) * np.linalg.norm(rows / WEIGHT_LEVELS) / cost_of_step)
    else:
        best = np.zeros(len(square))
    usable = (largest.max(axis=0) > 0) & np.isfinite(best)
    return np.where(usable, np.clip(best, low, high), 1.0)


def _limits(
    group: ChannelGroup,
    statistics: Mapping[int, ChannelStatistics],
    largest: NDArray[np.float64],
    weights: Sequence[NDArray[np.float32]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest s of each channel; 1 is always within."""
    reach = np.maximum(largest.max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    low = (MARGIN_RATIO * largest / reach).max(axis=0)
    high = np.full(largest.shape[1], LARGEST_FACTOR)
    for kernel in weights:
        size = np.abs(kernel)
        row_reach = np.maximum(size.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
        share = (size / row_reach).max(axis=(0, 1))
        high = np.minimum(high, 1 / np.maximum(share, 1 / LARGEST_FACTOR))
    for i in group.clipped:
        top = statistics[i].high
        low = np.maximum(low, np.where(top < CLIP, MARGIN_RATIO * top / CLIP, 1.0))
        high = np.minimum(high, 1.0)  # above 1 what reaches 6 on another image would pass
    return np.clip(low, 1 / LARGEST_FACTOR, 1.0), np.maximum(high, 1.0)


class _Constants:
    """The float weights and biases of a file, with those that were scaled so far."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.changed: dict[int, NDArray[Any]] = {}

    def kernel_by_input(self, layer: KernelLayer) -> NDArray[np.float32] | None:
        if layer.kind == "depthwise":
            return None
        kernel = self._read(layer.kernel)
        return kernel.reshape(len(kernel), -1, kernel.shape[-1])

    def scale_outputs(self, layer: KernelLayer, factors: NDArray[np.float64]) -> None:
        shape = [1] * self._read(layer.kernel).ndim
        shape[layer.channel_axis] = -1
        self._scale(layer.kernel, factors.reshape(shape))
        if layer.bias >= 0:
            self._scale(layer.bias, factors)

    def scale_inputs(self, layer: KernelLayer, factors: NDArray[np.float64]) -> None:
        self._scale(layer.kernel, factors)  # the last axis, also of a depthwise kernel

    def _scale(self, tensor: int, factors: NDArray[np.float64]) -> None:
        self.changed[tensor] = (self._read(tensor) * factors).astype(np.float32)

    def _read(self, tensor: int) -> NDArray[Any]:
        if tensor not in self.changed:
            return read_constant(self._content, tensor)
        return self.changed[tensor]
