"""Replacing constants in place: what was written is read back, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.errors import ExportError
from edgeface.export.constants import (
    own_constants,
    read_constant,
    read_scales,
    with_constants,
    with_own_constants,
    with_scales,
)
from edgeface.export.convert import to_int8_tflite
from edgeface.export.flatbuffer import kernel_layers
from edgeface.runtime.interpreter import open_model, run
from edgeface.types import SilentReporter


@pytest.fixture(scope="module")
def tied(make_small: Callable[..., bytes]) -> bytes:
    """The converter makes one tensor of two equal ones: here, the biases of two layers."""

    def spoil(layers: dict[str, Any]) -> None:
        kernel, _ = layers["project2"].get_weights()
        layers["project2"].set_weights([kernel, layers["project"].get_weights()[1]])

    return make_small(spoil)


def outputs(content: bytes, images: NDArray[np.uint8]) -> NDArray[Any]:
    model = open_model(content, where="test")
    return np.array([[value.ravel() for value in run(model, image)] for image in images])


def test_written_weights_are_read_back_and_nothing_else_changes(small: bytes) -> None:
    layer = kernel_layers(small)[2]
    before = read_constant(small, layer.kernel)
    changed = with_constants(small, {layer.kernel: 2 * before})
    np.testing.assert_array_equal(read_constant(changed, layer.kernel), 2 * before)
    assert with_constants(changed, {layer.kernel: before}) == small


def test_the_runtime_uses_what_was_written(small: bytes, colours: NDArray[np.uint8]) -> None:
    head = kernel_layers(small)[-1]
    kernel, bias = read_constant(small, head.kernel), read_constant(small, head.bias)
    doubled = with_constants(small, {head.kernel: 2 * kernel, head.bias: 2 * bias})
    place = [spec.name for spec in open_model(small, where="test").outputs].index(head.output_name)
    np.testing.assert_allclose(
        outputs(doubled, colours[:3])[:, place],
        2 * outputs(small, colours[:3])[:, place],
        rtol=1e-6,
    )


def test_another_number_of_values_is_refused(small: bytes) -> None:
    with pytest.raises(ExportError, match="3 values, expected 8"):
        with_constants(small, {kernel_layers(small)[0].bias: np.zeros(3, np.float32)})


def test_an_activation_is_no_constant(small: bytes) -> None:
    with pytest.raises(ExportError, match="is not a constant"):
        read_constant(small, kernel_layers(small)[0].output)


def test_scales_are_written_in_place(small: bytes, colours: NDArray[np.uint8]) -> None:
    content = to_int8_tflite(small, colours, SilentReporter())
    kernel = kernel_layers(content)[0].kernel
    scales = read_scales(content, kernel)
    changed = with_scales(content, kernel, 3 * scales)
    np.testing.assert_allclose(read_scales(changed, kernel), 3 * scales, rtol=1e-6)
    assert with_scales(changed, kernel, scales) == content
    with pytest.raises(ExportError, match="1 scales, expected 8"):
        with_scales(content, kernel, scales[:1])


def test_biases_of_two_layers_are_not_changed_by_one(tied: bytes) -> None:
    first, second = [layer for layer in kernel_layers(tied) if layer.is_linear][:2]
    assert first.bias == second.bias, "the converter does not merge equal constants any more"
    assert first.bias not in own_constants(tied)
    with pytest.raises(ExportError, match="another operator reads it too"):
        with_constants(tied, {first.bias: np.zeros(8, np.float32)})


def test_shared_constants_are_told_apart(tied: bytes, colours: NDArray[np.uint8]) -> None:
    own = with_own_constants(tied)
    used = {i for layer in kernel_layers(own) for i in (layer.kernel, layer.bias)}
    assert used <= own_constants(own)
    np.testing.assert_array_equal(outputs(own, colours[:3]), outputs(tied, colours[:3]))
    assert with_own_constants(own) is own


def test_a_file_with_shared_biases_can_be_quantized(
    tied: bytes, colours: NDArray[np.uint8]
) -> None:
    content = to_int8_tflite(tied, colours, SilentReporter())
    first, second = [layer for layer in kernel_layers(content) if layer.is_linear][:2]
    # one float tensor became two with unlike corrections
    assert not np.array_equal(
        read_constant(content, first.bias), read_constant(content, second.bias)
    )
