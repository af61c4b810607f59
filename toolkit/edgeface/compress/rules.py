"""What each kind of Keras layer does with channels.

In: one call of a layer and the channel ids of its inputs. Out: the ids of its output, or None where
this layer's channels cannot be followed. Cutting stays right then: the caller keeps all channels
that go in, so the layer sees what it saw before.

Only exact types are known here: a subclass may do anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tf_keras as keras

from edgeface.compress.union import Draft, Ids, claim, fix, fresh, unite
from edgeface.model.backbones.picture import GREY

Rule = Callable[[Draft, Any, list[Ids]], Ids | None]

# Source: the functions of keras.activations that work element by element (softmax mixes channels)
_ELEMENTWISE_NAMES = (
    "elu exponential gelu hard_sigmoid linear mish relu selu sigmoid softplus softsign swish tanh"
)
ELEMENTWISE = tuple(keras.activations.get(name) for name in _ELEMENTWISE_NAMES.split())
# Source: what TFOpLambda calls the functions that Keras records for operators and tf functions
OPS_OF_ONE = frozenset(
    ("nn.relu", "nn.relu6", "nn.elu", "nn.silu", "math.sigmoid", "math.tanh", "math.abs")
)
OPS_OF_TWO = frozenset(
    (
        "__operators__.add",
        "math.add",
        "math.subtract",
        "math.multiply",
        "math.truediv",
        "math.maximum",
        "math.minimum",
    )
)


def follow(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    """Follow channels through one call.

    Args:
        draft: gets the layer's slots, and the ids that the call unites.
        node: of the Keras graph.
        inputs: ids of each input, int64 [channels].

    Returns:
        Ids of the output, int64 [channels], or None where they cannot be followed.
    """
    layer = node.layer
    rule = _RULES.get(type(layer))
    if type(layer).__name__ == "TFOpLambda":  # Keras exports no name for it
        rule = _operation
    if rule is None or getattr(layer, "data_format", "channels_last") != "channels_last":
        return None
    return rule(draft, node, inputs)


def is_elementwise(layer: Any) -> bool:
    """Say whether the layer's activation, if it has one, works on each element alone."""
    activation = getattr(layer, "activation", None)
    return activation is None or any(activation is known for known in ELEMENTWISE)


def _kernel(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    layer = node.layer
    kernel = layer.kernel
    if getattr(layer, "groups", 1) != 1:
        return None
    rank = len(kernel.shape)
    claim(draft, layer.name, 0, rank - 2, "reads", inputs[0])
    key = (layer.name, 0, rank - 1)
    known = draft.slots.get(key)
    made = known.ids if known else fresh(draft, int(kernel.shape[-1]))
    claim(draft, layer.name, 0, rank - 1, "writes", made)
    if layer.use_bias:
        claim(draft, layer.name, 1, 0, "writes", made)
    # what makes a picture grey is no part of what was learned
    if layer.name == GREY or not is_elementwise(layer):
        fix(draft, made)
    return made


def _depthwise(draft: Draft, node: Any, inputs: list[Ids]) -> Ids:
    layer = node.layer
    claim(draft, layer.name, 0, 2, "passes", inputs[0])  # kernel [h, w, channels, multiplier]
    made = np.repeat(inputs[0], layer.depth_multiplier)
    if layer.use_bias:
        claim(draft, layer.name, 1, 0, "passes", made)
    if not is_elementwise(layer):
        fix(draft, made)
    return made


def _normalize(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    layer = node.layer
    if list(layer.axis) != [len(_input_shape(node)) - 1]:
        return None
    for number in range(len(layer.weights)):
        claim(draft, layer.name, number, 0, "passes", inputs[0])
    return inputs[0]


def _prelu(draft: Draft, node: Any, inputs: list[Ids]) -> Ids:
    alpha = node.layer.alpha
    if int(alpha.shape[-1]) == len(inputs[0]):  # else one slope for all channels
        claim(draft, node.layer.name, 0, len(alpha.shape) - 1, "passes", inputs[0])
    return inputs[0]


def _activate(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    return inputs[0] if is_elementwise(node.layer) else None


def _keep(draft: Draft, node: Any, inputs: list[Ids]) -> Ids:
    return inputs[0]


def _rescale(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    layer = node.layer
    return inputs[0] if np.ndim(layer.scale) == np.ndim(layer.offset) == 0 else None


def _drop(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    shape = node.layer.noise_shape
    return inputs[0] if shape is None or shape[-1] in (None, 1) else None


def _unite_all(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    """Element by element; an input of one channel is spread over all, and so must stay."""
    shapes = [tensor.shape for tensor in node.keras_inputs]
    if len({len(shape) for shape in shapes}) != 1:
        return None
    width = max(map(len, inputs))
    wide = [ids for ids in inputs if len(ids) == width]
    for ids in inputs:
        if len(ids) != width:
            fix(draft, ids)
    for ids in wide[1:]:
        unite(draft, wide[0], ids)
    return wide[0]


def _join(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    rank = len(_input_shape(node))
    axis = node.layer.axis % rank
    if axis == 0:
        return None
    return np.concatenate(inputs) if axis == rank - 1 else _unite_all(draft, node, inputs)


def _flatten(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    places = _input_shape(node)[1:-1]
    return None if None in places else np.tile(inputs[0], math.prod(places))


def _reshape(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    """Where the last axis stays, channels stay; where all becomes one axis, it is a flatten."""
    made = tuple(node.outputs.shape)[1:]
    if made[-1] == len(inputs[0]):
        return inputs[0]
    return _flatten(draft, node, inputs) if len(made) == 1 else None


def _operation(draft: Draft, node: Any, inputs: list[Ids]) -> Ids | None:
    name = node.layer.get_config()["function"]
    others = [
        value
        for value in (*node.call_args, *node.call_kwargs.values())
        if not any(value is tensor for tensor in node.keras_inputs)
    ]
    if name not in OPS_OF_ONE | OPS_OF_TWO or any(np.ndim(value) for value in others):
        return None
    return _unite_all(draft, node, inputs)


def _input_shape(node: Any) -> tuple[Any, ...]:
    return tuple(node.keras_inputs[0].shape)


_LAYERS = keras.layers
_RULES: dict[type, Rule] = {
    _LAYERS.Conv2D: _kernel,
    _LAYERS.Dense: _kernel,
    _LAYERS.DepthwiseConv2D: _depthwise,
    _LAYERS.BatchNormalization: _normalize,
    _LAYERS.PReLU: _prelu,
    _LAYERS.Activation: _activate,
    _LAYERS.Rescaling: _rescale,
    _LAYERS.Dropout: _drop,
    _LAYERS.Concatenate: _join,
    _LAYERS.Flatten: _flatten,
    _LAYERS.Reshape: _reshape,
    **dict.fromkeys(
        (
            _LAYERS.ReLU,
            _LAYERS.LeakyReLU,
            _LAYERS.ELU,
            _LAYERS.SpatialDropout2D,
            _LAYERS.GaussianNoise,
            _LAYERS.MaxPooling2D,
            _LAYERS.AveragePooling2D,
            _LAYERS.GlobalMaxPooling2D,
            _LAYERS.GlobalAveragePooling2D,
            _LAYERS.ZeroPadding2D,
            _LAYERS.Cropping2D,
            _LAYERS.UpSampling2D,
        ),
        _keep,
    ),
    **dict.fromkeys(
        (
            _LAYERS.Add,
            _LAYERS.Subtract,
            _LAYERS.Multiply,
            _LAYERS.Average,
            _LAYERS.Maximum,
            _LAYERS.Minimum,
        ),
        _unite_all,
    ),
}
