"""The one place that imports TFMOT, and what its methods share.

In: a trained model. Out: which of its layers a method works on, and copies of it. TFMOT wraps
layers while a model trains; what leaves this room is a plain model again, or says that it is not.

What none of TFMOT's methods buys is channels: the network keeps its shape, so it runs as many MACs
as before. Only `prune` removes channels.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tf_keras as keras

with warnings.catch_warnings():
    # TFMOT 0.8.1 compares versions with distutils on import, which says that it is deprecated;
    # tests treat warnings as errors, and no user can do anything about this one
    warnings.filterwarnings("ignore", "distutils", DeprecationWarning)
    import tensorflow_model_optimization as tfmot

__all__ = ["Train", "heavy_layers", "plain", "tfmot", "wrapped"]

Train = Callable[[Any, Sequence[Any]], None]
"""Trains in place: a tf_keras model that it compiles itself, and Keras callbacks to add."""

# Chosen: a layer of fewer weights could vanish and take less than a thousandth of the file along;
# the first convolutions and a head of one unit are such, and they are the touchiest.
MIN_SHARE = 0.001


def heavy_layers(model: Any) -> tuple[str, ...]:
    """Name the layers that hold the weights: convolutions and dense layers, in graph order.

    Depthwise convolutions are left alone. They hold 3 % of MobileNetV2's weights, a channel has
    nine of them and nothing else to see its neighbourhood by, and XNNPACK's sparse kernels are for
    1x1 convolutions. So are layers with less than `MIN_SHARE` of the model's weights.
    """
    kernels = [
        (layer.name, int(np.prod(layer.kernel.shape)))
        for layer in model.layers
        if type(layer) in (keras.layers.Conv2D, keras.layers.Dense)
    ]
    least = MIN_SHARE * model.count_params()
    return tuple(name for name, weights in kernels if weights >= least)


def wrapped(model: Any, names: Sequence[str], wrap: Callable[[Any], Any]) -> Any:
    """Copy a model with its weights and wrap some layers of the copy.

    Args:
        model: functional tf_keras model; not changed.
        names: of the layers to wrap.
        wrap: puts a layer, which is built and has its weights, into its wrapper.
    """
    copied = keras.models.clone_model(model)
    for layer in model.layers:
        copied.get_layer(layer.name).set_weights(layer.get_weights())
    return keras.models.clone_model(
        copied, clone_function=lambda layer: wrap(layer) if layer.name in names else layer
    )


def plain(model: Any, stripped: Any) -> Any:
    """Make a model like the first with the weights of the second.

    A model that TFMOT has stripped shares its layers with the wrapped one; this one has its own.

    Args:
        model: before it was wrapped.
        stripped: has layers of the same names and shapes.
    """
    result = keras.models.clone_model(model)
    for layer in result.layers:
        layer.set_weights(stripped.get_layer(layer.name).get_weights())
    return result
