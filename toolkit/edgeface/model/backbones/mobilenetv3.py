"""MobileNetV3-Small and -Large, with layers in place of the operators that Keras records.

Keras's own holds layers that call a function by its name, which a file must not bring
(`edgeface.model.saved`).

Source: Howard et al. 2019, Searching for MobileNetV3 (arXiv 1905.02244), tables 1 and 2, as
keras.applications has them without top: up to the last 1×1 convolution before the pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.model.backbones.blocks import conv_norm, pool
from edgeface.model.backbones.weights import own_network

STEM_FILTERS = 16


@dataclass(frozen=True)
class Block:
    """One inverted residual block: a row of the paper's tables.

    Attributes:
        size: of the depthwise kernel.
        expanded: channels between the two 1×1 convolutions.
        filters: channels that come out.
        gated: with squeeze-and-excite.
        hard: hard swish in place of ReLU.
        strides: of the depthwise convolution.
    """

    size: int
    expanded: int
    filters: int
    gated: bool
    hard: bool
    strides: int


# Source: tables 2 and 1; the expansions are those of keras.applications
SMALL = (
    Block(3, 16, 16, True, False, 2),
    Block(3, 72, 24, False, False, 2),
    Block(3, 88, 24, False, False, 1),
    Block(5, 96, 40, True, True, 2),
    Block(5, 240, 40, True, True, 1),
    Block(5, 240, 40, True, True, 1),
    Block(5, 120, 48, True, True, 1),
    Block(5, 144, 48, True, True, 1),
    Block(5, 288, 96, True, True, 2),
    Block(5, 576, 96, True, True, 1),
    Block(5, 576, 96, True, True, 1),
)
LARGE = (
    Block(3, 16, 16, False, False, 1),
    Block(3, 64, 24, False, False, 2),
    Block(3, 72, 24, False, False, 1),
    Block(5, 72, 40, True, False, 2),
    Block(5, 120, 40, True, False, 1),
    Block(5, 120, 40, True, False, 1),
    Block(3, 240, 80, False, True, 2),
    Block(3, 200, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 480, 112, True, True, 1),
    Block(3, 672, 112, True, True, 1),
    Block(5, 672, 160, True, True, 2),
    Block(5, 960, 160, True, True, 1),
    Block(5, 960, 160, True, True, 1),
)


def build_small(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `mobilenetv3small`; see `record.Backbone`."""
    make = keras.applications.MobileNetV3Small
    return own_network(spec, pixels, lambda given: mobilenetv3(given, SMALL), make=make)


def build_large(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `mobilenetv3large`; see `record.Backbone`."""
    make = keras.applications.MobileNetV3Large
    return own_network(spec, pixels, lambda given: mobilenetv3(given, LARGE), make=make)


def mobilenetv3(pixels: Any, blocks: tuple[Block, ...]) -> Any:
    """Build MobileNetV3.

    Args:
        pixels: Keras tensor [B, side, side, channels].
        blocks: `SMALL` or `LARGE`.

    Returns:
        Features [B, 6 × filters of the last block].
    """
    x = conv_norm(pixels, STEM_FILTERS, 3, "stem", strides=2)
    x = _hard_swish(x, "stem_swish")
    for number, block in enumerate(blocks):
        x = _block(x, block, f"block{number}")
    x = conv_norm(x, 6 * blocks[-1].filters, 1, "top")
    return pool(_hard_swish(x, "top_swish"))


def _block(x: Any, block: Block, name: str) -> Any:
    layers = keras.layers
    shortcut = x

    def activate(value: Any, of: str) -> Any:
        return _hard_swish(value, of) if block.hard else layers.ReLU(name=of)(value)

    if block.expanded != x.shape[-1]:
        x = conv_norm(x, block.expanded, 1, f"{name}_expand")
        x = activate(x, f"{name}_expand_act")
    x = layers.DepthwiseConv2D(
        block.size,
        strides=block.strides,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise",
    )(x)
    x = layers.BatchNormalization(name=f"{name}_depthwise_bn")(x)
    x = activate(x, f"{name}_depthwise_act")
    if block.gated:
        x = _squeeze_excite(x, f"{name}_se")
    x = conv_norm(x, block.filters, 1, f"{name}_project")
    if block.strides == 1 and shortcut.shape[-1] == block.filters:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _squeeze_excite(x: Any, name: str) -> Any:
    layers = keras.layers
    channels = int(x.shape[-1])
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    squeezed = _multiple_of_8(channels / 4)
    gate = layers.Conv2D(squeezed, 1, activation="relu", name=f"{name}_reduce")(gate)
    gate = layers.Conv2D(channels, 1, name=f"{name}_expand")(gate)
    return layers.Multiply(name=f"{name}_excite")([x, _hard_sigmoid(gate, f"{name}_gate")])


def _hard_swish(x: Any, name: str) -> Any:
    return keras.layers.Multiply(name=name)([x, _hard_sigmoid(x, f"{name}_gate")])


def _hard_sigmoid(x: Any, name: str) -> Any:
    """Give ReLU6(x + 3) / 6. Source: the paper, section 5.2."""
    x = keras.layers.Rescaling(1.0, offset=3.0, name=f"{name}_shift")(x)
    x = keras.layers.ReLU(6.0, name=f"{name}_relu6")(x)
    return keras.layers.Rescaling(1 / 6, name=f"{name}_sixth")(x)


def _multiple_of_8(channels: float) -> int:
    """Round to the nearest, but not by more than a tenth down. Source: keras.applications."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
