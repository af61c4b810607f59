"""Magnitude pruning: which weights become zero, how many, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.compress.magnitude import RAMP_RATIO, Pattern, magnitude_prune, ramp
from edgeface.compress.tfmot import heavy_layers
from edgeface.config import ModelSpec
from edgeface.errors import CompressionError
from edgeface.model.networks import build_model
from edgeface.types import SilentReporter
from support.small_network import Training, outputs_of, random_images, small_network

PRUNED = ("stem", "expand", "project", "age", "gender")
IN_FOURS = ("expand", "project", "age", "gender")  # the stem reads three channels


def kernel(model: Any, name: str) -> NDArray[np.float32]:
    return np.asarray(model.get_layer(name).get_weights()[0])


def in_blocks_of_four(values: NDArray[Any]) -> NDArray[Any]:
    """[blocks, 4] along the input channels: the last axis of a kernel in a `.tflite`."""
    return np.moveaxis(values, -2, -1).reshape(-1, 4)


@pytest.fixture(scope="module")
def model() -> Any:
    return small_network()


@pytest.fixture(scope="module")
def sparse(model: Any) -> tuple[Any, Any, Training]:
    train = Training(epochs=3, learning_rate=0.05)
    return *magnitude_prune(model, sparsity=0.8, steps=train.steps, train=train), train


def test_the_smallest_weights_become_zero_and_the_others_stay(model: Any) -> None:
    # a training that moves nothing, so that the masks of all steps rank the same weights
    train = Training(epochs=2, learning_rate=0.0)
    pruned, _ = magnitude_prune(model, sparsity=0.6, steps=train.steps, train=train)
    for name in PRUNED:
        before = kernel(model, name)
        kept = round(0.4 * before.size)
        least = np.sort(np.abs(before).ravel())[-kept]
        np.testing.assert_array_equal(
            kernel(pruned, name), np.where(np.abs(before) >= least, before, 0)
        )


def test_two_of_each_four_along_the_input_channels_become_zero(model: Any) -> None:
    train = Training(epochs=1, learning_rate=0.0)
    pruned, report = magnitude_prune(
        model, sparsity=0.5, pattern="2:4", steps=train.steps, train=train
    )
    assert tuple(layer.name for layer in report.layers) == IN_FOURS
    for name in IN_FOURS:
        before = in_blocks_of_four(kernel(model, name))
        smallest = np.argsort(np.abs(before), axis=1)[:, :2]
        expected = before.copy()
        np.put_along_axis(expected, smallest, 0, axis=1)
        np.testing.assert_array_equal(in_blocks_of_four(kernel(pruned, name)), expected)


def test_each_four_still_has_two_zeros_after_training(model: Any) -> None:
    train = Training(epochs=2, learning_rate=0.05)
    pruned, report = magnitude_prune(
        model, sparsity=0.5, pattern="2:4", steps=train.steps, train=train
    )
    for name in IN_FOURS:
        blocks = in_blocks_of_four(kernel(pruned, name))
        np.testing.assert_array_equal((blocks == 0).sum(axis=1), 2)
        assert not np.isin(blocks[blocks != 0], kernel(model, name)).all(), "it trained"
    assert report.sparsity == 0.5


def test_sparsity_is_what_was_asked_and_what_is_reported(
    model: Any, sparse: tuple[Any, Any, Training]
) -> None:
    pruned, report, _ = sparse
    assert tuple(layer.name for layer in report.layers) == PRUNED
    # stem 3x3x3x16, expand 16x32, project 32x16, age 16x101, gender 16x1
    sizes = (432, 512, 512, 1616, 16)
    zeros = [size - round(0.2 * size) for size in sizes]
    for layer, size, expected in zip(report.layers, sizes, zeros, strict=True):
        assert (layer.weights, layer.zeros) == (size, expected)
        assert np.count_nonzero(kernel(pruned, layer.name) == 0) == expected
        # what is left over of a fifth of the weights is less than one weight
        assert layer.sparsity == pytest.approx(0.8, abs=1 / size)
    assert report.sparsity == pytest.approx(sum(zeros) / sum(sizes))
    assert report.parameters == model.count_params()
    assert report.model_sparsity == pytest.approx(sum(zeros) / model.count_params())
    assert (report.asked_sparsity, report.pattern) == (0.8, "unstructured")


def test_the_result_is_a_plain_model_that_computes_what_the_wrapped_one_did(
    model: Any, sparse: tuple[Any, Any, Training]
) -> None:
    pruned, _, train = sparse
    assert [(x.name, type(x)) for x in pruned.layers] == [(x.name, type(x)) for x in model.layers]
    images = random_images(4, seed=9)
    expected = outputs_of(train.model, images)
    found = outputs_of(pruned, images)
    assert found.keys() == expected.keys() == {"gender", "age"}
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
        assert values.std(axis=0).max() > 0, "all pictures look alike to this model"
    # its own layers: the wrapped model's have been called by three models
    assert all(len(layer.inbound_nodes) == 1 for layer in pruned.layers)


def test_depthwise_kernels_and_the_given_model_keep_their_weights(
    sparse: tuple[Any, Any, Training], model: Any
) -> None:
    pruned, _, _ = sparse
    assert np.count_nonzero(kernel(pruned, "depthwise")) == 9 * 32
    for weight, fresh in zip(model.get_weights(), small_network().get_weights(), strict=True):
        np.testing.assert_array_equal(weight, fresh)


def test_small_layers_of_mobilenetv2_are_left_alone() -> None:
    spec = ModelSpec(width_ratio=0.35, side_px=32, weights="none")
    network = build_model(spec, seed=1, reporter=SilentReporter())
    names = heavy_layers(network)
    least = 0.001 * network.count_params()
    for layer in network.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            assert layer.name not in names
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            assert (layer.name in names) == (kernel(network, layer.name).size >= least)
    assert {"Conv_1", "age"} <= set(names)
    assert "Conv1" not in names


def test_the_weights_of_a_step_before_the_last_mask_are_refused(model: Any) -> None:
    train = Training(epochs=1, learning_rate=0.05)
    # 2 steps are trained; of 100 steps the last mask is made at 69, a multiple of 3 below 70
    with pytest.raises(CompressionError, match="of step 2, but sparsity rises until step 69;"):
        magnitude_prune(model, sparsity=0.8, steps=100, train=train)


def no_training(model: Any, callbacks: Sequence[Any]) -> None:
    """Leaves the model as it is."""


@pytest.mark.parametrize(
    ("sparsity", "pattern", "steps", "text"),
    [
        (0.0, "unstructured", 9, "sparsity is 0, expected above 0 and below 1"),
        (1.0, "unstructured", 9, "sparsity is 1, expected above 0 and below 1"),
        (0.8, "2:4", 9, r"sparsity is 0\.8, expected 0\.5, which is what two of four are"),
        (0.8, "unstructured", 1, "found 1 training steps, expected 2 or more; train longer"),
        (0.8, "unstructured", 9, "of step 0, but sparsity rises until step 6"),
        (0.5, "2:4", 9, "of step 0, but sparsity rises until step 1"),
    ],
)
def test_what_cannot_be_pruned_is_refused_in_one_line(
    model: Any, sparsity: float, pattern: Pattern, steps: int, text: str
) -> None:
    with pytest.raises(CompressionError, match=text) as caught:
        magnitude_prune(model, sparsity=sparsity, pattern=pattern, steps=steps, train=no_training)
    assert "\n" not in str(caught.value)


def test_a_network_without_kernels_is_refused() -> None:
    image = keras.Input((4, 4, 3))
    bare = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image), name="bare")
    with pytest.raises(CompressionError, match="'bare': found no convolution or dense layer"):
        magnitude_prune(bare, sparsity=0.5, steps=9, train=no_training)


@given(steps=st.integers(2, 1_000_000))
def test_masks_are_made_up_to_the_end_of_the_ramp(steps: int) -> None:
    plan = ramp(steps)
    assert plan.end_step % plan.between_masks == 0, "TFMOT makes no mask at another step"
    assert 1 <= plan.end_step <= RAMP_RATIO * steps
    assert plan.end_step + plan.between_masks > int(RAMP_RATIO * steps)
    assert plan.end_step // plan.between_masks <= 2 * 20
