"""Channels whose weights are all zero, as magnitude pruning leaves them, made fit for int8.

In: a float `.tflite` and the ranges of its activations. Out: the same with one tiny weight in each
such channel. The scale of a channel comes from its largest weight, and the bias is stored in steps
of that scale: with no weight at all the bias would not fit 32 bits and become anything.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeface.export.constants import read_constant, with_constants
from edgeface.export.flatbuffer import kernel_layers, read_graph
from edgeface.export.litert import PIXEL_RANGE
from edgeface.export.statistics import Range

# Source: TFLite quantization spec: bias scale = input scale * kernel scale, int8 weights reach 127,
# and a bias is an int32; a quarter of its range leaves room for the bias correction.
_LARGEST_STEP = 127
_BIAS_STEPS = 2.0**29


def with_live_channels(content: bytes, ranges: Mapping[str, Range]) -> bytes:
    """Give each all-zero channel that has a bias one weight just large enough for that bias.

    What the channel computes changes by less than the 16,000th part of its bias: the weight is
    127 * |bias| / (input step * 2**29), and an input has at most 255 steps.

    Args:
        content: float, each layer with constants of its own (`with_own_constants`).
        ranges: (low, high) of each activation by tensor name; the image's is 0 to 255.
    """
    tensors = read_graph(content).tensors
    changed = {}
    for layer in kernel_layers(content):
        if layer.bias < 0:
            continue
        kernel, bias = read_constant(content, layer.kernel), read_constant(content, layer.bias)
        channels = np.moveaxis(kernel, layer.channel_axis, 0)
        rows = channels.reshape(len(channels), -1)
        dead = ~rows.any(axis=1) & (bias != 0)
        low, high = ranges.get(tensors[layer.input].name.decode(), PIXEL_RANGE)
        step = (max(high, 0.0) - min(low, 0.0)) / 255
        if not dead.any() or step <= 0:
            continue
        first = np.zeros_like(rows)
        first[dead, 0] = _LARGEST_STEP * np.abs(bias[dead]) / (step * _BIAS_STEPS)
        placed = np.moveaxis(first.reshape(channels.shape), 0, layer.channel_axis)
        changed[layer.kernel] = kernel + placed
    return with_constants(content, changed) if changed else content
