"""Converted files against the Keras model they come from, and what int8 files are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert import schema_py_generated as schema
from litert_quantizer import recipe as litert_recipe
from numpy.typing import NDArray

from edgeface.errors import ExportError
from edgeface.export.convert import to_float_tflite, to_int8_tflite
from edgeface.export.flatbuffer import read_signature
from edgeface.runtime.affine import dequantize
from edgeface.runtime.interpreter import open_model, run
from edgeface.types import SilentReporter

Outputs = dict[str, NDArray[np.float64]]


def run_tflite(content: bytes, images: NDArray[np.uint8]) -> Outputs:
    signature = read_signature(content)
    model = open_model(content, where="test")
    rows = [run(model, image, tuple(signature.outputs.values())) for image in images]
    return {
        name: dequantize(np.concatenate(column), spec)
        for (name, spec), column in zip(
            signature.outputs.items(), zip(*rows, strict=True), strict=True
        )
    }


def run_keras(model: Any, images: NDArray[np.uint8]) -> Outputs:
    outputs = model(images.astype(np.float32), training=False)
    return {name: np.asarray(value, np.float64) for name, value in outputs.items()}


def operators(content: bytes) -> Iterator[tuple[int, list[Any], list[Any]]]:
    """Kind, input tensors and output tensors of every operator, by the flatbuffer's own readers."""
    model = schema.Model.GetRootAs(content, 0)
    for s in range(model.SubgraphsLength()):
        graph = model.Subgraphs(s)
        for o in range(graph.OperatorsLength()):
            operator = graph.Operators(o)
            reads = [operator.Inputs(i) for i in range(operator.InputsLength())]
            writes = [operator.Outputs(i) for i in range(operator.OutputsLength())]
            yield (
                model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode(),
                [
                    graph.Tensors(i) for i in reads if i >= 0
                ],  # -1: an optional bias that is not there
                [graph.Tensors(i) for i in writes],
            )


def test_float_file_gives_what_the_keras_model_gives(
    keras_model: Any, float_content: bytes, faces: NDArray[np.uint8]
) -> None:
    expected = run_keras(keras_model, faces)
    found = run_tflite(float_content, faces)
    assert found.keys() == expected.keys() == {"gender", "age"}
    for name, value in expected.items():
        # float32; the converter folds the normalizations into the kernels and the kernels add in
        # another order: five digits are left of the largest output
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-4 * np.abs(value).max())
        assert value.std(axis=0).mean() > 0.1, "all faces look alike to this model"


def test_float_file_takes_one_picture_as_0_to_255(float_content: bytes) -> None:
    found = read_signature(float_content).input
    assert (found.shape, found.dtype) == ((1, 32, 32, 3), "float32")
    assert (found.scale, found.zero_point) == (None, None)


def test_no_operator_of_the_int8_file_touches_a_float(int8_content: bytes) -> None:
    activations = 0
    for _, reads, writes in operators(int8_content):
        for tensor in writes:
            assert tensor.Type() == schema.TensorType.INT8, tensor.Name()
            activations += 1
        for tensor in reads:  # int32: biases, and the axes of the mean
            assert tensor.Type() in (schema.TensorType.INT8, schema.TensorType.INT32), tensor.Name()
    assert activations > 60  # 52 convolutions, additions, the heads: the walk saw the network
    kinds = {kind for kind, _, _ in operators(int8_content)}
    assert not kinds & {schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE}


def test_weights_of_the_int8_file_have_a_scale_a_channel(int8_content: bytes) -> None:
    channel_axis = {
        schema.BuiltinOperator.CONV_2D: 0,
        schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
        schema.BuiltinOperator.FULLY_CONNECTED: 0,
    }
    seen = dict.fromkeys(channel_axis, 0)
    for kind, reads, _ in operators(int8_content):
        if kind not in channel_axis:
            continue
        seen[kind] += 1
        weights = reads[1]
        axis = channel_axis[kind]
        quantization = weights.Quantization()
        assert quantization.QuantizedDimension() == axis
        assert quantization.ScaleLength() == weights.Shape(axis)
        scales, zeros = quantization.ScaleAsNumpy(), quantization.ZeroPointAsNumpy()
        assert (scales > 0).all()
        assert not zeros.any(), "weights are symmetric"
    # MobileNetV2: first, last, 16 expand and 17 project convolutions; 17 depthwise; two heads
    assert list(seen.values()) == [35, 17, 2]


def test_int8_input_maps_every_pixel_value_to_itself(int8_content: bytes) -> None:
    found = read_signature(int8_content).input
    assert (found.dtype, found.scale, found.zero_point) == ("int8", 1.0, -128)
    table = open_model(int8_content, where="test").pixel_table
    np.testing.assert_array_equal(table, np.arange(256) - 128)


def test_int8_input_does_not_depend_on_the_calibration_images(
    float_content: bytes, faces: NDArray[np.uint8]
) -> None:
    dim = faces[:8] // 4 + 60  # 60 to 123
    found = read_signature(to_int8_tflite(float_content, dim, SilentReporter())).input
    assert (found.scale, found.zero_point) == (1.0, -128)


def test_int8_does_not_depend_on_the_order_of_the_calibration_images(
    float_content: bytes, int8_content: bytes, faces: NDArray[np.uint8]
) -> None:
    # as `choose_calibration` gives them, men come before women; an average of the last would be
    # an average of women
    again = to_int8_tflite(float_content, faces[:32][::-1], SilentReporter())
    assert again == int8_content


def test_int8_outputs_can_say_all_that_the_calibration_images_made_the_float_model_say(
    float_content: bytes, int8_content: bytes, faces: NDArray[np.uint8]
) -> None:
    said = run_tflite(float_content, faces[:32])
    assert said["gender"].min() < 0 < said["gender"].max(), "both genders"
    for name, spec in read_signature(int8_content).outputs.items():
        low, high = dequantize(np.array([-128, 127], np.int8), spec)
        step = spec.scale or 0.0
        assert low - step / 2 <= said[name].min()
        assert said[name].max() <= high + step / 2


def test_int8_file_agrees_with_the_float_file_on_new_faces(
    float_content: bytes, int8_content: bytes, faces: NDArray[np.uint8]
) -> None:
    expected, found = (run_tflite(content, faces[32:]) for content in (float_content, int8_content))
    for name, value in expected.items():
        # what 52 rounded layers add up to was measured at a fifth of the spread; an output that is
        # clipped to one sign is off by more than a half
        error = np.sqrt(((found[name] - value) ** 2).mean())
        assert error < 0.4 * value.std(), name


def test_int8_file_is_a_third_of_the_float_file_or_less(
    float_content: bytes, int8_content: bytes
) -> None:
    # a quarter, and what the graph and the scales take
    assert len(int8_content) < 0.4 * len(float_content)


def test_a_layer_left_in_float_is_an_error(
    float_content: bytes, faces: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litert_recipe, "static_wi8_ai8", litert_recipe.dynamic_wi8_afp32)
    with pytest.raises(ExportError, match=r"tensors are still float, e\.g\. ") as caught:
        to_int8_tflite(float_content, faces[:8], SilentReporter())
    assert "\n" not in str(caught.value)


def test_a_model_that_cannot_be_converted_is_refused_in_one_line() -> None:
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(image)

    def determinant(v: Any) -> Any:  # no kernel of TFLite does this
        return tf.linalg.det(v[:, :, None] * v[:, None, :])[:, None]

    heads = {"gender": keras.layers.Dense(1)(x), "age": keras.layers.Lambda(determinant)(x)}
    with pytest.raises(ExportError, match=r"'odd': cannot be converted to \.tflite") as caught:
        to_float_tflite(keras.Model(image, heads, name="odd"))
    assert "\n" not in str(caught.value)
