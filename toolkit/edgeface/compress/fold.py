"""Fold batch normalization into the layers before it, as conversion does.

In: a trained model. Out: a model with the same outputs, without the normalizations. It is what a
device runs, so quantization that is trained on it meets the very kernels and biases that it will
round.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

_KERNELS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)


def fold_batch_norm(model: Any) -> Any:
    """Rebuild a model without the batch normalizations that a layer before them can take in.

    Such a layer is a convolution, depthwise convolution or dense layer without an activation whose
    output goes to the normalization alone. Other normalizations stay.

    Args:
        model: functional tf_keras model; not changed.

    Returns:
        A functional model with the same inputs, outputs and other layers; the layers before
        normalizations have biases. For inference: in training its outputs differ, as it has no
        statistics of batches.

    Source:
        Jacob et al. 2018, Quantization and Training of Neural Networks (arXiv 1712.05877),
        section 3.2.
    """
    config = model.get_config()
    into = _foldable(model, config)
    layers = []
    for entry in config["layers"]:
        if entry["name"] not in into:
            if entry["name"] in into.values():
                entry["config"]["use_bias"] = True
            layers.append(entry)
    config["layers"] = _redirect(layers, into)
    config["output_layers"] = _redirect(config["output_layers"], into)
    folded = type(model).from_config(config)
    normalization = {source: name for name, source in into.items()}
    for layer in folded.layers:
        weights = model.get_layer(layer.name).get_weights()
        if layer.name in normalization:
            weights = _taken_in(weights, model.get_layer(normalization[layer.name]))
        layer.set_weights(weights)
    return folded


def _foldable(model: Any, config: dict[str, Any]) -> dict[str, str]:
    """Names of the normalizations that go, and of the layer that takes each in."""
    reads = {entry["name"]: _references(entry["inbound_nodes"]) for entry in config["layers"]}
    uses = [name for names in reads.values() for name in names]
    uses += _references(config["output_layers"])
    into = {}
    for name, sources in reads.items():
        layer = model.get_layer(name)
        if type(layer) is not keras.layers.BatchNormalization or len(sources) != 1:
            continue
        source = model.get_layer(sources[0])
        is_linear = getattr(source, "activation", None) is keras.activations.linear
        # a layer that is called twice is read twice or more
        if type(source) in _KERNELS and is_linear and uses.count(source.name) == 1:
            last_axis = len(source.output_shape) - 1
            if list(layer.axis) == [last_axis]:
                into[name] = source.name
    return into


def _taken_in(
    weights: list[NDArray[np.float32]], normalization: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias that give what kernel, bias and normalization gave."""
    kernel = weights[0].astype(np.float64)
    variance = normalization.moving_variance.numpy().astype(np.float64)
    factor = 1 / np.sqrt(variance + normalization.epsilon)
    if normalization.scale:
        factor *= normalization.gamma.numpy()
    bias = (weights[1] if len(weights) > 1 else 0) - normalization.moving_mean.numpy()
    bias = bias * factor
    if normalization.center:
        bias += normalization.beta.numpy()
    # of a depthwise kernel [h, w, channels, multiplier] the output channels are the last two axes
    outputs = kernel.shape[-1] if len(factor) == kernel.shape[-1] else kernel.shape[-2:]
    scaled = kernel * factor.reshape(outputs)
    return scaled.astype(np.float32), bias.astype(np.float32)


def _references(nested: Any) -> list[str]:
    """Names of the layers whose tensors a part of a Keras configuration names."""
    if isinstance(nested, dict):
        return [name for value in nested.values() for name in _references(value)]
    if not isinstance(nested, (list, tuple)):
        return []
    if _is_reference(nested):
        return [nested[0], *_references(nested[3:])]
    return [name for value in nested for name in _references(value)]


def _redirect(nested: Any, into: dict[str, str]) -> Any:
    """The same part of a configuration, with the tensors of other layers."""
    if isinstance(nested, dict):
        return {key: _redirect(value, into) for key, value in nested.items()}
    if not isinstance(nested, (list, tuple)):
        return nested
    if _is_reference(nested):
        return [into.get(nested[0], nested[0]), *_redirect(nested[1:], into)]
    return [_redirect(value, into) for value in nested]


def _is_reference(nested: Any) -> bool:
    # Source: tf_keras functional.get_network_config: [layer, call, output] and then arguments
    return (
        len(nested) >= 3
        and isinstance(nested[0], str)
        and type(nested[1]) is int
        and type(nested[2]) is int
    )
