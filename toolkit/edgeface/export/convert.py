"""Keras model to float `.tflite` bytes, and float bytes to int8 bytes."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import Any

import numpy as np
import tensorflow as tf
from litert_quantizer import quantizer as litert_quantizer
from litert_quantizer import recipe as litert_recipe
from numpy.typing import NDArray

from edgeface.errors import ExportError
from edgeface.export.flatbuffer import SIGNATURE, float_tensors

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
    shape = (1, *model.input_shape[1:])
    spec = tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)
    function = tf.function(
        lambda image: model(image, training=False), input_signature=[spec]
    ).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    try:
        return bytes(converter.convert())
    except (ValueError, RuntimeError, tf.errors.OpError) as err:
        reason = str(err).strip().splitlines()[0]
        raise ExportError(
            f"model {model.name!r}: cannot be converted to .tflite: {reason}"
        ) from err


def to_int8_tflite(float_content: bytes, calibration: NDArray[np.uint8]) -> bytes:
    """Quantize a float `.tflite` to full-integer int8, weights per channel.

    Args:
        float_content: from `to_float_tflite`.
        calibration: uint8 [N, side, side, 3], images of the training split.

    Returns:
        The flatbuffer; input and outputs are int8, and so is everything between.

    Raises:
        ExportError: a tensor between input and output is still float.

    Source:
        Recipe `static_wi8_ai8` of litert-quantizer: static ranges from calibration, weights int8
        per channel, activations int8 per tensor.
    """
    quantizer = litert_quantizer.Quantizer(float_content, litert_recipe.static_wi8_ai8())
    samples = [{INPUT_NAME: image[None].astype(np.float32)} for image in calibration]
    with _quiet():
        ranges = quantizer.calibrate({SIGNATURE: samples})
        content = bytes(quantizer.quantize(ranges).quantized_model)
    floats = float_tensors(content)
    if floats:
        raise ExportError(
            f"int8 model: {len(floats)} tensors are still float, e.g. {floats[0]}; expected none"
        )
    return content


@contextlib.contextmanager
def _quiet() -> Any:
    # litert-quantizer prints its own bars and statistics; only the command line talks here
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Warning: Enabling `experimental_preserve_all")
        logging.getLogger("absl").setLevel(logging.ERROR)
        yield
