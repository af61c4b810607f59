"""Folding of batch normalization: the outputs stay, the normalizations go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeface.compress.fold import fold_batch_norm
from support.small_network import outputs_of, random_images, small_network

LAYERS = keras.layers


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def with_statistics(model: Any) -> Any:
    rng = np.random.default_rng(4)
    for layer in model.layers:
        if isinstance(layer, LAYERS.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    return model


def assert_same_outputs(model: Any, folded: Any) -> None:
    pixels = np.random.default_rng(5).normal(size=(3, *model.input_shape[1:])).astype(np.float32)
    expected, found = model(pixels, training=False), folded(pixels, training=False)
    # float32; folded sums are added in another order
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_outputs_stay_and_normalizations_go() -> None:
    model = small_network()
    folded = fold_batch_norm(model)
    assert kinds(folded) == [kind for kind in kinds(model) if kind != "BatchNormalization"]
    assert kinds(model).count("BatchNormalization") == 4
    images = random_images(4)
    found = outputs_of(folded, images)
    for name, expected in outputs_of(model, images).items():
        np.testing.assert_allclose(
            found[name], expected, rtol=0, atol=1e-5 * np.abs(expected).max()
        )
    for weight, fresh in zip(model.get_weights(), small_network().get_weights(), strict=True):
        np.testing.assert_array_equal(weight, fresh)


@pytest.mark.parametrize(
    "layer",
    [
        LAYERS.Conv2D(4, 3, use_bias=True, bias_initializer="random_normal"),
        LAYERS.DepthwiseConv2D(3, depth_multiplier=3, use_bias=False),
        LAYERS.DepthwiseConv2D(3, use_bias=True, bias_initializer="random_normal"),
        LAYERS.Dense(4, use_bias=False),
    ],
    ids=["biased", "multiplied", "depthwise", "dense"],
)
@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, True), (True, False)], ids=str)
def test_each_kind_of_layer_takes_its_normalization_in(
    layer: Any, scale: bool, center: bool
) -> None:
    image = keras.Input((6, 6, 3))
    made = type(layer).from_config(layer.get_config())(image)
    normalized = LAYERS.BatchNormalization(scale=scale, center=center)(made)
    model = with_statistics(keras.Model(image, normalized))
    folded = fold_batch_norm(model)
    assert kinds(folded) == ["InputLayer", type(layer).__name__]
    assert_same_outputs(model, folded)


def test_a_normalization_that_no_layer_can_take_in_stays() -> None:
    image = keras.Input((6, 6, 3))
    first = LAYERS.BatchNormalization()(image)  # after no layer with weights
    active = LAYERS.Conv2D(4, 1, activation="relu")(first)
    second = LAYERS.BatchNormalization()(active)  # after an activation
    shared = LAYERS.Conv2D(4, 1)(second)
    third = LAYERS.BatchNormalization()(shared)  # after a layer that another one reads too
    model = with_statistics(keras.Model(image, LAYERS.Add()([third, shared])))
    folded = fold_batch_norm(model)
    assert kinds(folded) == kinds(model)
    assert_same_outputs(model, folded)


def test_a_layer_whose_output_is_one_of_the_models_keeps_it() -> None:
    image = keras.Input((6, 6, 3))
    raw = LAYERS.Conv2D(4, 1, name="raw")(image)
    normalized = LAYERS.BatchNormalization(name="normalized")(raw)
    model = with_statistics(keras.Model(image, {"raw": raw, "normalized": normalized}))
    folded = fold_batch_norm(model)
    assert "BatchNormalization" in kinds(folded)
    pixels = np.ones((1, 6, 6, 3), np.float32)
    for name, expected in model(pixels).items():
        np.testing.assert_allclose(folded(pixels)[name], expected, rtol=1e-5)
