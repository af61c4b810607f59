"""InceptionV3, with names of its layers that do not depend on what was built before.

Source: Szegedy et al. 2015, Rethinking the Inception Architecture (arXiv 1512.00567), as
keras.applications.InceptionV3 has it: the same layers in the same order, so its weights fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.model.backbones.blocks import Size, conv_norm, pool
from edgeface.model.backbones.weights import own_network

SMALLEST_SIDE_PX = 96  # Source: Keras takes 75 or more; sides are multiples of 32

Step = tuple[int, Size]  # filters, size of the kernel
Chain = tuple[Step, ...]

# Source: as above; the three branches beside that of the pooling, for maps of 35, 17 and 8 places
_AT_35: tuple[Chain, ...] = (((64, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3)))
_POOLED_AT_35 = (32, 64, 64)
_TO_17: tuple[Chain, ...] = (((384, 3),), ((64, 1), (96, 3), (96, 3)))
_WIDTHS_AT_17 = (128, 160, 160, 192)
_TO_8: tuple[Chain, ...] = (
    ((192, 1), (320, 3)),
    ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)),
)
_FORKS_AT_8: tuple[Chain, ...] = (((384, 1),), ((448, 1), (384, 3)))


def build(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `inceptionv3`; see `record.Backbone`."""
    return own_network(spec, pixels, inceptionv3, make=keras.applications.InceptionV3)


def inceptionv3(pixels: Any) -> Any:
    """Build InceptionV3.

    Args:
        pixels: Keras tensor [B, side, side, channels], side 75 or more.

    Returns:
        Features [B, 2048].
    """
    layers = keras.layers
    x = _conv(pixels, 32, 3, "stem_1", strides=2, padding="valid")
    x = _conv(_conv(x, 32, 3, "stem_2", padding="valid"), 64, 3, "stem_3")
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool_1")(x)
    x = _conv(_conv(x, 80, 1, "stem_4", padding="valid"), 192, 3, "stem_5", padding="valid")
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool_2")(x)
    for number, pooled in enumerate(_POOLED_AT_35):
        x = _mixed(x, _AT_35, pooled, f"mixed{number}")
    x = _smaller(x, _TO_17, "mixed3")
    for number, width in enumerate(_WIDTHS_AT_17, start=4):
        x = _mixed(x, _at_17(width), 192, f"mixed{number}")
    x = _smaller(x, _TO_8, "mixed8")
    for number in (9, 10):
        x = _forked(x, f"mixed{number}")
    return pool(x)


def _at_17(width: int) -> tuple[Chain, ...]:
    row, column = (1, 7), (7, 1)
    long = ((width, 1), (width, column), (width, row), (width, column), (192, row))
    return (((192, 1),), ((width, 1), (width, row), (192, column)), long)


def _mixed(x: Any, chains: Sequence[Chain], pooled: int, name: str) -> Any:
    branches = [_chain(x, chain, f"{name}_{i}") for i, chain in enumerate(chains, start=1)]
    return keras.layers.Concatenate(name=name)([*branches, _pooled(x, pooled, name)])


def _smaller(x: Any, chains: Sequence[Chain], name: str) -> Any:
    """Halve the map: the last convolution of each branch has stride 2."""
    branches = []
    for i, chain in enumerate(chains, start=1):
        filters, size = chain[-1]
        inner = _chain(x, chain[:-1], f"{name}_{i}")
        last = _conv(inner, filters, size, f"{name}_{i}_last", strides=2, padding="valid")
        branches.append(last)
    pooled = keras.layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(x)
    return keras.layers.Concatenate(name=name)([*branches, pooled])


def _forked(x: Any, name: str) -> Any:
    """Two of the branches end in a row and a column beside each other."""
    branches = [_conv(x, 320, 1, f"{name}_1")]
    for i, chain in enumerate(_FORKS_AT_8, start=2):
        inner = _chain(x, chain, f"{name}_{i}")
        ends = [
            _conv(inner, 384, (1, 3), f"{name}_{i}_row"),
            _conv(inner, 384, (3, 1), f"{name}_{i}_column"),
        ]
        branches.append(keras.layers.Concatenate(name=f"{name}_{i}")(ends))
    return keras.layers.Concatenate(name=name)([*branches, _pooled(x, 192, name)])


def _pooled(x: Any, filters: int, name: str) -> Any:
    x = keras.layers.AveragePooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    return _conv(x, filters, 1, f"{name}_pooled")


def _chain(x: Any, chain: Chain, name: str) -> Any:
    for number, (filters, size) in enumerate(chain, start=1):
        x = _conv(x, filters, size, f"{name}_conv{number}")
    return x


def _conv(x: Any, filters: int, size: Size, name: str, **options: Any) -> Any:
    x = conv_norm(x, filters, size, name, scale=False, **options)
    return keras.layers.ReLU(name=f"{name}_relu")(x)
