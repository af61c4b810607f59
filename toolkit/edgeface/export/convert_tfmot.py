"""Models that TFMOT's methods made, to `.tflite` bytes: sparse float, and int8 of a QAT model.

In: a Keras model with zeros, or with fake quantization. Out: a flatbuffer with the signature of
`convert.to_float_tflite`. Models without either go through `convert`; clustered ones too, as no
`.tflite` stores a table of values.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from edgeface.errors import ExportError
from edgeface.export.convert import converted, converter_of
from edgeface.export.flatbuffer import float_tensors


def to_sparse_tflite(model: Any) -> bytes:
    """Convert a model with many zeros to a float32 `.tflite` that leaves the zeros out.

    It makes the file smaller, not the model faster or its memory less: the runtime makes the
    weights dense when it loads them (`edgeface inspect` names the conditions that fail). The
    converter stores a kernel sparse only where that is smaller.

    Args:
        model: tf_keras, one input [B, side, side, 3], outputs by head name, e.g. of
            `magnitude_prune`.

    Returns:
        The flatbuffer; the same outputs as the dense one's.

    Raises:
        ExportError: the converter refuses the model.

    Source:
        tf.lite.Optimize.EXPERIMENTAL_SPARSITY, TensorFlow 2.21.
    """
    converter = converter_of(model)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    return converted(converter, model.name)


def qat_to_int8_tflite(model: Any) -> bytes:
    """Convert a model with fake quantization to full-integer int8, input and outputs too.

    The scales are the ones that were trained with; nothing is calibrated and no bias corrected.

    Args:
        model: of `quantization_aware`.

    Returns:
        The flatbuffer. The input's scale is 1 and its zero point -128, so that a pixel is exact.

    Raises:
        ExportError: the converter refuses the model, or a tensor is still float, because the model
            has a layer without fake quantization.
    """
    converter = converter_of(model)
    # without a calibration set this takes the scales from the fake quantization
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    content = converted(converter, model.name)
    floats = float_tensors(content)
    if floats:
        raise ExportError(
            f"model {model.name!r} as int8: {len(floats)} tensors are still float, e.g. "
            f"{floats[0]}; expected none; give a model of quantization_aware"
        )
    return content
