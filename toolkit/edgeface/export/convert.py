"""Keras model to float `.tflite` bytes, and float bytes to int8 bytes."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from litert_quantizer import quantizer as litert_quantizer
from litert_quantizer import recipe as litert_recipe
from numpy.typing import NDArray
from tensorflow.lite.python.convert_phase import ConverterError  # no public name has it

from edgeface.errors import ExportError
from edgeface.export.bias_correction import correct_biases
from edgeface.export.flatbuffer import SIGNATURE, float_tensors, read_signature
from edgeface.export.statistics import value_ranges
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
    shape = (1, *model.input_shape[1:])
    spec = tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)
    function = tf.function(
        lambda image: model(image, training=False), input_signature=[spec]
    ).get_concrete_function()
    # the converter saves all that it is handed: of a Keras model, every layer's functions, which
    # takes five times as long and gives the same bytes
    variables = tf.Module()
    variables.held = model.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], variables)
    try:
        return bytes(converter.convert())
    except (ConverterError, ValueError, RuntimeError, tf.errors.OpError) as err:
        reason = str(err).strip().splitlines()[0]
        raise ExportError(
            f"model {model.name!r}: cannot be converted to .tflite: {reason}"
        ) from err


def to_int8_tflite(
    float_content: bytes, calibration: NDArray[np.uint8], reporter: Reporter
) -> bytes:
    """Quantize a float `.tflite` to full-integer int8, weights per channel, biases corrected.

    Args:
        float_content: from `to_float_tflite`.
        calibration: uint8 [N, side, side, 3], images of the training split.
        reporter: shows progress.

    Returns:
        The flatbuffer; input and outputs are int8, and so is everything between. The input's
        scale is 1 and its zero point -128, so that a pixel is exact.

    Raises:
        ExportError: a tensor between input and output is still float.

    Source:
        Recipe `static_wi8_ai8` of litert-quantizer: static ranges from calibration, weights int8
        per channel, activations int8 per tensor. The ranges are the extremes over all calibration
        images, not the quantizer's moving average, which forgets all but the last (benchmarks/
        LOG.md).
    """
    quantizer = litert_quantizer.Quantizer(float_content, litert_recipe.static_wi8_ai8())
    measured = value_ranges(float_content, calibration)
    measured[read_signature(float_content).input.name] = (0.0, 255.0)
    one = [{INPUT_NAME: calibration[0][None].astype(np.float32)}]
    with _quiet():
        ranges = {
            name: _with_range(entry, *measured[name]) if name in measured else entry
            for name, entry in quantizer.calibrate({SIGNATURE: one}).items()
        }
        content = bytes(quantizer.quantize(ranges).quantized_model)
    floats = float_tensors(content)
    if floats:
        raise ExportError(
            f"int8 model: {len(floats)} tensors are still float, e.g. {floats[0]}; expected none"
        )
    return correct_biases(float_content, content, calibration, reporter)


def _with_range(entry: Mapping[str, Any], low: float, high: float) -> dict[str, Any]:
    return {
        **entry,
        "min": np.full_like(entry["min"], low),
        "max": np.full_like(entry["max"], high),
    }


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
