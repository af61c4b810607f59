"""VGG16, the backbone of the published baseline, and VGG19: Keras's own.

Source: Simonyan & Zisserman 2014, Very Deep Convolutional Networks (arXiv 1409.1556),
configurations D and E.
"""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.model.backbones.weights import application, weights_of_rgb

VGG16_CONVOLUTION_PARAMETERS = 14_714_688  # Source: configuration D


def build(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `vgg16` or `vgg19`; see `record.Backbone`. The features are the flattened last map."""
    make = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}[spec.backbone]
    x = application(spec, pixels, make, read=weights_of_rgb)
    return keras.layers.Flatten(name="flatten")(x)
