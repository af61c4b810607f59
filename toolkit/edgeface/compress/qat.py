"""Quantization-aware training (QAT): train on while every tensor is rounded as int8 rounds it.

In: a trained model, calibration images, and how to train it. Out: a model with fake quantization,
for `export.convert_tfmot.qat_to_int8_tflite`.

What it buys: accuracy of the int8 file where quantization after training loses more than the
budget allows. The weights learn to lie where rounding them costs little.

What it does not buy: bytes or latency; the file has the same tensors as the one quantized after
training. It costs a training, and `convert.to_int8_tflite` with its corrections often loses as
little for none: it is the fall-back, not the default.

TFMOT's wrapper and quantizers are used, not its `quantize_model`: that knows no `Rescaling`, gives
a depthwise kernel one scale instead of one a channel, and takes a minute to rewrite MobileNetV2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.compress.fold import fold_batch_norm
from edgeface.compress.rounding import QuantizedRescaling, Rounding
from edgeface.compress.tfmot import Train, tfmot
from edgeface.errors import CompressionError

_BATCH = 8  # chosen: the activations of 8 images of 128 px are some 150 MB

_LAYERS = keras.layers
# what holds a kernel or adds, and computes its activation in the same operator
_COMPUTES = (_LAYERS.Conv2D, _LAYERS.DepthwiseConv2D, _LAYERS.Dense, _LAYERS.Add)
_ROUNDS = (
    *_COMPUTES,
    _LAYERS.ReLU,
    _LAYERS.Activation,
    _LAYERS.AveragePooling2D,
    _LAYERS.GlobalAveragePooling2D,
    _LAYERS.Concatenate,
)
# Source: TFLite 8-bit quantization specification: their output has the scale of their input
_MOVES = (
    _LAYERS.ZeroPadding2D,
    _LAYERS.MaxPooling2D,
    _LAYERS.Flatten,
    _LAYERS.Reshape,
    _LAYERS.Dropout,
    _LAYERS.SpatialDropout2D,
)
_ACTIVATIONS = ("linear", "relu", "relu6")


def quantization_aware(model: Any, *, calibration: NDArray[np.uint8], train: Train) -> Any:
    """Train a model on with int8 rounding of weights and activations in its forward pass.

    Batch normalization is folded into the convolutions before the training, so that kernels are
    rounded as the file will hold them and no statistic can move. The biases that folding makes
    are trained.

    Activations start from their ranges over the calibration images instead of TFMOT's -6 to 6,
    which would clip an age head's logits, and follow the batches' ranges from there as a moving
    average. The range of an output of the model only grows, so that no value it was trained on is
    clipped. The input's is 0 to 255 and fixed.

    Args:
        model: trained, functional; a `Rescaling` alone reads the image; not changed.
        calibration: uint8 [N, side, side, 3], images of the training split.
        train: trains the wrapped model in place; it needs no callback.

    Returns:
        A model with the input and outputs of `model` that computes in float what int8 would give,
        with wrappers in it; not for `convert.to_float_tflite`.

    Raises:
        CompressionError: nothing rescales the image, a layer is of a kind that is not known here,
            or the calibration images do not fit the model.

    Source:
        Jacob et al. 2018, Quantization and Training of Neural Networks (arXiv 1712.05877),
        section 3. Folding before training instead of during it: chosen, because a model that is
        trained already has settled statistics (Krishnamoorthi 2018, arXiv 1806.08342, section
        3.2.2, freezes them for the same reason).
    """
    if calibration.shape[1:] != model.input_shape[1:] or len(calibration) == 0:
        raise CompressionError(
            f"calibration images: shape is {calibration.shape}, expected one or more of "
            f"{model.input_shape[1:]}, the input of {model.name!r}"
        )
    folded = fold_batch_norm(model)
    roundings = _roundings(folded)
    ranges = _ranges(folded, calibration)  # before wrapping, which takes the layers over
    training = keras.models.clone_model(
        folded, clone_function=lambda layer: _wrapped(layer, roundings)
    )
    for layer in training.layers:
        if isinstance(layer, tfmot.quantization.keras.QuantizeWrapperV2):
            _set_range(layer, ranges[layer.layer.name])
    train(training, [])
    return training


def _roundings(folded: Any) -> dict[str, Rounding | None]:
    """How each layer is rounded, by name; None where it gives what it is given."""
    first = [node.outbound_layer for node in folded.layers[0].outbound_nodes]
    if [type(layer) for layer in first] != [_LAYERS.Rescaling]:
        raise CompressionError(
            f"model {folded.name!r}: {', '.join(layer.name for layer in first)} reads the image, "
            "expected one Rescaling; build the network with edgeface.model.networks"
        )
    heads = {tensor.node.layer.name for tensor in tf.nest.flatten(folded.output)}
    return {
        layer.name: _rounding(layer, is_head=layer.name in heads)
        for layer in folded.layers[1:]
        if layer is not first[0]
    }


def _rounding(layer: Any, *, is_head: bool) -> Rounding | None:
    activation = keras.activations.serialize(getattr(layer, "activation", keras.activations.linear))
    if type(layer) not in (*_ROUNDS, *_MOVES) or activation not in _ACTIVATIONS:
        raise CompressionError(
            f"layer {layer.name!r}: is a {type(layer).__name__} with activation {activation}, "
            "which quantization-aware training does not know; quantize after training instead"
        )
    if type(layer) in _MOVES:
        return None
    range_: Literal["follows", "grows"] | None = "grows" if is_head else "follows"
    readers = [node.outbound_layer for node in layer.outbound_nodes]
    if type(layer) in _COMPUTES and len(readers) == 1 and _is_relu(readers[0]) and not is_head:
        range_ = None
    return Rounding(kernel=_kernel_name(layer), output=range_)


def _kernel_name(layer: Any) -> str | None:
    if type(layer) is _LAYERS.DepthwiseConv2D:
        return "depthwise_kernel"
    return "kernel" if type(layer) in (_LAYERS.Conv2D, _LAYERS.Dense) else None


def _is_relu(layer: Any) -> bool:
    if type(layer) is _LAYERS.Activation:
        return keras.activations.serialize(layer.activation) in ("relu", "relu6")
    return type(layer) is _LAYERS.ReLU and layer.negative_slope == layer.threshold == 0


def _wrapped(layer: Any, roundings: Mapping[str, Rounding | None]) -> Any:
    if type(layer) is _LAYERS.Rescaling:
        return QuantizedRescaling(layer.scale, layer.offset, name=layer.name)
    rounding = roundings[layer.name]
    if rounding is None:
        return layer
    return tfmot.quantization.keras.QuantizeWrapperV2(layer, rounding)


def _ranges(folded: Any, images: NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each layer's output over the images, by name."""
    outputs = {layer.name: layer.output for layer in folded.layers}
    network = keras.Model(folded.input, outputs)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def extremes(batch: Any) -> Any:
        values = network(tf.cast(batch, tf.float32), training=False)
        return {name: (tf.reduce_min(v), tf.reduce_max(v)) for name, v in values.items()}

    # Source: TFLite 8-bit quantization specification: zero is in every range
    ranges = dict.fromkeys(outputs, (0.0, 0.0))
    for start in range(0, len(images), _BATCH):
        for name, (low, high) in extremes(images[start : start + _BATCH]).items():
            ranges[name] = min(ranges[name][0], float(low)), max(ranges[name][1], float(high))
    return ranges


def _set_range(wrapper: Any, bounds: tuple[float, float]) -> None:
    for weight in wrapper.weights:
        for name, bound in zip(("output_min:0", "output_max:0"), bounds, strict=True):
            if weight.name.endswith(f"/{name}"):
                weight.assign(bound)
