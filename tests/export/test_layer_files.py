"""Layers cut out to be timed: every kernel layer has a file that computes its shape in int8."""

from __future__ import annotations

import tf_keras as keras

from edgeface.export.flatbuffer import float_tensors, kernel_layers
from edgeface.export.layer_files import layer_files
from edgeface.runtime.interpreter import open_model
from edgeface.types import SilentReporter


def test_each_kernel_layer_has_an_int8_file_and_equal_ones_share_it() -> None:
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="first")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(8, 1, name="one")(x)
    x = layers.Conv2D(8, 1, name="two")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, layers.Dense(4, name="dense")(x))
    files = layer_files(model, SilentReporter())
    assert list(files) == ["first", "depthwise", "one", "two", "dense"]
    assert files["one"] is files["two"], "same shape, made twice"
    assert len(set(files.values())) == 4
    inputs = {"first": (1, 16, 16, 3), "depthwise": (1, 8, 8, 8), "dense": (1, 8)}
    for name, content in files.items():
        assert float_tensors(content) == (), name
        assert len(kernel_layers(content)) == 1, name
        opened = open_model(content, where=name)
        assert opened.input.shape == inputs.get(name, (1, 8, 8, 8))
        assert opened.outputs[0].shape[1:] == model.get_layer(name).output_shape[1:]
