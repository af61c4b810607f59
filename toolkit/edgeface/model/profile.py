"""The static card of a network: what its graph implies before anything is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import tf_keras as keras


@dataclass(frozen=True, kw_only=True)
class ModelProfile:
    """Counts of a whole network.

    Attributes:
        parameters: as Keras counts them, moving statistics included.
        macs: multiply-and-adds of one inference in convolutions and dense layers.
    """

    parameters: int
    macs: int


def profile(model: Any) -> ModelProfile:
    """Count parameters and MACs of a tf_keras functional model.

    One MAC is a multiply and an add. Biases, normalization, activations and pooling are left out,
    as usual: they are a few per cent.
    """
    return ModelProfile(
        parameters=model.count_params(), macs=sum(layer_macs(layer) for layer in model.layers)
    )


def layer_macs(layer: Any) -> int:
    """Count the MACs of one layer for one image; 0 for layers without a kernel."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return _outputs(layer) * math.prod(map(int, layer.kernel_size))
    if isinstance(layer, keras.layers.Conv2D):
        inputs = int(layer.input_shape[-1]) // int(layer.groups)
        return _outputs(layer) * math.prod(map(int, layer.kernel_size)) * inputs
    if isinstance(layer, keras.layers.Dense):
        return _outputs(layer) * int(layer.input_shape[-1])
    return 0


def _outputs(layer: Any) -> int:
    return math.prod(int(size) for size in layer.output_shape[1:])
