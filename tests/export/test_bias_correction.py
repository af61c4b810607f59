"""Bias correction and the statistics it stands on, on a net small enough to check by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.errors import ExportError
from edgeface.export import flatbuffer
from edgeface.export.bias_correction import correct_biases
from edgeface.export.constants import read_biases, with_biases
from edgeface.export.convert import to_float_tflite, to_int8_tflite
from edgeface.export.statistics import channel_means, value_ranges
from edgeface.runtime.interpreter import open_model, run
from edgeface.types import SilentReporter

SIDE_PX = 16


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    # each of its own colour, so that pooled features differ from image to image
    generator = np.random.default_rng(5)
    colour = generator.integers(0, 206, (24, 1, 1, 3))
    return (colour + generator.integers(0, 50, (24, SIDE_PX, SIDE_PX, 3))).astype(np.uint8)


@pytest.fixture(scope="module")
def float_content() -> bytes:
    import tf_keras as keras

    keras.utils.set_random_seed(5)
    layers = keras.layers
    biased = {"bias_initializer": "random_normal"}  # the converter drops biases that are all zero
    image = keras.Input((SIDE_PX, SIDE_PX, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Conv2D(16, 3, padding="same", activation="relu6")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = layers.Conv2D(8, 1, **biased)(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = {
        "age": layers.Dense(5, name="age", **biased)(x),
        "gender": layers.Dense(1, name="gender", **biased)(x),
    }
    return to_float_tflite(keras.Model(image, outputs))


@pytest.fixture(scope="module")
def int8_content(float_content: bytes, images: NDArray[np.uint8]) -> bytes:
    return to_int8_tflite(float_content, images, SilentReporter())


def _shift(content: bytes, layer: flatbuffer.KernelLayer, amount: int) -> bytes:
    biases = read_biases(content, layer)
    return with_biases(content, layer, (biases + amount).astype(np.int32))


def _linear(content: bytes) -> list[flatbuffer.KernelLayer]:
    return [layer for layer in flatbuffer.kernel_layers(content) if layer.is_linear]


def _steps_off(
    float_content: bytes, content: bytes, images: NDArray[np.uint8]
) -> dict[str, NDArray[Any]]:
    """How far each linear layer's channel means are off the float model's, in output steps."""
    graph = flatbuffer.read_graph(content)
    wanted = channel_means(float_content, flatbuffer.activations(float_content), images)
    off = {}
    for layer in _linear(content):
        name = layer.output_name
        found = channel_means(content, {name: layer.output}, images)[name]
        scale = float(graph.tensors[layer.output].quantization.scale[0])
        off[name] = np.abs(found - wanted[name]) / scale
    return off


def test_layers_are_found_in_order(float_content: bytes) -> None:
    layers = flatbuffer.kernel_layers(float_content)
    assert [layer.is_linear for layer in layers] == [False, False, True, True, True]


def test_means_agree_with_the_runtime(float_content: bytes, images: NDArray[np.uint8]) -> None:
    model = open_model(float_content, where="test")
    outputs = {spec.name: i for i, spec in enumerate(model.outputs)}
    values = [run(model, image) for image in images]
    named = {n: i for n, i in flatbuffer.activations(float_content).items() if n in outputs}
    means = channel_means(float_content, named, images)
    assert set(means) == set(outputs)
    for name, mean in means.items():
        expected = np.mean([value[outputs[name]][0] for value in values], axis=0)
        np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)


def test_ranges_hold_every_value(float_content: bytes, images: NDArray[np.uint8]) -> None:
    ranges = value_ranges(float_content, images)
    model = open_model(float_content, where="test")
    for position, spec in enumerate(model.outputs):
        values = np.array([run(model, image)[position] for image in images])
        expected = (values.min(), values.max())
        np.testing.assert_allclose(ranges[spec.name], expected, rtol=1e-6)


def test_a_shifted_bias_is_taken_back(
    float_content: bytes, int8_content: bytes, images: NDArray[np.uint8]
) -> None:
    """A planted shift of the pointwise layer is seen, and gone after correction."""
    pointwise = _linear(int8_content)[0]
    graph = flatbuffer.read_graph(int8_content)
    output_scale = float(graph.tensors[pointwise.output].quantization.scale[0])
    input_scale = float(graph.tensors[pointwise.input].quantization.scale[0])
    kernel_scale = float(np.max(graph.tensors[pointwise.kernel].quantization.scale))
    five_steps = round(5 * output_scale / (input_scale * kernel_scale))
    spoiled = _shift(int8_content, pointwise, five_steps)
    before = _steps_off(float_content, spoiled, images)
    assert before[pointwise.output_name].max() > 3
    corrected = correct_biases(float_content, spoiled, images, SilentReporter())
    after = _steps_off(float_content, corrected, images)
    # a mean over images and positions is finer than a step, but the outputs it is taken of are
    # rounded to steps: half a step is what rounding alone can leave
    assert max(off.max() for off in after.values()) <= 0.5


def test_only_biases_change(
    float_content: bytes, int8_content: bytes, images: NDArray[np.uint8]
) -> None:
    corrected = correct_biases(float_content, int8_content, images, SilentReporter())
    assert len(corrected) == len(int8_content)
    restored = corrected
    for layer in _linear(int8_content):
        biases = read_biases(int8_content, layer)
        restored = with_biases(restored, layer, biases)
    assert restored == int8_content


def test_biases_of_another_length_are_refused(int8_content: bytes) -> None:
    layer = flatbuffer.kernel_layers(int8_content)[0]
    with pytest.raises(ExportError, match="3 values, expected 16"):
        with_biases(int8_content, layer, np.zeros(3, np.int32))
