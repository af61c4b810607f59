"""The networks: a backbone of the registry with its heads.

In: a `ModelSpec`. Out: a tf_keras functional model whose input is the RGB crop as 0..255.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.errors import ModelError
from edgeface.model.backbones.picture import GREY, scaled_picture
from edgeface.model.backbones.registry import BACKBONES
from edgeface.model.heads import head_specs, head_width
from edgeface.types import HeadSpec, Reporter, SilentReporter


def build_model(spec: ModelSpec, *, seed: int, reporter: Reporter) -> Any:
    """Build one network with the starting weights its spec names.

    Args:
        spec: which network; `weights` is "imagenet", "none" or a path.
        seed: of the random weights.
        reporter: is told what the weights are.

    Returns:
        A tf_keras model, outputs by head name.

    Raises:
        ModelError: the side is too small for the backbone, or the weights cannot be downloaded,
            read, or do not fit.
    """
    backbone = BACKBONES[spec.backbone]
    if spec.side_px < backbone.smallest_side_px:
        raise ModelError(
            f"side_px is {spec.side_px}, expected {backbone.smallest_side_px} or more for "
            f"{spec.backbone}; give a larger one"
        )
    keras.utils.set_random_seed(seed)
    image = keras.Input((spec.side_px, spec.side_px, 3), name="image")
    grey_channels = backbone.grey_channels if spec.colour == "grey" else 0
    pixels = scaled_picture(image, backbone.scaling, grey_channels=grey_channels)
    features = backbone.build(spec, pixels, seed)
    _say_weights(spec, reporter)
    outputs = {head.name: _head(head, spec, features, seed) for head in head_specs(spec)}
    return keras.Model(image, outputs, name=spec.backbone)


def build_unweighted(spec: ModelSpec, *, seed: int) -> Any:
    """Build a network whatever weights its spec names, with random ones, and without a word.

    It has the shapes of the trained one: to be weighed and timed, or to be given weights.

    Args:
        spec: which network.
        seed: of the random weights.

    Raises:
        ModelError: the side is too small for the backbone.
    """
    return build_model(replace(spec, weights="none"), seed=seed, reporter=SilentReporter())


def set_batch_norm_momentum(model: Any, momentum: float) -> None:
    """Set the momentum of every batch normalization, before the model is first trained."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def head_layers(heads: Iterable[HeadSpec]) -> frozenset[str]:
    """Names of the layers that belong to the heads: output, and where there is one its branch."""
    ends = ("", "_branch", "_dropout")
    return frozenset(f"{head.name}{end}" for head in heads for end in ends)


def freeze_backbone(model: Any, heads: tuple[HeadSpec, ...]) -> None:
    """Let training change only the heads and their branches, until `unfreeze`.

    A frozen batch normalization computes as in inference and keeps its statistics.

    Args:
        model: that `build_model` made, also pruned or with its layers wrapped; not yet compiled, as
            Keras settles what it trains when a model is compiled.
        heads: of the model.

    Raises:
        ModelError: the model has no layer of a head's name.
    """
    own = head_layers(heads)
    names = {_own_name(layer) for layer in model.layers}
    strangers = [head.name for head in heads if head.name not in names]
    if strangers:
        raise ModelError(
            f"model {model.name!r}: has no layer {strangers[0]!r}, expected one of each head's "
            "name; without it, freezing would leave nothing to train"
        )
    for layer in model.layers:
        if _own_name(layer) not in own:
            layer.trainable = False


def unfreeze(model: Any) -> None:
    """Let training change every layer but the one that makes the picture grey."""
    for layer in model.layers:
        layer.trainable = _own_name(layer) != GREY


def _own_name(layer: Any) -> str:
    """Name of a layer, or of the one that a wrapper is around."""
    return str(getattr(layer, "layer", layer).name)


def _head(head: HeadSpec, spec: ModelSpec, features: Any, seed: int) -> Any:
    layers = keras.layers
    x = features
    if spec.branch_units:
        x = layers.Dense(spec.branch_units, activation="relu", name=f"{head.name}_branch")(x)
    if spec.dropout_ratio:
        x = layers.Dropout(spec.dropout_ratio, seed=seed, name=f"{head.name}_dropout")(x)
    activation = spec.age_activation if head.kind == "regression" else "linear"
    return layers.Dense(head_width(head), activation=activation, name=head.name)(x)


def _say_weights(spec: ModelSpec, reporter: Reporter) -> None:
    meaning = {
        "none": "random weights (nothing pretrained)",
        "imagenet": "ImageNet weights from Keras",
    }
    reporter.say(f"{spec.backbone}: starts from {meaning.get(spec.weights, spec.weights)}")
