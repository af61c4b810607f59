"""Sparse and quantization-aware models as files: what they hold, and what they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeface.compress.qat import quantization_aware
from edgeface.errors import ExportError
from edgeface.export.convert import to_float_tflite
from edgeface.export.convert_tfmot import qat_to_int8_tflite, to_sparse_tflite
from edgeface.export.download_size import gzip_bytes
from edgeface.export.flatbuffer import (
    float_tensors,
    kernel_layers,
    operators,
    read_graph,
    read_signature,
)
from edgeface.runtime.affine import dequantize
from edgeface.runtime.interpreter import open_model, run
from support.small_network import Training, outputs_of, random_images, small_network

IMAGES = random_images(8, seed=9)
WIDE = 256  # channels: its kernel is most of the file


def run_tflite(content: bytes, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    signature = read_signature(content)
    model = open_model(content, where="test")
    rows = [run(model, image, tuple(signature.outputs.values())) for image in images]
    return {
        name: dequantize(np.concatenate(column), spec)
        for (name, spec), column in zip(
            signature.outputs.items(), zip(*rows, strict=True), strict=True
        )
    }


def wide_network(sparsity: float) -> Any:
    """A 1x1 convolution of `WIDE`² weights of which a share is zero."""
    keras.utils.set_random_seed(7)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = keras.layers.Conv2D(WIDE, 3, strides=4, activation="relu")(x)
    x = keras.layers.Conv2D(WIDE, 1, activation="relu", name="wide")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    heads = {name: keras.layers.Dense(units, name=name)(x) for name, units in HEADS.items()}
    model = keras.Model(image, heads, name="wide")
    layer = model.get_layer("wide")
    kernel, bias = layer.get_weights()
    least = np.quantile(np.abs(kernel), sparsity)
    layer.set_weights([np.where(np.abs(kernel) < least, 0, kernel), bias])
    return model


HEADS = {"gender": 1, "age": 101}


@pytest.fixture(scope="module")
def four_fifths_zero() -> tuple[Any, bytes, bytes]:
    model = wide_network(0.8)
    return model, to_float_tflite(model), to_sparse_tflite(model)


def test_a_sparse_file_computes_what_the_dense_one_does(
    four_fifths_zero: tuple[Any, bytes, bytes],
) -> None:
    model, dense, sparse = four_fifths_zero
    assert read_signature(sparse) == read_signature(dense)
    expected, found = run_tflite(dense, IMAGES), run_tflite(sparse, IMAGES)
    for name, values in outputs_of(model, IMAGES).items():
        np.testing.assert_array_equal(found[name], expected[name])
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-5 * np.abs(values).max())
        assert values.std(axis=0).max() > 0, "all pictures look alike to this model"


def test_a_sparse_file_leaves_zeros_out(four_fifths_zero: tuple[Any, bytes, bytes]) -> None:
    _, dense, sparse = four_fifths_zero
    kernels = [tensor for tensor in read_graph(sparse).tensors if tensor.sparsity is not None]
    assert [tuple(tensor.shape) for tensor in kernels] == [(WIDE, 1, 1, WIDE)]
    zeros = 0.8 * WIDE * WIDE
    # a weight takes 4 bytes; one that is left over takes 1 or 2 more, which say where it stood
    saved = len(dense) - len(sparse)
    assert 4 * zeros - 2 * (WIDE * WIDE - zeros) - 4 * WIDE < saved < 4 * zeros
    # the dense file's download is no larger than that of the file without zeros
    assert gzip_bytes(dense) < 1.1 * len(sparse)


def test_a_kernel_with_few_zeros_stays_dense() -> None:
    model = wide_network(0.05)
    sparse = to_sparse_tflite(model)
    assert all(tensor.sparsity is None for tensor in read_graph(sparse).tensors)
    assert len(sparse) == pytest.approx(len(to_float_tflite(model)), rel=0.001)


@pytest.fixture(scope="module")
def rounded() -> Any:
    train = Training(epochs=2, learning_rate=0.05)
    return quantization_aware(small_network(), calibration=random_images(16), train=train)


@pytest.fixture(scope="module")
def int8(rounded: Any) -> bytes:
    return qat_to_int8_tflite(rounded)


def test_no_operator_of_the_int8_file_touches_a_float(int8: bytes) -> None:
    assert float_tensors(int8) == ()
    found = operators(int8)
    # rescaling's multiply and add, stem, expand, depthwise (which pads by itself), project, the
    # sum, the mean, two heads: and nothing that changes scales between them
    assert [operator.name for operator in found] == [
        "MUL", "ADD", "CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD", "MEAN",
        "FULLY_CONNECTED", "FULLY_CONNECTED",
    ]  # fmt: skip
    tensors = read_graph(int8).tensors
    for operator in found:
        for output in operator.outputs:
            assert tensors[output].type == schema.TensorType.INT8


def test_the_int8_file_has_the_signature_of_the_float_one(int8: bytes) -> None:
    found, expected = read_signature(int8), read_signature(to_float_tflite(small_network()))
    assert found.input.shape == expected.input.shape == (1, 16, 16, 3)
    assert (found.input.dtype, found.input.scale, found.input.zero_point) == ("int8", 1.0, -128)
    assert found.outputs.keys() == expected.outputs.keys() == {"age", "gender"}
    for name, spec in found.outputs.items():
        assert spec.dtype == "int8"
        assert spec.shape == expected.outputs[name].shape


def test_convolutions_have_a_scale_a_channel_and_heads_one(int8: bytes) -> None:
    graph = read_graph(int8)
    scales = []
    for layer in kernel_layers(int8):
        kernel = graph.tensors[layer.kernel]
        scales.append(len(set(kernel.quantization.scale.tolist())))
        assert not np.any(kernel.quantization.zeroPoint), "weights are symmetric"
    # stem, expand, depthwise, project; then the heads in either order
    assert scales == [16, 32, 32, 16, 1, 1]


def test_the_int8_file_computes_what_the_training_did(rounded: Any, int8: bytes) -> None:
    found, expected = run_tflite(int8, IMAGES), outputs_of(rounded, IMAGES)
    for name, spec in read_signature(int8).outputs.items():
        assert spec.scale is not None
        steps = (found[name] - expected[name]) / spec.scale
        # both round the same numbers at the same places; a sum that lies between two steps to the
        # last digit of a float may go to either, and reach the output as a step or two
        assert np.abs(steps).max() < 2.5, name
        assert np.abs(steps).mean() < 0.2, name
        assert expected[name].std(axis=0).max() > 5 * spec.scale, "the pictures differ by more"


def test_a_model_without_fake_quantization_is_refused_in_one_line() -> None:
    with pytest.raises(ExportError, match="'small': cannot be converted") as caught:
        qat_to_int8_tflite(small_network())
    assert "\n" not in str(caught.value)


def test_a_layer_without_fake_quantization_is_refused_in_one_line(rounded: Any) -> None:
    bent = keras.layers.ELU()(rounded.get_layer("quant_pool").output)
    heads = {**rounded.output, "bent": keras.layers.Softmax()(bent)}
    odd = keras.Model(rounded.input, heads, name="odd")
    with pytest.raises(ExportError, match=r"'odd' as int8: \d+ tensors are still float") as caught:
        qat_to_int8_tflite(odd)
    assert "\n" not in str(caught.value)


def test_the_whole_mobilenetv2_becomes_full_integer(
    keras_model: Any, faces: NDArray[np.uint8]
) -> None:
    """The real network; a look at faces in place of a training, which would take a minute."""

    def look(model: Any, callbacks: Sequence[Any]) -> None:
        model(faces[:8].astype(np.float32), training=True)

    rounded = quantization_aware(keras_model, calibration=faces[:32], train=look)
    content = qat_to_int8_tflite(rounded)
    assert float_tensors(content) == ()
    # first, last, 16 expand, 17 depthwise and 17 project convolutions, two heads
    assert len(kernel_layers(content)) == 1 + 1 + 16 + 17 + 17 + 2
    found, expected = run_tflite(content, faces[32:]), outputs_of(rounded, faces[32:])
    for name, values in expected.items():
        # a network of 52 layers of random weights makes a third more of each difference with every
        # block; ties that fall apart in the first layers (two in 10,000) end as a sixth of the
        # spread
        error = np.sqrt(((found[name] - values) ** 2).mean())
        assert error < 0.35 * values.std(), name
