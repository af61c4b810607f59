"""ResNet18, built here, and ResNet50, Keras's own.

Source: He et al. 2015, Deep Residual Learning for Image Recognition (arXiv 1512.03385), table 1.
"""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.model.backbones.blocks import conv_norm, pool
from edgeface.model.backbones.weights import application, own_network, weights_of_rgb

FILTERS = (64, 128, 256, 512)  # of the four stages; two blocks each
EPSILON = 1e-5  # Source: torch.nn.BatchNorm2d, whose networks S1 compares


def build18(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `resnet18`; see `record.Backbone`."""
    return own_network(spec, pixels, resnet18)


def build50(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `resnet50`; see `record.Backbone`."""
    return pool(application(spec, pixels, keras.applications.ResNet50, read=weights_of_rgb))


def resnet18(pixels: Any) -> Any:
    """Build ResNet18.

    Args:
        pixels: Keras tensor [B, side, side, channels].

    Returns:
        Features [B, 512].

    Source:
        He et al. 2015, table 1, 18 layers; shortcuts of option B. As torchvision.models.resnet18
        pads and normalizes, so that its weights fit.
    """
    layers = keras.layers
    x = layers.ZeroPadding2D(3, name="stem_pad")(pixels)
    x = conv_norm(x, 64, 7, "stem", strides=2, padding="valid", epsilon=EPSILON)
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    for stage, filters in enumerate(FILTERS, start=1):
        for number in (1, 2):
            strides = 2 if number == 1 and stage > 1 else 1
            x = _block(x, filters, strides, f"stage{stage}_block{number}")
    return pool(x)


def _block(x: Any, filters: int, strides: int, name: str) -> Any:
    layers = keras.layers
    shortcut = x
    if strides > 1:
        shortcut = conv_norm(x, filters, 1, f"{name}_short", strides=strides, epsilon=EPSILON)
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    padding = "valid" if strides > 1 else "same"
    x = conv_norm(x, filters, 3, f"{name}_1", strides=strides, padding=padding, epsilon=EPSILON)
    x = layers.ReLU(name=f"{name}_1_relu")(x)
    x = conv_norm(x, filters, 3, f"{name}_2", epsilon=EPSILON)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_relu")(x)
