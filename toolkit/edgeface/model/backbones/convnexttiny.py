"""ConvNeXt-Tiny of plain layers.

Keras's own multiplies each block's result by a layer of its own kind (LayerScale); here that factor
is in the block's last convolution, which computes the same with one operator less.

Source: Liu et al. 2022, A ConvNet for the 2020s (arXiv 2201.03545), as keras.applications has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.model.backbones.blocks import pool
from edgeface.model.backbones.weights import LayerWeights, layer_weights, own_network

# Source: the paper, section 2.2 and figure 2
DEPTHS = (3, 3, 9, 3)
FILTERS = (96, 192, 384, 768)
WIDENING = 4
EPSILON = 1e-6  # Source: keras.applications.ConvNeXtTiny


def build(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `convnexttiny`; see `record.Backbone`."""
    make = keras.applications.ConvNeXtTiny
    return own_network(spec, pixels, convnexttiny, make=make, read=_scaled_weights)


def convnexttiny(pixels: Any) -> Any:
    """Build ConvNeXt-Tiny.

    Args:
        pixels: Keras tensor [B, side, side, channels].

    Returns:
        Features [B, 768].
    """
    layers = keras.layers
    x = layers.Conv2D(FILTERS[0], 4, strides=4, name="stem")(pixels)
    x = _normalized(x, "stem_norm")
    for stage, (depth, filters) in enumerate(zip(DEPTHS, FILTERS, strict=True)):
        if stage:
            x = _normalized(x, f"down{stage}_norm")
            x = layers.Conv2D(filters, 2, strides=2, name=f"down{stage}")(x)
        for number in range(depth):
            x = _block(x, filters, f"stage{stage}_block{number}")
    return _normalized(pool(x), "top_norm")


def _block(x: Any, filters: int, name: str) -> Any:
    layers = keras.layers
    inner = layers.DepthwiseConv2D(7, padding="same", name=f"{name}_depthwise")(x)
    inner = _normalized(inner, f"{name}_norm")
    inner = layers.Conv2D(WIDENING * filters, 1, activation="gelu", name=f"{name}_expand")(inner)
    # zeros: a block starts by passing on what it is given, as with the published factor of 1e-6
    inner = layers.Conv2D(filters, 1, kernel_initializer="zeros", name=f"{name}_project")(inner)
    return layers.Add(name=f"{name}_add")([x, inner])


def _normalized(x: Any, name: str) -> Any:
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)(x)


def _scaled_weights(model: Any) -> LayerWeights:
    """Read Keras's network, each factor of one array multiplied into the layer before it."""
    found: LayerWeights = []
    for weights in layer_weights(model):
        if len(weights) == 1:
            found[-1] = [np.asarray(value * weights[0], np.float32) for value in found[-1]]
        else:
            found.append(weights)
    return found
