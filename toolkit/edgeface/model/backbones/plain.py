"""Plain CNNs of 3, 4 or 5 blocks, as in the published system S4."""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.model.backbones.weights import own_network

# Source: docs/seeds.md S4
FILTERS = (32, 64, 128, 256, 512)
BLOCKS = {"cnn3": 3, "cnn4": 4, "cnn5": 5}


def build(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `cnn3`, `cnn4` or `cnn5`; see `record.Backbone`."""
    return own_network(spec, pixels, lambda given: plain_cnn(given, BLOCKS[spec.backbone]))


def plain_cnn(pixels: Any, blocks: int) -> Any:
    """Build so many blocks of a 3×3 convolution, ReLU and 2×2 pooling, and flatten.

    Args:
        pixels: Keras tensor [B, side, side, channels].
        blocks: 1 to 5.

    Returns:
        Features [B, (side / 2^blocks)² × filters].

    Source:
        docs/seeds.md S4. It does not name the padding; chosen: "same", so that every side that is
        a multiple of 32 suits every number of blocks.
    """
    layers = keras.layers
    x = pixels
    for number, filters in enumerate(FILTERS[:blocks], start=1):
        name = f"block{number}"
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_conv")(x)
        x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    return layers.Flatten(name="flatten")(x)
