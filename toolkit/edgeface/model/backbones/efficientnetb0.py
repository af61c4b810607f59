"""EfficientNet-B0, with the picture's normalization before it and not in it.

Source: Tan & Le 2019, EfficientNet (arXiv 1905.11946), table 1, as keras.applications has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.model.backbones.blocks import conv_norm, pool
from edgeface.model.backbones.weights import own_network

STEM_FILTERS, TOP_FILTERS = 32, 1280
SQUEEZE_RATIO = 0.25
# Source: keras.applications.EfficientNetB0: the chance that training leaves a block out rises from
# 0 to this with the block's number (stochastic depth, Huang et al. 2016, arXiv 1603.09382)
DROP_RATIO = 0.2


@dataclass(frozen=True)
class Stage:
    """A row of the paper's table.

    Attributes:
        size: of the depthwise kernels.
        blocks: how many.
        filters: channels that come out of each.
        widening: times the channels that go in, between the two 1×1 convolutions.
        strides: of the first block.
    """

    size: int
    blocks: int
    filters: int
    widening: int
    strides: int


STAGES = (
    Stage(3, 1, 16, 1, 1),
    Stage(3, 2, 24, 6, 2),
    Stage(5, 2, 40, 6, 2),
    Stage(3, 3, 80, 6, 2),
    Stage(5, 3, 112, 6, 1),
    Stage(5, 4, 192, 6, 2),
    Stage(3, 1, 320, 6, 1),
)


def build(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `efficientnetb0`; see `record.Backbone`."""
    make = keras.applications.EfficientNetB0
    return own_network(spec, pixels, lambda given: efficientnetb0(given, seed), make=make)


def efficientnetb0(pixels: Any, seed: int) -> Any:
    """Build EfficientNet-B0.

    Args:
        pixels: Keras tensor [B, side, side, channels].
        seed: of which blocks a training leaves out.

    Returns:
        Features [B, 1280].
    """
    x = _conv(pixels, STEM_FILTERS, 3, "stem", strides=2)
    total = sum(stage.blocks for stage in STAGES)
    done = 0
    for number, stage in enumerate(STAGES, start=1):
        for letter in "abcd"[: stage.blocks]:
            name = f"block{number}{letter}"
            made = _block(x, stage, name, strides=stage.strides if letter == "a" else 1)
            if made.shape == x.shape:
                # each block its own seed, else all are left out together
                made = keras.layers.Dropout(
                    DROP_RATIO * done / total,
                    noise_shape=[None, 1, 1, 1],
                    seed=seed + done,
                    name=f"{name}_drop",
                )(made)
                made = keras.layers.Add(name=f"{name}_add")([made, x])
            x = made
            done += 1
    return pool(_conv(x, TOP_FILTERS, 1, "top"))


def _block(x: Any, stage: Stage, name: str, *, strides: int) -> Any:
    layers = keras.layers
    channels = int(x.shape[-1])
    if stage.widening > 1:
        x = _conv(x, channels * stage.widening, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        stage.size,
        strides=strides,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise",
    )(x)
    x = layers.BatchNormalization(name=f"{name}_depthwise_bn")(x)
    x = layers.Activation("swish", name=f"{name}_depthwise_act")(x)
    x = _squeeze_excite(x, max(1, int(channels * SQUEEZE_RATIO)), f"{name}_se")
    return conv_norm(x, stage.filters, 1, f"{name}_project")


def _squeeze_excite(x: Any, squeezed: int, name: str) -> Any:
    layers = keras.layers
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    gate = layers.Conv2D(squeezed, 1, activation="swish", name=f"{name}_reduce")(gate)
    gate = layers.Conv2D(x.shape[-1], 1, activation="sigmoid", name=f"{name}_expand")(gate)
    return layers.Multiply(name=f"{name}_excite")([x, gate])


def _conv(x: Any, filters: int, size: int, name: str, *, strides: int = 1) -> Any:
    x = conv_norm(x, filters, size, name, strides=strides)
    return keras.layers.Activation("swish", name=f"{name}_act")(x)
