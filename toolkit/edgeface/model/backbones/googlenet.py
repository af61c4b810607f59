"""GoogLeNet with batch normalization, without the heads that only help its training.

Source: Szegedy et al. 2014, Going Deeper with Convolutions (arXiv 1409.4842), table 1. As
torchvision.models.googlenet has it, which S1 compares: batch normalization, and 3×3 where the
paper's third branch has 5×5.
"""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.model.backbones.blocks import conv_norm, pool
from edgeface.model.backbones.weights import own_network

# Source: table 1: filters of 1×1; of 3×3 and its reduction; of 5×5 and its reduction; after pooling
_MODULES: dict[str, tuple[int, int, int, int, int, int]] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_POOL_BEFORE = {"3a": 3, "4a": 3, "5a": 2}  # size of the pooling


def build(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `googlenet`; see `record.Backbone`."""
    return own_network(spec, pixels, googlenet)


def googlenet(pixels: Any) -> Any:
    """Build GoogLeNet.

    Args:
        pixels: Keras tensor [B, side, side, channels].

    Returns:
        Features [B, 1024].
    """
    layers = keras.layers
    x = layers.ZeroPadding2D(3, name="conv1_pad")(pixels)
    x = _conv(x, 64, 7, "conv1", strides=2, padding="valid")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(x)
    x = _conv(_conv(x, 64, 1, "conv2"), 192, 3, "conv3")
    for module, filters in _MODULES.items():
        if module in _POOL_BEFORE:
            name = f"pool{module}"
            x = layers.MaxPooling2D(_POOL_BEFORE[module], strides=2, padding="same", name=name)(x)
        x = _inception(x, filters, f"inception{module}")
    return pool(x)


def _inception(x: Any, filters: tuple[int, int, int, int, int, int], name: str) -> Any:
    one, reduce3, three, reduce5, five, project = filters
    pooled = keras.layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    branches = [
        _conv(x, one, 1, f"{name}_1"),
        _conv(_conv(x, reduce3, 1, f"{name}_2_reduce"), three, 3, f"{name}_2"),
        _conv(_conv(x, reduce5, 1, f"{name}_3_reduce"), five, 3, f"{name}_3"),
        _conv(pooled, project, 1, f"{name}_4"),
    ]
    return keras.layers.Concatenate(name=name)(branches)


def _conv(x: Any, filters: int, size: int, name: str, **options: Any) -> Any:
    x = conv_norm(x, filters, size, name, **options)
    return keras.layers.ReLU(name=f"{name}_relu")(x)
