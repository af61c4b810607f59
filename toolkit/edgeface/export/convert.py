"""Keras model to float `.tflite` bytes, and float bytes to int8 bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python.convert_phase import ConverterError  # no public name has it

from edgeface.errors import ExportError
from edgeface.export.plan import QuantizePlan
from edgeface.export.quantize import quantize
from edgeface.types import Reporter

INPUT_NAME = "image"


def to_float_tflite(model: Any) -> bytes:
    """Convert a Keras model to a float32 `.tflite` for a batch of one.

    Args:
        model: tf_keras, one input [B, side, side, 3], outputs by head name.

    Returns:
        The flatbuffer, with a signature that names input and outputs.

    Raises:
        ExportError: the converter refuses the model.
    """
    return converted(converter_of(model), model.name)


def converter_of(model: Any) -> Any:
    """Hand TensorFlow's converter a Keras model, for a batch of one; its options come after."""
    shape = (1, *model.input_shape[1:])
    spec = tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)
    function = tf.function(
        lambda image: model(image, training=False), input_signature=[spec]
    ).get_concrete_function()
    # the converter saves all that it is handed: of a Keras model, every layer's functions, which
    # takes five times as long and gives the same bytes
    variables = tf.Module()
    variables.held = model.variables
    return tf.lite.TFLiteConverter.from_concrete_functions([function], variables)


def converted(converter: Any, name: str) -> bytes:
    """Run the converter.

    Raises:
        ExportError: it refuses the model called `name`.
    """
    try:
        return bytes(converter.convert())
    except (ConverterError, ValueError, RuntimeError, tf.errors.OpError) as err:
        reason = str(err).strip().splitlines()[0]
        raise ExportError(f"model {name!r}: cannot be converted to .tflite: {reason}") from err


def to_int8_tflite(
    float_content: bytes, calibration: NDArray[np.uint8], reporter: Reporter
) -> bytes:
    """Quantize a float `.tflite` to full-integer int8, weights per channel, biases corrected.

    Args:
        float_content: from `to_float_tflite`.
        calibration: uint8 [N, side, side, 3], images of the training split, 1 or more.
        reporter: shows progress.

    Returns:
        The flatbuffer; input and outputs are int8, and so is everything between. The input's
        scale is 1 and its zero point -128, so that a pixel is exact.

    Raises:
        CompressionError: no images.
        ExportError: a tensor between input and output is still float.

    Source:
        The default `QuantizePlan`: static ranges from calibration, weights int8 per channel,
        activations int8 per tensor. The ranges are the extremes over all calibration
        images, not the quantizer's moving average, which forgets all but the last (benchmarks/
        LOG.md).
    """
    return quantize(float_content, calibration, QuantizePlan(), reporter)
