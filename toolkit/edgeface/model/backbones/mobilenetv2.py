"""MobileNetV2 of any width: Keras's own.

Source: Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks (arXiv
1801.04381).
"""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.model.backbones.weights import application


def build(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `mobilenetv2` of the spec's width; see `record.Backbone`."""
    x = application(spec, pixels, keras.applications.MobileNetV2, alpha=spec.width_ratio)
    return keras.layers.GlobalAveragePooling2D(name="pool")(x)
