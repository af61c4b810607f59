"""Quantization-aware training: what is rounded, in which ranges, and that it trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.compress.fold import fold_batch_norm
from edgeface.compress.qat import quantization_aware
from edgeface.compress.rounding import DepthwiseQuantizer, QuantizedRescaling
from edgeface.errors import CompressionError
from support.small_network import SIDE_PX, Training, outputs_of, random_images, small_network

LAYERS = keras.layers
CALIBRATION = random_images(16)


def one_look(model: Any, callbacks: Sequence[Any]) -> None:
    """The shortest training: a batch goes through, and nothing is learnt."""
    model(CALIBRATION.astype(np.float32), training=True)


def no_training(model: Any, callbacks: Sequence[Any]) -> None:
    """Leaves the model as it is."""


def rounded(
    values: NDArray[Any], low: float | NDArray[Any], high: float | NDArray[Any], steps: int
) -> NDArray[Any]:
    """Nearest of evenly spaced values, of which zero is one."""
    scale = (high - low) / steps
    zero_point = np.round(-low / scale)
    return np.asarray(
        scale * (np.clip(np.round(values / scale) + zero_point, 0, steps) - zero_point)
    )


def ranges(model: Any) -> dict[str, tuple[float, float]]:
    """Ranges of rounded outputs, by the name of the layer."""
    found: dict[str, dict[str, float]] = {}
    for weight in model.weights:
        layer, _, name = weight.name.partition("/")
        if name in ("output_min:0", "output_max:0"):
            found.setdefault(layer.removeprefix("quant_"), {})[name] = float(weight)
    return {name: (b["output_min:0"], b["output_max:0"]) for name, b in found.items()}


@pytest.fixture(scope="module")
def model() -> Any:
    return small_network()


@pytest.fixture(scope="module")
def trained(model: Any) -> tuple[Any, Training]:
    train = Training(epochs=2, learning_rate=0.05)
    return quantization_aware(model, calibration=CALIBRATION, train=train), train


def test_ranges_start_from_the_extremes_over_the_calibration_images(model: Any) -> None:
    wrapped = quantization_aware(model, calibration=CALIBRATION, train=no_training)
    folded = fold_batch_norm(model)
    found = ranges(wrapped)
    # a convolution or sum is rounded after the ReLU that is computed with it; padding and dropout
    # move values and round none
    assert set(found) == {
        "stem_relu", "expand_relu", "depthwise_relu", "project", "add", "pool", "gender", "age"
    }  # fmt: skip
    for name, bounds in found.items():
        network = keras.Model(folded.input, folded.get_layer(name).output)
        values = np.asarray(network(CALIBRATION.astype(np.float32)))
        expected = min(values.min(), 0), max(values.max(), 0)
        np.testing.assert_allclose(bounds, expected, rtol=1e-4, atol=1e-6)


def test_rounding_changes_the_outputs_little(model: Any) -> None:
    wrapped = quantization_aware(model, calibration=CALIBRATION, train=one_look)
    images = random_images(8, seed=9)
    found = outputs_of(wrapped, images)
    for name, expected in outputs_of(model, images).items():
        # ten tensors of 8 bits each: some hundredths of the largest output; a tensor that is
        # clipped or a kernel that is not rounded by channel costs tenths
        error = np.abs(found[name] - expected).max() / np.abs(expected).max()
        assert 1e-6 < error < 0.06, name


def test_an_age_head_beyond_six_is_not_clipped(model: Any) -> None:
    steep = keras.models.clone_model(model)
    steep.set_weights(model.get_weights())
    head = steep.get_layer("age")
    head.set_weights([100 * head.get_weights()[0], head.get_weights()[1]])
    expected = outputs_of(steep, CALIBRATION)["age"]
    assert expected.max() > 12, "twice as far as TFMOT's own start would let through"
    wrapped = quantization_aware(steep, calibration=CALIBRATION, train=one_look)
    found = outputs_of(wrapped, CALIBRATION)["age"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.06 * np.abs(expected).max())
    assert found.max() > 0.94 * expected.max()


def test_a_heads_range_only_grows(model: Any, trained: tuple[Any, Training]) -> None:
    before = ranges(quantization_aware(model, calibration=CALIBRATION, train=no_training))
    after = ranges(trained[0])
    for name in ("age", "gender"):
        assert after[name][0] <= before[name][0]
        assert after[name][1] >= before[name][1]
        assert after[name] != before[name], "dropout and training widen it"


def test_every_kernel_and_bias_trains_and_the_given_model_does_not(
    model: Any, trained: tuple[Any, Training]
) -> None:
    wrapped, train = trained
    assert train.model is wrapped
    before = quantization_aware(model, calibration=CALIBRATION, train=no_training)
    # four convolutions and two heads, each with a bias since its normalization was folded in
    assert len(wrapped.trainable_variables) == 2 * (4 + 2)
    for weight, was in zip(wrapped.trainable_variables, before.trainable_variables, strict=True):
        assert weight.name == was.name
        assert np.abs(weight.numpy() - was.numpy()).max() > 0, weight.name
    for weight, fresh in zip(model.get_weights(), small_network().get_weights(), strict=True):
        np.testing.assert_array_equal(weight, fresh)


def test_it_has_the_input_and_outputs_of_the_model(
    model: Any, trained: tuple[Any, Training]
) -> None:
    wrapped, _ = trained
    assert wrapped.input_shape == model.input_shape
    assert wrapped.output_shape == model.output_shape
    assert list(wrapped.output) == list(model.output) == ["gender", "age"]


def test_a_depthwise_kernel_is_rounded_channel_by_channel() -> None:
    rng = np.random.default_rng(6)
    kernel = rng.normal(size=(3, 3, 4, 2)) * 10.0 ** np.arange(4)[:, None]
    layer = LAYERS.Layer()
    quantizer = DepthwiseQuantizer(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)
    variables = quantizer.build(tf.TensorShape(kernel.shape), "kernel", layer)
    found = quantizer(tf.constant(kernel, tf.float32), True, weights=variables)
    # symmetric, -127 to 127: 254 steps from -largest to largest
    largest = np.abs(kernel).max(axis=(0, 1))
    np.testing.assert_allclose(found, rounded(kernel, -largest, largest, 254), rtol=1e-5)


def test_every_pixel_value_keeps_a_number_of_its_own() -> None:
    pixels = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1)
    found = np.asarray(QuantizedRescaling(1 / 127.5, -1.0)(pixels))
    # -127.5 pixels become -128, half a step off
    np.testing.assert_allclose(found, (pixels - 128) / 127.5, rtol=0, atol=1e-6)


def test_an_offset_a_colour_rounds_to_the_nearest_step() -> None:
    means = np.array([123.68, 116.779, 103.939])
    pixels = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1) * np.ones(3, np.float32)
    found = np.asarray(QuantizedRescaling(1.0, (-means).tolist())(pixels))
    expected = rounded(pixels - means, -123.68, 255 - 103.939, 255)
    step = (123.68 + 255 - 103.939) / 255
    # a value between two numbers may go to either
    np.testing.assert_allclose(found, pixels - means, rtol=0, atol=0.5 * step + 1e-4)
    assert np.mean(np.abs(found - expected) < 1e-4) > 0.98


def test_vgg16s_way_of_rescaling_and_pooling_is_known() -> None:
    means = (123.68, 116.779, 103.939)
    image = keras.Input((SIDE_PX, SIDE_PX, 3), name="image")
    x = LAYERS.Rescaling(1.0, offset=[-mean for mean in means])(image)
    x = LAYERS.Conv2D(8, 3, padding="same", activation="relu", name="conv")(x)
    x = LAYERS.Flatten()(LAYERS.MaxPooling2D(4)(x))
    age = LAYERS.Dense(1, name="age")(LAYERS.Dense(8, activation="relu", name="branch")(x))
    network = keras.Model(image, {"age": age})
    wrapped = quantization_aware(network, calibration=CALIBRATION, train=one_look)
    assert set(ranges(wrapped)) == {"conv", "branch", "age"}
    expected = outputs_of(network, CALIBRATION)["age"]
    found = outputs_of(wrapped, CALIBRATION)["age"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.06 * np.abs(expected).max())


def single(layer: Any, *, rescaled: bool = True) -> Any:
    image = keras.Input((SIDE_PX, SIDE_PX, 3), name="image")
    x = LAYERS.Rescaling(1 / 255)(image) if rescaled else image
    return keras.Model(image, {"age": LAYERS.Dense(1, name="age")(layer(x))}, name="odd")


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (
            single(LAYERS.Conv2D(4, 1, name="conv"), rescaled=False),
            "conv reads the image, expected",
        ),
        (single(LAYERS.LayerNormalization(name="norm")), "'norm': is a LayerNormalization with"),
        (single(LAYERS.Conv2D(4, 1, activation="tanh", name="c")), "Conv2D with activation tanh"),
        (single(LAYERS.BatchNormalization(name="bn")), "'bn': is a BatchNormalization with"),
        (single(LAYERS.Rescaling(2.0, name="again")), "'again': is a Rescaling with"),
    ],
)
def test_networks_that_cannot_be_rounded_are_refused_in_one_line(network: Any, text: str) -> None:
    with pytest.raises(CompressionError, match=text) as caught:
        quantization_aware(network, calibration=CALIBRATION, train=no_training)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("images", [CALIBRATION[:0], CALIBRATION[:, :8]], ids=["none", "smaller"])
def test_calibration_images_must_fit(model: Any, images: NDArray[np.uint8]) -> None:
    with pytest.raises(CompressionError, match=r"expected one or more of \(16, 16, 3\)"):
        quantization_aware(model, calibration=images, train=no_training)
