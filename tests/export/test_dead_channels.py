"""A channel without weights keeps its bias in int8."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from edgeface.export.convert import to_float_tflite
from edgeface.export.plan import QuantizePlan
from edgeface.export.quantize import quantize
from edgeface.runtime.affine import dequantize
from edgeface.runtime.interpreter import open_model, run
from edgeface.types import SilentReporter


def test_a_channel_of_zeros_gives_its_bias() -> None:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Conv2D(8, 3, bias_initializer="ones", activation="relu", name="conv")(x)
    x = layers.DepthwiseConv2D(3, bias_initializer="ones", name="depthwise")(x)
    x = layers.Flatten()(x)
    model = keras.Model(image, {"out": layers.Dense(3, bias_initializer="ones", name="out")(x)})
    for name in ("conv", "depthwise", "out"):
        kernel, bias = model.get_layer(name).get_weights()
        kernel[..., 0, 0] = 0  # of some weights
        kernel[(..., 1, 0) if name == "depthwise" else (..., 1)] = 0  # of a whole channel
        model.get_layer(name).set_weights([kernel, bias])
    images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)
    content = quantize(to_float_tflite(model), images, QuantizePlan(), SilentReporter())
    opened = open_model(content, where="test")
    expected = model.predict(images.astype(np.float32), verbose=0)["out"]
    step = opened.outputs[0].scale
    assert step is not None
    found = np.stack([dequantize(run(opened, each)[0], opened.outputs[0])[0] for each in images])
    np.testing.assert_allclose(found[:, 1], 1.0, atol=step)  # the bias alone
    # three layers of rounding, each of about a step of its own tensor
    np.testing.assert_allclose(found, expected, atol=6 * step)
