"""What each plan makes, read from the flatbuffer, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeface.errors import CompressionError
from edgeface.export.bias_correction import correct_biases
from edgeface.export.constants import read_biases, read_constant, read_scales, with_biases
from edgeface.export.convert import to_float_tflite, to_int8_tflite
from edgeface.export.flatbuffer import (
    activations,
    float_tensors,
    kernel_layers,
    operators,
    read_graph,
    read_signature,
)
from edgeface.export.litert import static_int8, static_int8_alone
from edgeface.export.plan import QuantizePlan
from edgeface.export.predictions import predict
from edgeface.export.quantize import quantize
from edgeface.export.statistics import channel_means, value_ranges
from edgeface.types import HeadSpec, SilentReporter

EVERYTHING = QuantizePlan(equalize=True, ranges="error", refit_heads=True)


def kernel_types(content: bytes) -> list[int]:
    tensors = read_graph(content).tensors
    return [tensors[layer.kernel].type for layer in kernel_layers(content)]


def conversions(content: bytes) -> list[str]:
    return [op.name for op in operators(content) if op.name in ("QUANTIZE", "DEQUANTIZE")]


@pytest.mark.parametrize("plan", [QuantizePlan(), EVERYTHING])
def test_int8_has_no_float_and_the_same_signature(
    plan: QuantizePlan, small: bytes, colours: NDArray[np.uint8]
) -> None:
    content = quantize(small, colours, plan, SilentReporter())
    assert float_tensors(content) == ()
    signature = read_signature(content)
    assert (signature.input.scale, signature.input.zero_point) == (1.0, -128)
    assert signature.outputs.keys() == read_signature(small).outputs.keys()


def test_the_default_plan_is_what_the_pipeline_makes(
    small: bytes, colours: NDArray[np.uint8]
) -> None:
    made = quantize(small, colours, QuantizePlan(), SilentReporter())
    assert made == to_int8_tflite(small, colours, SilentReporter())


def test_piecewise_bias_correction_is_the_plain_one(
    float_content: bytes, faces: NDArray[np.uint8]
) -> None:
    """Reference: for each layer in turn, the whole network up to it, from the images on."""
    images = faces[:6]
    content = static_int8(float_content, value_ranges(float_content, images))
    expected = content
    floats = activations(float_content)
    linear = [layer for layer in kernel_layers(content) if layer.is_linear]
    assert len(linear) == 19  # 17 blocks and two heads
    for layer in linear:
        name = layer.output_name
        wanted = channel_means(float_content, {name: floats[name]}, images)[name]
        found = channel_means(expected, {name: layer.output}, images)[name]
        scale = read_scales(content, layer.kernel) * read_scales(content, layer.input)
        steps = read_biases(expected, layer) + np.round((wanted - found) / scale).astype(np.int64)
        expected = with_biases(expected, layer, steps.astype(np.int32))
    assert expected != content
    assert correct_biases(float_content, content, images, SilentReporter()) == expected


@pytest.mark.parametrize("place", [0, 4, 7])  # the first, one inside, a head
def test_a_float_layer_is_float_and_no_other(
    place: int, small: bytes, colours: NDArray[np.uint8], small_heads: tuple[HeadSpec, ...]
) -> None:
    name = kernel_layers(small)[place].output_name
    content = quantize(small, colours, QuantizePlan(float_layers=(name,)), SilentReporter())
    expected = [schema.TensorType.INT8] * 9
    expected[place] = schema.TensorType.FLOAT32
    assert kernel_types(content) == expected
    # a head's output is not converted back
    assert conversions(content) == ["DEQUANTIZE", "QUANTIZE"][: 1 if place == 7 else 2]
    outputs = read_signature(content).outputs
    assert sorted(spec.dtype for spec in outputs.values()) == (
        ["float32", "int8"] if place == 7 else ["int8", "int8"]
    )
    said, found = (
        predict(file, colours, small_heads, where="test")["age"] for file in (small, content)
    )
    assert np.abs(found - said).mean() < 2


def test_two_float_layers_in_a_row_are_one_island(small: bytes, colours: NDArray[np.uint8]) -> None:
    names = tuple(layer.output_name for layer in kernel_layers(small)[3:5])
    content = quantize(small, colours, QuantizePlan(float_layers=names), SilentReporter())
    assert conversions(content) == ["DEQUANTIZE", "QUANTIZE"]


def test_one_layer_alone_is_int8(small: bytes, colours: NDArray[np.uint8]) -> None:
    name = kernel_layers(small)[4].output_name
    content = static_int8_alone(small, value_ranges(small, colours), name)
    types = kernel_types(content)
    assert types.pop(4) == schema.TensorType.INT8
    assert set(types) == {schema.TensorType.FLOAT32}
    assert conversions(content) == ["QUANTIZE", "DEQUANTIZE"]


def test_a_net_without_any_bias_is_quantized(colours: NDArray[np.uint8]) -> None:
    """It once ended in "found 1 inputs and 0 outputs": there was no layer to correct."""
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(4, 3, use_bias=False)(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    content = to_float_tflite(keras.Model(image, {"age": keras.layers.Dense(1, use_bias=False)(x)}))
    assert [layer.bias for layer in kernel_layers(content) if layer.kind == "dense"] == [-1]
    int8 = to_int8_tflite(content, colours, SilentReporter())
    assert float_tensors(int8) == ()


def test_float16_halves_the_bytes_and_keeps_the_outputs(
    float_content: bytes, small: bytes, colours: NDArray[np.uint8], small_heads: Any
) -> None:
    plan = QuantizePlan(scheme="float16")
    halved = quantize(float_content, colours[:0], plan, SilentReporter())
    assert len(halved) < 0.65 * len(float_content)  # the graph and the biases stay
    content = quantize(small, colours[:0], plan, SilentReporter())
    weights = [op.inputs[0] for op in operators(content) if op.name == "DEQUANTIZE"]
    types = {read_graph(content).tensors[i].type for i in weights}
    assert len(weights) == 9
    assert types == {schema.TensorType.FLOAT16}
    assert read_signature(content).input == read_signature(small).input
    said, found = (predict(file, colours, small_heads, where="test") for file in (small, content))
    # 11 bits of significand: 0.05 % a weight
    np.testing.assert_allclose(found["age"], said["age"], rtol=0, atol=0.1)


def test_dynamic_range_is_refused_where_it_is_slow(
    small: bytes, colours: NDArray[np.uint8], small_heads: tuple[HeadSpec, ...]
) -> None:
    with pytest.raises(CompressionError) as caught:
        quantize(small, colours, QuantizePlan(scheme="dynamic"), SilentReporter())
    text = str(caught.value)
    assert "\n" not in text
    for part in ("2 depthwise layers", "3 to 4 times slower", "int8", "allow_slow"):
        assert part in text
    plan = QuantizePlan(scheme="dynamic", allow_slow=True)
    content = quantize(small, colours, plan, SilentReporter())
    assert read_signature(content).input.dtype == "float32"
    # the quantizer leaves depthwise and tiny layers as it sees fit, but not the convolutions
    assert schema.TensorType.INT8 in kernel_types(content)
    assert len(predict(content, colours, small_heads, where="test")["age"]) == len(colours)


def test_dynamic_range_is_given_where_nothing_is_depthwise(colours: NDArray[np.uint8]) -> None:
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(32, 3, activation="relu")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    content = to_float_tflite(keras.Model(image, {"age": keras.layers.Dense(1)(x)}))
    made = quantize(content, colours, QuantizePlan(scheme="dynamic"), SilentReporter())
    assert schema.TensorType.INT8 in kernel_types(made)
    assert read_constant(made, kernel_layers(made)[0].kernel).dtype == np.int8


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"equalize": True}, "equalize with scheme float16"),
        ({"ranges": "error"}, "ranges = error with scheme float16"),
        ({"refit_heads": True, "float_layers": ("a",)}, "refit_heads, float_layers with scheme"),
    ],
)
def test_a_choice_that_would_be_ignored_is_refused(choice: dict[str, Any], text: str) -> None:
    with pytest.raises(CompressionError, match=text):
        QuantizePlan(scheme="float16", **choice)


def test_a_layer_that_is_not_there_is_refused(small: bytes, colours: NDArray[np.uint8]) -> None:
    plan = QuantizePlan(float_layers=("no such layer",))
    with pytest.raises(CompressionError, match="float_layers: found 'no such layer', expected"):
        quantize(small, colours, plan, SilentReporter())


def test_no_images_are_refused(small: bytes, colours: NDArray[np.uint8]) -> None:
    with pytest.raises(CompressionError, match="found 0, expected 1 or more"):
        quantize(small, colours[:0], QuantizePlan(), SilentReporter())
