"""Each layer of a network as an int8 `.tflite` of its own, to be timed alone.

In: a tf_keras functional model. Out: a file a layer that has a kernel. The files compute nothing
of use: their ranges are made up, which does not change how long an integer kernel takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras as keras
from litert_quantizer import quantizer as litert_quantizer
from litert_quantizer import recipe as litert_recipe

from edgeface.export.convert import INPUT_NAME, to_float_tflite
from edgeface.export.flatbuffer import SIGNATURE
from edgeface.export.quiet import quiet
from edgeface.types import Reporter

_WITH_KERNEL = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)


def layer_files(model: Any, reporter: Reporter) -> dict[str, bytes]:
    """Cut a network into its kernel layers; layers of equal shape share one file.

    Args:
        model: built with a fixed input size.
        reporter: shows progress.

    Returns:
        By layer name, in graph order, an int8 `.tflite`.

    Raises:
        ExportError: a layer cannot be converted alone.
    """
    layers = [layer for layer in model.layers if isinstance(layer, _WITH_KERNEL)]
    made: dict[str, bytes] = {}
    files: dict[str, bytes] = {}
    with reporter.track("cutting out layers", len(layers)) as advance:
        for layer in layers:
            config = {
                key: value
                for key, value in layer.get_config().items()
                if key != "name" and not key.endswith(("initializer", "regularizer"))
            }
            key = repr((type(layer).__name__, layer.input_shape, sorted(config.items())))
            if key not in made:
                made[key] = _file(type(layer), config, layer.input_shape[1:])
            files[layer.name] = made[key]
            advance(1)
    return files


def _file(kind: Any, config: dict[str, Any], shape: tuple[int, ...]) -> bytes:
    value = keras.Input(shape, name=INPUT_NAME)
    alone = keras.Model(value, {"out": kind(**config, name="out")(value)})
    quantizer = litert_quantizer.Quantizer(to_float_tflite(alone), litert_recipe.static_wi8_ai8())
    made_up = np.random.default_rng(0).uniform(-1, 1, (1, *shape)).astype(np.float32)
    with quiet():
        ranges = quantizer.calibrate({SIGNATURE: [{INPUT_NAME: made_up}]})
        return bytes(quantizer.quantize(ranges).quantized_model)
